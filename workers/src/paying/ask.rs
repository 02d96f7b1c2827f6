//! Calling a provider, and what its silence means.

use std::time::Duration;

use providers::payment::{Call, Gateway, ProviderError, RefundRef, TradeRef};
use schemas::{
    BillRecord, Channel, JobError, Timestamp,
    bill::{Attempt, Refund},
    job::CallNote,
};
use serde_json::Value;

use super::counters;
use crate::handler::Context;

/// Pause before a call that cannot be made because an account is not set up.
const SETUP_PAUSE: Duration = Duration::from_mins(1);

/// One account, and the record of what was said to it.
pub(crate) struct Provider<'a> {
    ctx: &'a Context,
    pub(crate) gateway: &'a Gateway,
}

/// The account `app` at `channel`.
///
/// # Errors
///
/// [`JobError::Again`] while it is not configured here.
pub(crate) fn provider<'a>(
    ctx: &'a Context,
    channel: Channel,
    app: &str,
) -> Result<Provider<'a>, JobError> {
    let gateway = ctx.till.gateway(channel, app).ok_or_else(|| JobError::Again {
        after: Some(SETUP_PAUSE),
        reason: format!("no account {app} at {channel}"),
    })?;
    Ok(Provider { ctx, gateway })
}

impl Provider<'_> {
    /// Keeps the trail of a call for the job's record.
    pub(crate) fn note(&self, call: Call) {
        for exchange in call.trail.exchanges {
            let at = exchange.at;
            let exchange = serde_json::to_value(exchange).unwrap_or(Value::Null);
            let to = format!("{} {}", self.gateway.channel(), self.gateway.name());
            self.ctx.note_call(CallNote { at, to, exchange });
        }
    }
}

/// Names an attempt at its provider.
pub(crate) fn trade_ref(bill: &BillRecord, attempt: &Attempt) -> TradeRef {
    let payment = bill.payments.iter().find(|payment| payment.attempt == attempt.number);
    TradeRef {
        key: attempt.key.clone(),
        begun_at: attempt.sent_at,
        transaction_id: payment.map(|payment| payment.transaction_id.clone()),
        card: attempt.card.is_some(),
    }
}

/// Names a refund at its provider. `None` for a refund of no attempt, which there is not.
pub(crate) fn refund_ref(bill: &BillRecord, refund: &Refund) -> Option<RefundRef> {
    Some(RefundRef {
        trade: trade_ref(bill, bill.attempt(refund.attempt)?),
        key: refund.key.clone(),
        begun_at: refund.sent_at.unwrap_or(refund.opened_at),
    })
}

/// What the job does when a question, which changes nothing, got no answer.
pub(crate) fn question_failed(error: ProviderError) -> JobError {
    match error {
        ProviderError::Throttled(after)
        | ProviderError::NotSent { after, .. }
        | ProviderError::NotNow { after, .. } => {
            JobError::Throttled { until: Timestamp::now() + after }
        }
        ProviderError::Misconfigured(reason) => {
            JobError::Again { after: Some(SETUP_PAUSE), reason }
        }
        ProviderError::Refused(_)
        | ProviderError::Conflict(_)
        | ProviderError::OutcomeUnknown(_) => JobError::again(error),
    }
}

/// What became of `what` is not known after all questions: an operator has to find out.
pub(crate) fn leave_to_operator(what: String) -> JobError {
    counters::unknown();
    JobError::Unknown { ask: what, again: None }
}

/// The job's outcome is not known: ask about `what` after a while, or leave it to an operator.
pub(crate) fn ask_again(ctx: &Context, what: String) -> JobError {
    let now = Timestamp::now();
    let elapsed = now.since(ctx.unknown_since.unwrap_or(now));
    counters::unknown();
    JobError::Unknown { ask: what, again: ctx.pace.again(elapsed) }
}
