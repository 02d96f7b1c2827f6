//! Push campaigns: fan-out into shards, and the sending of a shard.
//!
//! What must always hold: a target is marked in the store before its push leaves; a push whose
//! answer was recorded is never sent again; a push goes only to the device's owner of the moment
//! in which it leaves.

mod campaigns;
mod fan_out;
mod flight;
mod given_up;
mod moved;
mod run;
mod stops;
mod wake;

use std::time::Duration;

use providers::apns::Apns;
use schemas::{ApnsEnvironment, BundleId};

pub(crate) use campaigns::call_off;
pub(crate) use fan_out::fan_out;
pub(crate) use given_up::{give_up_fan_out, give_up_shard};
pub(crate) use run::run_shard;
pub(crate) use wake::wake;

use stops::Stops;

/// What every shard of one process shares.
pub(crate) struct Pushing {
    /// The way to Apple, if one is configured.
    apns: Option<Apns>,
    /// Apps that may not push at the moment.
    stops: Stops,
    /// Pause before one push is tried of an app that was stopped.
    probe_after: Duration,
}

/// Why Apple, or Feat itself, stops the pushes of an app.
const USUAL_REASONS: [&str; 6] = [
    "BadCertificate",
    "ExpiredProviderToken",
    "InvalidProviderToken",
    "NotConfigured",
    "TooManyProviderTokenUpdates",
    "TopicDisallowed",
];

impl Pushing {
    pub(crate) fn new(apns: Option<Apns>, probe_after: Duration) -> Self {
        begin_apps(&apns.as_ref().map(Apns::apps).unwrap_or_default());
        Self { apns, stops: Stops::default(), probe_after }
    }
}

/// Begins what is counted for each app, with the usual reasons of Apple; it may have others.
fn begin_apps(apps: &[BundleId]) {
    for app in apps.iter().map(ToString::to_string) {
        metrics::gauge!("feat_push_app_blocked", "app" => app.clone()).set(0);
        for reason in USUAL_REASONS {
            metrics::counter!("feat_push_blocks_total", "app" => app.clone(), "reason" => reason)
                .increment(0);
        }
        for environment in ApnsEnvironment::ALL.map(ApnsEnvironment::name) {
            metrics::counter!("feat_push_brakes_total",
                "app" => app.clone(), "environment" => environment)
            .increment(0);
        }
    }
}

/// Says what the metrics mean, and begins those that somebody watches for their first increment.
pub(crate) fn begin_counters() {
    metrics::describe_counter!(
        "feat_push_targets_total",
        "Targets of campaigns, by what became of them."
    );
    metrics::describe_counter!(
        "feat_push_blocks_total",
        "Times that all pushes of an app were stopped, by Apple's reason. An operator must act."
    );
    metrics::describe_counter!(
        "feat_push_given_up_total",
        "Shards and fan-outs whose job ended without success: `feat jobs retry` sends the rest."
    );
    metrics::describe_counter!(
        "feat_push_brakes_total",
        "Times that too many device tokens of an app would have gone at once, so that none went."
    );
    metrics::describe_gauge!(
        "feat_push_app_blocked",
        "1 while the pushes of an app are stopped for a reason that an operator must mend."
    );
    for what in ["shard", "fan_out"] {
        metrics::counter!("feat_push_given_up_total", "what" => what).increment(0);
    }
    for fate in ["accepted", "invalid", "expired", "cancelled", "unknown"] {
        metrics::counter!("feat_push_targets_total", "fate" => fate).increment(0);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::sync::Mutex;

    use metrics::{
        Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };

    use super::*;

    /// Remembers what was begun.
    #[derive(Default)]
    struct Begun(Mutex<Vec<String>>);

    impl Recorder for Begun {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.0.lock().unwrap().push(key.to_string());
            Counter::noop()
        }
        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            self.0.lock().unwrap().push(key.to_string());
            Gauge::noop()
        }
        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[test]
    fn what_is_watched_of_an_app_is_there_before_it_happens() {
        let (begun, app) = (Begun::default(), "com.example.notes");
        metrics::with_local_recorder(&begun, || begin_apps(&[app.parse().unwrap()]));
        let begun = begun.0.into_inner().unwrap();

        for name in ["feat_push_app_blocked", "feat_push_blocks_total", "feat_push_brakes_total"] {
            let is_there = begun.iter().any(|key| key.contains(name) && key.contains(app));
            assert!(is_there, "{name} is not in {begun:?}");
        }
    }
}
