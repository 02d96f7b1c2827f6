//! The providers' clock: Beijing time, eight hours ahead of UTC all year.

use chrono::{DateTime, FixedOffset, NaiveDateTime, TimeZone};
use schemas::Timestamp;

/// `20261123101530`, as WeChat Pay (XML) and UnionPay write it.
pub(super) const COMPACT: &str = "%Y%m%d%H%M%S";

/// `2026-11-23 10:15:30`, as Alipay writes it.
pub(super) const SPACED: &str = "%Y-%m-%d %H:%M:%S";

/// `2026-11-23T10:15:30+08:00`, as WeChat Pay (JSON) writes it.
pub(super) const WITH_OFFSET: &str = "%Y-%m-%dT%H:%M:%S+08:00";

const OFFSET_SECONDS: i32 = 8 * 60 * 60;

fn zone() -> Option<FixedOffset> {
    FixedOffset::east_opt(OFFSET_SECONDS)
}

/// `time` on the providers' clock.
pub(super) fn write(time: Timestamp, format: &str) -> String {
    let shifted = time.to_chrono() + chrono::Duration::seconds(i64::from(OFFSET_SECONDS));
    shifted.format(format).to_string()
}

/// Reads a time on the providers' clock; parts of a second behind it are dropped.
pub(super) fn read(text: &str, format: &str) -> Option<Timestamp> {
    let text = text.split('.').next()?;
    let naive = NaiveDateTime::parse_from_str(text, format).ok()?;
    let local: DateTime<FixedOffset> = zone()?.from_local_datetime(&naive).single()?;
    Some(Timestamp::from(local.to_utc()))
}

/// Reads `1123101530`, a time on the providers' clock without its year: the year in which it is
/// closest to `near`.
pub(super) fn read_near(text: &str, near: Timestamp) -> Option<Timestamp> {
    if text.len() != 10 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let year: i32 = write(near, "%Y").parse().ok()?;
    let times = [year - 1, year, year + 1].map(|year| read(&format!("{year:04}{text}"), COMPACT));
    let distance = |time: &Timestamp| time.since(near).max(near.since(*time));
    times.into_iter().flatten().min_by_key(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_lead_back() {
        let time = Timestamp::from_micros(1_763_864_130_000_000);
        for format in [COMPACT, SPACED] {
            assert_eq!(read(&write(time, format), format), Some(time), "{format}");
        }
        assert_eq!(write(time, COMPACT), "20251123101530");
        assert_eq!(write(time, WITH_OFFSET), "2025-11-23T10:15:30+08:00");
        assert_eq!(write(time, WITH_OFFSET).parse(), Ok(time));
        assert_eq!(read("2025-11-23 10:15:30.123", SPACED), Some(time));
        assert_eq!(read("20251323101530", COMPACT), None);
    }

    #[test]
    fn a_time_without_its_year_is_the_closest_one() {
        let near = |text, near| read_near(text, read(near, COMPACT)?);
        let cases = [
            ("20261123101530", "1125080000", "20261125080000"),
            ("20261231235950", "0101000003", "20270101000003"),
            ("20270101000003", "1231235958", "20261231235958"),
            ("20280228235900", "0229000100", "20280229000100"),
        ];
        for (to, text, expected) in cases {
            let found = near(text, to).map(|time| write(time, COMPACT));
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
        for text in ["", "1332000000", "0229000100", "20261123101530", "-123101530"] {
            assert_eq!(near(text, "20261123101530"), None, "{text}");
        }
    }
}
