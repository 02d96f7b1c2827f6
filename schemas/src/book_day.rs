//! One day on the books of a payment provider.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use chrono::NaiveDate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{payment::Channel, time::Timestamp};

/// Beijing is this far ahead of UTC, all year.
const BEIJING: Duration = Duration::from_hours(8);

/// UnionPay's day of settlement begins this long before midnight.
const SETTLED_EARLIER: Duration = Duration::from_hours(1);

const DAY: Duration = Duration::from_hours(24);

/// After the end of a day, this long until every provider has published its bill: 10:00 in Beijing.
const PUBLISHED: Duration = Duration::from_hours(10);

/// A date by which providers keep their books: Beijing time, and for `UnionPay` the day of
/// settlement, from 23:00 to 23:00. Written as `2026-11-23`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BookDay(NaiveDate);

/// The text is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a date between 2000 and 2999, such as 2026-11-23")]
pub struct NoDay;

impl BookDay {
    /// The day to which `channel` counts the moment `at`.
    #[must_use]
    pub fn of(channel: Channel, at: Timestamp) -> Self {
        Self((at + BEIJING + earlier(channel)).to_chrono().date_naive())
    }

    /// The latest day whose bill every provider has published at `now`.
    #[must_use]
    pub fn published(now: Timestamp) -> Self {
        Self((now + BEIJING - DAY - PUBLISHED).to_chrono().date_naive())
    }

    /// The date.
    #[must_use]
    pub const fn date(self) -> NaiveDate {
        self.0
    }

    /// The day before.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.pred_opt().unwrap_or(self.0))
    }

    /// The first moment that `channel` counts to this day.
    #[must_use]
    pub fn begins(self, channel: Channel) -> Timestamp {
        self.midnight() - earlier(channel)
    }

    /// The first moment that `channel` counts to the next day.
    #[must_use]
    pub fn ends(self, channel: Channel) -> Timestamp {
        self.begins(channel) + DAY
    }

    /// When every provider has published the bill of this day.
    #[must_use]
    pub fn published_at(self) -> Timestamp {
        self.midnight() + DAY + PUBLISHED
    }

    /// Midnight in Beijing.
    fn midnight(self) -> Timestamp {
        Timestamp::from(self.0.and_time(chrono::NaiveTime::MIN).and_utc()) - BEIJING
    }
}

const fn earlier(channel: Channel) -> Duration {
    match channel {
        Channel::UnionPay => SETTLED_EARLIER,
        Channel::Alipay | Channel::WeChatPay => Duration::ZERO,
    }
}

impl fmt::Display for BookDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for BookDay {
    type Err = NoDay;

    fn from_str(text: &str) -> Result<Self, NoDay> {
        let fits = text.len() == 10 && text.starts_with('2');
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| fits);
        day.map(Self).ok_or(NoDay)
    }
}

impl Serialize for BookDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BookDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for BookDay {
    fn schema_name() -> Cow<'static, str> {
        "BookDay".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date" })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn each_provider_counts_a_moment_to_its_own_day() {
        let cases = [
            ("noon", "2026-11-22T12:00:00+08:00", "2026-11-22", "2026-11-22"),
            ("evening", "2026-11-22T23:00:00+08:00", "2026-11-22", "2026-11-23"),
            ("before the cut", "2026-11-22T22:59:59+08:00", "2026-11-22", "2026-11-22"),
            ("in UTC still the day before", "2026-11-22T17:00:00Z", "2026-11-23", "2026-11-23"),
            ("end of the year", "2026-12-31T23:30:00+08:00", "2026-12-31", "2027-01-01"),
        ];
        for (name, text, usual, settled) in cases {
            let days = [Channel::WeChatPay, Channel::Alipay, Channel::UnionPay]
                .map(|channel| BookDay::of(channel, at(text)));
            assert_eq!(days.map(|day| day.to_string()), [usual, usual, settled], "{name}");
            for (channel, day) in
                [Channel::WeChatPay, Channel::Alipay, Channel::UnionPay].into_iter().zip(days)
            {
                assert!(day.begins(channel) <= at(text) && at(text) < day.ends(channel), "{name}");
            }
        }
    }

    #[test]
    fn a_bill_is_there_from_ten_oclock_on() {
        let day: BookDay = "2026-11-22".parse().unwrap();

        assert_eq!(day.published_at(), at("2026-11-23T10:00:00+08:00"));
        assert_eq!(BookDay::published(at("2026-11-23T10:00:00+08:00")), day);
        assert_eq!(BookDay::published(at("2026-11-23T09:59:59+08:00")), day.before());
    }

    #[test]
    fn dates_are_read_as_they_are_written() {
        for text in ["2026-2-3", "1999-12-31", "2026-02-30", "2026-11-23T00:00:00Z", "20261123"] {
            assert_eq!(text.parse::<BookDay>(), Err(NoDay), "{text}");
        }
        let day: BookDay = serde_json::from_str("\"2026-02-03\"").unwrap();
        assert_eq!(serde_json::to_string(&day).unwrap(), "\"2026-02-03\"");
    }
}
