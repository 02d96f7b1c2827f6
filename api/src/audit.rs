//! Writing down who did what.

use schemas::audit::{Action, Actor, AuditRecord};
use store::{Insert, Store, StoreError};

use crate::state::RequestContext;

/// The audit record, as the API writes it.
#[derive(Clone)]
pub(crate) struct Audit(store::Audit);

impl Audit {
    pub(crate) fn new(store: &Store) -> Self {
        Self(store.audit.clone())
    }

    /// Adds an entry; repeating the same one is harmless.
    ///
    /// # Errors
    ///
    /// It may not be there. What it would be about must then be refused, if it can be.
    pub(crate) async fn record(&self, entry: &AuditRecord) -> Result<(), StoreError> {
        match self.0.insert(entry).await {
            Ok(Insert::Stored | Insert::Taken) => Ok(()),
            Err(error) => {
                let action = entry.action.name();
                metrics::counter!("feat_audit_failures_total", "action" => action).increment(1);
                Err(error)
            }
        }
    }

    /// Adds an entry about something that is refused or done already, so that nothing can be held
    /// back for it: a failure is counted and goes to the log with the entry.
    pub(crate) async fn note(&self, entry: &AuditRecord) {
        if let Err(error) = self.record(entry).await {
            tracing::error!(?error, ?entry, "an audit entry could not be stored");
        }
    }
}

impl RequestContext {
    /// An entry about `action` by `actor` in this request.
    pub(crate) fn entry(&self, action: Action, actor: &Actor) -> AuditRecord {
        let entry = AuditRecord::of(action, actor).request(&self.request_id);
        match self.address {
            Some(address) => entry.address(address),
            None => entry,
        }
    }
}

/// Says what the metric means, and begins it: somebody watches for its first increment.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(
        "feat_audit_failures_total",
        "Audit entries that could not be stored; they are in the log."
    );
    for action in Action::ALL {
        metrics::counter!("feat_audit_failures_total", "action" => action.name()).increment(0);
    }
}
