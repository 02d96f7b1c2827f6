//! One representation of time everywhere: the public API, messages and both stores.
//!
//! ISO 8601 UTC with six fractional digits and `Z`. The text has a fixed width, so it sorts and
//! compares like the time it names, in MongoDB, in SQLite and by eye; BSON's own date would
//! lose the microseconds that the public API promises.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use chrono::{DateTime, NaiveDateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment in UTC, to the microsecond, between the years 0000 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

const FORMAT: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

impl Timestamp {
    /// The system clock's moment, cut to microseconds.
    #[must_use]
    pub fn now() -> Self {
        Self::from_micros(Utc::now().timestamp_micros())
    }

    /// The moment `micros` microseconds after 1970; values outside the range become 1970.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
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
        write!(f, "{}", self.0.format(FORMAT))
    }
}

/// The text is no ISO 8601 time in UTC.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected an ISO 8601 time such as 2024-02-03T04:05:06.123456Z")]
pub struct NotATimestamp;

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    /// Reads the text that [`Timestamp`] prints, and any other RFC 3339 time.
    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, FORMAT) {
            return Ok(Self::from(time.and_utc()));
        }
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| NotATimestamp)?;
        Ok(Self::from(time.with_timezone(&Utc)))
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
    fn other_offsets_are_read_and_nonsense_is_refused() {
        let noon = "2024-02-03T12:00:00+08:00".parse::<Timestamp>().unwrap();

        assert_eq!(noon.to_string(), "2024-02-03T04:00:00.000000Z");
        assert_eq!("yesterday".parse::<Timestamp>(), Err(NotATimestamp));
    }
}
