//! Paying back a bill.

use schemas::{
    BillRecord, BillSn, Fen, Queue,
    bill::{BillRefusal, MAX_REASON_BYTES},
    job::NewJob,
    kinds::{PayRefund, pay_refund::RefundWish},
};
use serde_json::{Value, json};

use super::{Call, RefundBegun, RefundOrder, order::conflict, own};
use crate::{
    error::ApiError, intake::ResultReply, routes::json_body::JsonBody, state::AppState,
    view::Resource,
};

/// Starts the refund that `body` describes. What it may take is decided when it runs: this only
/// says early what cannot be.
///
/// # Errors
///
/// 400 that names the field; 404 for what is not the caller's; 409 when nothing was paid.
pub(super) async fn refund(
    state: &AppState,
    call: Call,
    sn: BillSn,
    body: &JsonBody<RefundOrder>,
) -> Result<ResultReply<Resource<RefundBegun>>, ApiError> {
    let bill = own(state, call.user, &sn).await?;
    // What is left of the payment now says nothing about what an earlier call has started.
    let earlier = call.earlier(state).await?;
    let replay = earlier.and_then(|job| job.payload["amount"].as_i64()).and_then(Fen::new);
    let amount = match amount(body, &bill) {
        Err(_) if replay.is_some() => replay,
        other => Some(other?),
    };
    let Some(amount) = amount else { return Err(conflict(BillRefusal::NotPaid)) };
    if replay.is_none() {
        bill.may_refund(amount).map_err(|refusal| match refusal {
            BillRefusal::ExceedsPaid => {
                ApiError::invalid("amount", "The refunds would exceed what was paid.")
            }
            other => conflict(other),
        })?;
    }
    let wish = RefundWish { sn, amount, reason: reason(body)?, held: None };
    let mut job = NewJob::of::<PayRefund>(call.user, &wish).map_err(ApiError::internal)?;
    let attempt = bill.payment().and_then(|payment| bill.attempt(payment.attempt));
    job.queue = attempt.map(|attempt| Queue::of_channel(attempt.channel));
    call.run(state, job, async |output| Ok(json!({ "data": output }))).await
}

fn amount(body: &JsonBody<RefundOrder>, bill: &BillRecord) -> Result<Fen, ApiError> {
    if let Some(value) = body.get("amount") {
        let amount = value.as_i64().and_then(Fen::new);
        let wrong = || ApiError::invalid("amount", "Send a whole number of fen, at least 1.");
        return amount.ok_or_else(wrong);
    }
    let payment = bill.payment().ok_or_else(|| conflict(BillRefusal::NotPaid))?;
    let left = payment.amount.get() - bill.taken(payment.attempt);
    Fen::new(left).ok_or_else(|| conflict(BillRefusal::ExceedsPaid))
}

fn reason(body: &JsonBody<RefundOrder>) -> Result<String, ApiError> {
    match body.get("reason") {
        None => Ok(String::new()),
        Some(Value::String(text))
            if text.len() <= MAX_REASON_BYTES && !text.chars().any(char::is_control) =>
        {
            Ok(text.clone())
        }
        Some(_) => Err(ApiError::invalid("reason", "Send at most 80 bytes.")),
    }
}
