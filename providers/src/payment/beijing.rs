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
}
