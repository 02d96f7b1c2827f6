//! Moments as operators write them: a span before now, a time, or a day.

use std::str::FromStr;

use chrono::NaiveDate;
use schemas::Timestamp;

use crate::config::duration;

/// A moment, given as a time or as a span before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct When(pub(crate) Timestamp);

/// The text is no moment.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "expected a span such as 2h or 3d, a day such as 2026-02-03, or a time such as 2026-02-03T04:05:06Z"
)]
pub(crate) struct NoMoment;

impl When {
    fn read(text: &str, now: Timestamp) -> Result<Self, NoMoment> {
        if let Ok(span) = duration::parse(text) {
            return Ok(Self(now - span));
        }
        if let Ok(day) = text.parse::<NaiveDate>() {
            let midnight = day.and_hms_opt(0, 0, 0).ok_or(NoMoment)?;
            return Ok(Self(Timestamp::from(midnight.and_utc())));
        }
        text.parse().map(Self).map_err(|_| NoMoment)
    }
}

impl FromStr for When {
    type Err = NoMoment;

    fn from_str(text: &str) -> Result<Self, NoMoment> {
        Self::read(text, Timestamp::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_span_a_day_or_a_time() {
        let now = Timestamp::from_micros(1_770_000_000_000_000);
        let cases = [
            ("span", "2h", Some(1_769_992_800_000_000)),
            ("day", "2026-02-02", Some(1_769_990_400_000_000)),
            ("time", "2026-02-02T02:40:00Z", Some(1_770_000_000_000_000)),
            ("offset", "2026-02-02T10:40:00+08:00", Some(1_770_000_000_000_000)),
            ("words", "yesterday", None),
            ("no such day", "2026-02-30", None),
        ];
        for (name, text, expected) in cases {
            let read = When::read(text, now).ok().map(|when| when.0.as_micros());
            assert_eq!(read, expected, "{name}");
        }
    }
}
