//! One representation of time everywhere: the public API, messages and both stores.
//!
//! ISO 8601 UTC with six fractional digits and `Z`. The text has a fixed width, so it sorts and
//! compares like the time it names, in MongoDB, in SQLite and by eye; BSON's own date would
//! lose the microseconds that the public API promises.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment in UTC, to the microsecond, between the years 0000 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

/// Where the digits of each part stand in the text that [`Timestamp`] prints, and what is around
/// them.
const TEMPLATE: &[u8; 27] = b"0000-00-00T00:00:00.000000Z";

/// The first moment of the year 0000 and the last one of 9999, in microseconds since 1970.
const FIRST: i64 = -62_167_219_200_000_000;
const LAST: i64 = 253_402_300_799_999_999;

impl Timestamp {
    /// The system clock's moment, cut to microseconds.
    #[must_use]
    pub fn now() -> Self {
        Self::from_micros(Utc::now().timestamp_micros())
    }

    /// The moment `micros` microseconds after 1970; values outside the range become its first or
    /// last moment, so that what is added to a moment never makes it an earlier one.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        let micros = micros.clamp(FIRST, LAST);
        Self(DateTime::from_timestamp_micros(micros).unwrap_or_default())
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// Whole seconds since 1970, as JWT claims count them.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.timestamp()
    }

    /// How long after `earlier` this is; zero when it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        (self.0 - earlier.0).to_std().unwrap_or_default()
    }

    /// The same moment for libraries that speak chrono.
    #[must_use]
    pub const fn to_chrono(self) -> DateTime<Utc> {
        self.0
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self::from_micros(time.timestamp_micros())
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        let later = i64::try_from(later.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.as_micros().saturating_add(later))
    }
}

impl std::ops::Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, earlier: Duration) -> Self {
        let earlier = i64::try_from(earlier.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.as_micros().saturating_sub(earlier))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.0.naive_utc();
        let mut text = *TEMPLATE;
        write_digits(&mut text[0..4], time.year().unsigned_abs());
        write_digits(&mut text[5..7], time.month());
        write_digits(&mut text[8..10], time.day());
        write_digits(&mut text[11..13], time.hour());
        write_digits(&mut text[14..16], time.minute());
        write_digits(&mut text[17..19], time.second());
        write_digits(&mut text[20..26], time.nanosecond() / 1_000);
        f.pad(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Fills `place` with the last decimal digits of `number`.
fn write_digits(place: &mut [u8], mut number: u32) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The number whose decimal digits these are; they are known to be digits.
fn read_digits(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

/// Reads the text that [`Timestamp`] prints. It is in every record many times over, so this does
/// not go through chrono's general parser.
fn read_exact(text: &[u8; TEMPLATE.len()]) -> Option<Timestamp> {
    let fits = |(byte, place): (&u8, &u8)| match place {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    if !text.iter().zip(TEMPLATE).all(fits) {
        return None;
    }
    let number = |from: usize, to: usize| read_digits(&text[from..to]);
    let year = i32::try_from(number(0, 4)).ok()?;
    let day = NaiveDate::from_ymd_opt(year, number(5, 7), number(8, 10))?;
    let time =
        day.and_hms_micro_opt(number(11, 13), number(14, 16), number(17, 19), number(20, 26))?;
    Some(Timestamp(time.and_utc()))
}

/// The text is no ISO 8601 time in UTC.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected an ISO 8601 time such as 2024-02-03T04:05:06.123456Z")]
pub struct NotATimestamp;

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    /// Reads the text that [`Timestamp`] prints, and any other RFC 3339 time that is in the range in
    /// UTC, too.
    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        if let Some(time) = text.as_bytes().try_into().ok().and_then(read_exact) {
            return Ok(time);
        }
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| NotATimestamp)?;
        let micros = time.timestamp_micros();
        if (FIRST..=LAST).contains(&micros) {
            Ok(Self::from_micros(micros))
        } else {
            Err(NotATimestamp)
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn text_has_six_digits_and_sorts_like_the_time() {
        let early = Timestamp::from_micros(1_706_933_106_123_456);
        let late = early + Duration::from_micros(1);

        assert_eq!(early.to_string(), "2024-02-03T04:05:06.123456Z");
        assert!(early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!(
            serde_json::from_str::<Timestamp>(&serde_json::to_string(&late).unwrap()).unwrap(),
            late
        );
    }

    #[test]
    fn every_moment_reads_back_and_agrees_with_chrono() {
        let mut moments = vec![FIRST, -1, 0, 1, 951_782_400_000_000, LAST];
        moments.extend((0..2_000).map(|step| FIRST + step * ((LAST - FIRST) / 2_000)));
        for micros in moments {
            let time = Timestamp::from_micros(micros);
            let text = time.to_string();

            assert_eq!(text, time.to_chrono().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
            assert_eq!(text.parse(), Ok(time), "{text}");
        }
        for (outside, nearest) in
            [(FIRST - 1, FIRST), (i64::MIN, FIRST), (LAST + 1, LAST), (i64::MAX, LAST)]
        {
            assert_eq!(Timestamp::from_micros(outside), Timestamp::from_micros(nearest));
        }
        let end = Timestamp::now() + Duration::MAX;
        assert_eq!(end, Timestamp::from_micros(LAST), "later is never earlier");
    }

    #[test]
    fn days_and_hours_that_do_not_exist_are_refused() {
        for text in [
            "2023-02-29T00:00:00.000000Z",
            "2023-13-01T00:00:00.000000Z",
            "2023-01-01T24:00:00.000000Z",
            "2023-01-01T00:60:00.000000Z",
            "2023-01-01 00:00:00,000000Z",
            "2023-01-01T00:00:0:.000000Z",
            "9999-12-31T23:59:59-01:00",
            "0000-01-01T00:00:00+01:00",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATimestamp), "{text}");
        }
    }

    #[test]
    fn other_offsets_are_read_and_nonsense_is_refused() {
        let noon = "2024-02-03T12:00:00+08:00".parse::<Timestamp>().unwrap();

        assert_eq!(noon.to_string(), "2024-02-03T04:00:00.000000Z");
        assert_eq!("yesterday".parse::<Timestamp>(), Err(NotATimestamp));
    }
}
