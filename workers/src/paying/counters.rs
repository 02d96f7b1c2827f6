//! What people have to hear of. Every counter is there from the start, so that an alert sees its
//! first increment.

use schemas::{Channel, bill::Surplus};

const SURPLUS: &str = "feat_bill_surplus_total";
const CONTRADICTIONS: &str = "feat_bill_contradictions_total";
const UNKNOWN: &str = "feat_pay_unknown_total";
const FOREIGN: &str = "feat_notices_foreign_total";

/// Describes every counter and begins it at zero.
pub(crate) fn begin() {
    metrics::describe_counter!(
        SURPLUS,
        "Payments that do not count (a second one, after the close, another sum); their refunds \
         are held for approval."
    );
    metrics::describe_counter!(
        CONTRADICTIONS,
        "Words of a provider that contradict what it said before; the first truth stays."
    );
    metrics::describe_counter!(
        UNKNOWN,
        "Runs that ended without knowing whether money moved; the job asks until it knows."
    );
    metrics::describe_counter!(
        FOREIGN,
        "Genuine notices about nothing that was begun here at that account."
    );
    for why in Surplus::ALL {
        metrics::counter!(SURPLUS, "why" => why.name()).increment(0);
    }
    metrics::counter!(CONTRADICTIONS).increment(0);
    metrics::counter!(UNKNOWN).increment(0);
    for channel in Channel::ALL {
        metrics::counter!(FOREIGN, "channel" => channel.name()).increment(0);
    }
}

/// A payment does not count.
pub(crate) fn surplus(why: Surplus) {
    metrics::counter!(SURPLUS, "why" => why.name()).increment(1);
}

/// A provider contradicts what is recorded.
pub(crate) fn contradiction() {
    metrics::counter!(CONTRADICTIONS).increment(1);
}

/// A run ended without knowing whether money moved.
pub(crate) fn unknown() {
    metrics::counter!(UNKNOWN).increment(1);
}

/// A genuine notice is about nothing of ours.
pub(crate) fn foreign_notice(channel: Channel) {
    metrics::counter!(FOREIGN, "channel" => channel.name()).increment(1);
}
