//! The time that the simulators live in: the machine's, or one that a test moves.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, FixedOffset, NaiveDateTime, SubsecRound, TimeDelta, Utc};

/// The clock of the simulators.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock; time passes by itself.
    #[default]
    System,
    /// A clock that stands until [`crate::Running::advance`] moves it.
    Manual(ManualClock),
}

impl Clock {
    /// A clock that stands at `start` until it is moved.
    #[must_use]
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self::Manual(ManualClock(Arc::new(Mutex::new(start.trunc_subsecs(0)))))
    }

    /// What time it is for the simulators.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::System => Utc::now(),
            Self::Manual(clock) => clock.now(),
        }
    }
}

/// A moment that only moves forward, and only by hand. Clones share it.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<DateTime<Utc>>>);

impl ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves to `moment`; never back.
    pub(crate) fn move_to(&self, moment: DateTime<Utc>) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = moment.max(*now);
    }
}

/// `span` as a difference of times; spans beyond 290 million years count as that.
pub(crate) fn span(span: Duration) -> TimeDelta {
    TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX)
}

/// The providers' wall clock, which is Beijing's.
pub(crate) fn beijing(moment: DateTime<Utc>) -> DateTime<FixedOffset> {
    match FixedOffset::east_opt(8 * 3600) {
        Some(offset) => moment.with_timezone(&offset),
        None => moment.fixed_offset(),
    }
}

/// `moment` in Beijing as 14 digits, `yyyyMMddHHmmss`.
pub(crate) fn digits(moment: DateTime<Utc>) -> String {
    beijing(moment).format("%Y%m%d%H%M%S").to_string()
}

/// `moment` in Beijing as `yyyy-MM-dd HH:mm:ss`.
pub(crate) fn spaced(moment: DateTime<Utc>) -> String {
    beijing(moment).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// `moment` in Beijing as RFC 3339 with its offset.
pub(crate) fn rfc3339(moment: DateTime<Utc>) -> String {
    beijing(moment).format("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// Reads 14 digits of Beijing time.
pub(crate) fn parse_digits(text: &str) -> Option<DateTime<Utc>> {
    let plain = text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| parse(text, "%Y%m%d%H%M%S")).flatten()
}

/// Reads `yyyy-MM-dd HH:mm:ss` of Beijing time.
pub(crate) fn parse_spaced(text: &str) -> Option<DateTime<Utc>> {
    (text.len() == 19).then(|| parse(text, "%Y-%m-%d %H:%M:%S")).flatten()
}

fn parse(text: &str, form: &str) -> Option<DateTime<Utc>> {
    let local = NaiveDateTime::parse_from_str(text, form).ok()?;
    let offset = FixedOffset::east_opt(8 * 3600)?;
    Some(local.and_local_timezone(offset).single()?.to_utc())
}
