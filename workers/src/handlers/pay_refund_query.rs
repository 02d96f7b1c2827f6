//! Looks how one refund stands at its provider.

use providers::payment::Call;
use schemas::{
    JobError,
    bill::{Refund, RefundState, Source},
    kinds::{PayRefundQuery, pay_refund::RefundStanding, pay_refund_query::RefundLook},
};

use super::pay_refund::standing;
use crate::{
    handler::{Context, Handler, Undo},
    paying::{
        is_last_refund_look, leave_to_operator, load, look_at_refund, provider, question_failed,
        refund_ref, take_in_refund,
    },
};

impl Handler for PayRefundQuery {
    async fn run(ctx: &Context, look: &RefundLook) -> Result<RefundStanding, JobError> {
        const NONE: JobError = JobError::Rejected("no_such_refund");
        let bill = load(ctx, &look.sn).await?;
        let refund = bill.refund(look.refund).cloned().ok_or(NONE)?;
        if !is_asked_about(&refund, look) {
            return Ok(standing(&bill, &refund));
        }
        let attempt = bill.attempt(refund.attempt).ok_or(NONE)?;
        let at = provider(ctx, attempt.channel, &attempt.app)?;
        let name = refund_ref(&bill, &refund).ok_or(NONE)?;
        let mut call = Call::default();
        let heard = at.gateway.query_refund(&name, &mut call).await;
        at.note(call);
        let heard = heard.map_err(question_failed)?;
        let bill = take_in_refund(ctx, bill, look.refund, &heard, Source::Query).await?;
        let refund = bill.refund(look.refund).ok_or(NONE)?;
        match look.look.filter(|_| refund.state.is_under_way()) {
            Some(number) if is_last_refund_look(number) => {
                return Err(leave_to_operator(format!("refund {}", refund.key)));
            }
            Some(number) => look_at_refund(ctx, &bill, refund, Some(number + 1)).await?,
            None => {}
        }
        Ok(standing(&bill, refund))
    }

    async fn undo(_: &Context, _: &RefundLook) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}

/// Whether there is anything to hear. Whoever asks out of turn has heard of the refund from its
/// provider: then one that was refused is asked about, too, because the money may be back after all.
fn is_asked_about(refund: &Refund, look: &RefundLook) -> bool {
    refund.state.is_under_way() || (look.look.is_none() && refund.state == RefundState::Refused)
}
