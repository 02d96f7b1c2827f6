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

impl Pushing {
    pub(crate) fn new(apns: Option<Apns>, probe_after: Duration) -> Self {
        Self { apns, stops: Stops::default(), probe_after }
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
