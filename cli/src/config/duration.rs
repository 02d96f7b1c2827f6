//! Spans of time as people write them: `250ms`, `10s`, `5m`, `2h`, `3d`.

use std::time::Duration;

/// The text is no span of time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected a whole number with a unit, such as 250ms, 10s, 5m, 2h or 3d")]
pub(crate) struct NotADuration;

/// Reads a whole number with one of the units `ms`, `s`, `m`, `h`, `d`; `0` needs no unit.
pub(crate) fn parse(text: &str) -> Result<Duration, NotADuration> {
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(NotADuration)?;
    let number: u64 = text[..digits].parse().map_err(|_| NotADuration)?;
    let seconds = match &text[digits..] {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(NotADuration),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or(NotADuration)
}

/// The shortest text that [`parse`] reads back as the same span, to the millisecond.
pub(crate) fn text(span: Duration) -> String {
    let (ms, seconds) = (span.as_millis(), span.as_secs());
    if ms % 1_000 != 0 {
        return format!("{ms}ms");
    }
    match seconds {
        0 => "0s".to_owned(),
        s if s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_number_and_one_unit() {
        let cases = [
            ("milliseconds", "250ms", Ok(Duration::from_millis(250))),
            ("seconds", "10s", Ok(Duration::from_secs(10))),
            ("minutes", "5m", Ok(Duration::from_mins(5))),
            ("hours", "2h", Ok(Duration::from_hours(2))),
            ("days", "3d", Ok(Duration::from_hours(72))),
            ("nothing", "0", Ok(Duration::ZERO)),
            ("no unit", "10", Err(NotADuration)),
            ("no number", "s", Err(NotADuration)),
            ("negative", "-1s", Err(NotADuration)),
            ("too long", "18446744073709551615d", Err(NotADuration)),
            ("empty", "", Err(NotADuration)),
        ];
        for (name, written, expected) in cases {
            assert_eq!(parse(written), expected, "{name}");
        }
    }

    #[test]
    fn what_it_prints_it_reads_back() {
        for written in ["250ms", "10s", "5m", "2h", "3d", "0s"] {
            assert_eq!(parse(written).map(text), Ok(written.to_owned()));
        }
    }
}
