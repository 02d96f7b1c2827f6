//! What the metrics of this crate mean.

/// Describes each of them, for the page of a recorder that is installed already.
pub(crate) fn all() {
    metrics::describe_counter!(
        "feat_apns_connections_total",
        "Connections to Apple, by what became of them."
    );
    metrics::describe_gauge!("feat_apns_in_flight", "Pushes that wait for Apple's answer.");
    metrics::describe_counter!("feat_apns_pushes_total", "Pushes, by how Apple answered.");
    metrics::describe_histogram!(
        "feat_apns_send_seconds",
        "Time from a push to Apple's answer, with the wait for a stream."
    );
    metrics::describe_gauge!(
        "feat_apns_credential_expires_seconds",
        "Seconds until an app's certificate expires."
    );
    metrics::describe_gauge!(
        "feat_payment_breaker_state",
        "Whether calls to a provider's account pass: 0 yes, 1 one at a time as a trial, 2 no."
    );
    metrics::describe_histogram!(
        "feat_payment_call_seconds",
        "Time that a payment provider took to answer, by call and outcome."
    );
    metrics::describe_gauge!(
        "feat_payment_certificate_not_after_seconds",
        "When a certificate for payments expires, in seconds since 1970."
    );
    metrics::describe_gauge!(
        "feat_payment_keys_stale",
        "1 while the keys of an account on the disk cannot be used and the earlier ones serve on."
    );
    metrics::describe_counter!(
        "feat_webhooks_total",
        "Messages to the back ends of apps, by endpoint and answer."
    );
}
