//! The brake: no cohort loses more than a set share of its devices in a short time.
//!
//! When a build registers in the wrong way, a key is mixed up or a clock runs wild, many tokens
//! look dead at once. Those that are put aside can be taken back, so they stay so until an operator
//! has looked: nothing of a cohort goes any more while too much would go.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cohort;
use crate::{
    apns::{ApnsEnvironment, BundleId},
    time::Timestamp,
};

/// Spans of time that losses are counted in.
const SLOTS: u32 = 24;

/// How much a cohort may lose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrakePolicy {
    /// Most of its devices that may go within the window, in hundredths.
    pub percent: u64,
    /// So many may go whatever the share, or small cohorts would always be held.
    pub least: u64,
    /// The window.
    pub window: Duration,
}

impl Default for BrakePolicy {
    fn default() -> Self {
        Self { percent: 20, least: 20, window: Duration::from_hours(24) }
    }
}

/// What is known of a cohort's losses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CohortRecord {
    /// Its name, see [`cohort`].
    pub id: String,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// The app.
    pub app: BundleId,
    /// The environment.
    pub environment: ApnsEnvironment,
    /// What it lost lately, oldest first.
    pub losses: Vec<Loss>,
    /// Since when the brake holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_since: Option<Timestamp>,
    /// Devices that wait behind the brake, when it was last looked at.
    #[serde(default)]
    pub held: u64,
    /// Until when an operator lets everything go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_until: Option<Timestamp>,
    /// That operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_by: Option<String>,
}

/// What was lost from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The moment.
    pub from: Timestamp,
    /// Devices.
    pub count: u64,
}

/// What may become of the devices that are due to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weighed {
    /// They may: save the record first, which has counted them.
    Go(CohortRecord),
    /// They stay; the record says so.
    Held(CohortRecord),
}

impl CohortRecord {
    /// The record of a cohort that has lost nothing.
    #[must_use]
    pub fn new(app: BundleId, environment: ApnsEnvironment) -> Self {
        Self {
            id: cohort(&app, environment),
            version: 1,
            app,
            environment,
            losses: Vec::new(),
            held_since: None,
            held: 0,
            released_until: None,
            released_by: None,
        }
    }

    /// Decides at `now` whether `due` of the `size` devices that the cohort has may go. All of them
    /// or none: a part would go again and again.
    #[must_use]
    pub fn weigh(mut self, due: u64, size: u64, policy: &BrakePolicy, now: Timestamp) -> Weighed {
        self.version += 1;
        self.losses.retain(|loss| now.since(loss.from) < policy.window);
        let lost: u64 = self.losses.iter().map(|loss| loss.count).sum();
        let before = size.saturating_add(lost);
        let most = (before.saturating_mul(policy.percent) / 100).max(policy.least);
        if lost.saturating_add(due) > most && !self.is_released(now) {
            self.held_since.get_or_insert(now);
            self.held = due;
            return Weighed::Held(self);
        }
        self.held_since = None;
        self.held = 0;
        if due > 0 {
            self.count(due, policy, now);
        }
        Weighed::Go(self)
    }

    fn count(&mut self, due: u64, policy: &BrakePolicy, now: Timestamp) {
        let slot = policy.window / SLOTS;
        match self.losses.last_mut().filter(|loss| now.since(loss.from) < slot) {
            Some(loss) => loss.count += due,
            None => self.losses.push(Loss { from: now, count: due }),
        }
    }

    /// Whether an operator lets everything go at `now`.
    #[must_use]
    pub fn is_released(&self, now: Timestamp) -> bool {
        self.released_until.is_some_and(|until| now < until)
    }

    /// An operator lets everything go until `until`.
    #[must_use]
    pub fn release(mut self, operator: &str, until: Timestamp) -> Self {
        self.version += 1;
        self.released_until = Some(until);
        self.released_by = Some(operator.to_owned());
        self
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn fresh() -> CohortRecord {
        CohortRecord::new("com.example.notes".parse().unwrap(), ApnsEnvironment::Production)
    }

    fn go(weighed: Weighed) -> CohortRecord {
        match weighed {
            Weighed::Go(record) => record,
            Weighed::Held(record) => panic!("held: {record:?}"),
        }
    }

    #[test]
    fn too_many_at_once_stay_and_a_few_always_go() {
        let policy = BrakePolicy::default();
        let now = Timestamp::now();
        let rows = [
            ("a fifth", 200, 1_000, true),
            ("more than a fifth", 201, 1_000, false),
            ("all of a small cohort", 20, 20, true),
            ("more than that", 21, 21, false),
        ];
        for (name, due, size, goes) in rows {
            let weighed = fresh().weigh(due, size, &policy, now);
            assert_eq!(matches!(weighed, Weighed::Go(_)), goes, "{name}");
        }
    }

    #[test]
    fn what_goes_bit_by_bit_adds_up_within_the_window_alone() {
        let policy = BrakePolicy::default();
        let start = Timestamp::now();
        let (mut cohort, mut lost) = (fresh(), 0);
        for hour in 0..20 {
            let now = start + Duration::from_hours(hour);
            cohort = go(cohort.weigh(10, 1_000 - lost, &policy, now));
            lost += 10;
        }
        let now = start + Duration::from_hours(20);
        let Weighed::Held(held) = cohort.weigh(10, 800, &policy, now) else { panic!("gone") };
        assert_eq!((held.held_since, held.held), (Some(now), 10));
        let later = start + Duration::from_hours(25);
        let cohort = go(held.weigh(10, 800, &policy, later));
        assert_eq!((cohort.held_since, cohort.held), (None, 0), "the first two hours are over");
        assert!(cohort.losses.len() <= 25);
    }

    #[test]
    fn an_operator_lets_everything_go_for_a_while() {
        let policy = BrakePolicy::default();
        let now = Timestamp::now();
        let until = now + Duration::from_hours(1);
        let released = fresh().release("operator ada", until);
        assert!(matches!(released.clone().weigh(900, 900, &policy, now), Weighed::Go(_)));
        assert!(matches!(released.weigh(900, 900, &policy, until), Weighed::Held(_)));
    }
}
