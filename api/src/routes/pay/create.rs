//! Making a bill.

use std::time::Duration;

use schemas::{
    BillRecord, BillSn, Currency, ErrorCode, Fen, JobRecord, Timestamp, UserId,
    bill::{ClosingReason, MAX_CLIENT_REF, MAX_SUBJECT_BYTES, NewBill},
    job::NewJob,
    kinds::{PayClose, pay_close::PayClosing},
};
use serde_json::Value;
use store::Insert;

use super::NewOrder;
use crate::{error::ApiError, routes::json_body::JsonBody, state::AppState};

/// Numbers that are tried when one is taken.
const TRIES: usize = 3;

/// Makes the bill that `body` describes, or finds the one that the caller has named so before;
/// says whether it is new.
///
/// # Errors
///
/// 400 that names the fields; 409 when the caller's name stands for another bill; 503 when the
/// same call should come again.
pub(super) async fn create(
    state: &AppState,
    caller: UserId,
    body: &JsonBody<NewOrder>,
) -> Result<(BillRecord, bool), ApiError> {
    let now = Timestamp::now();
    let new = read(body, caller, now + state.settings.bill_life)?;
    for _ in 0..TRIES {
        if let Some(known) = known(state, &new).await? {
            return Ok((known, false));
        }
        let bill = BillRecord::open(new.clone(), BillSn::generate(now), now);
        // A number that has an end already is another bill's.
        if schedule_end(state, &bill).await? == Insert::Taken {
            continue;
        }
        if state.store.bills.insert(&bill).await? == Insert::Stored {
            metrics::counter!("feat_bills_made_total").increment(1);
            state.made.note(&bill);
            return Ok((bill, true));
        }
    }
    Err(ApiError::unavailable(Duration::from_secs(1)))
}

/// The bill that the caller has named so before.
///
/// # Errors
///
/// 409 when it is about something else.
async fn known(state: &AppState, new: &NewBill) -> Result<Option<BillRecord>, ApiError> {
    let Some(name) = &new.client_ref else { return Ok(None) };
    let Some(known) = state.store.bills.by_client_ref(new.owner, name).await? else {
        return Ok(None);
    };
    let same = known.amount == new.amount
        && known.currency == new.currency
        && known.subject == new.subject;
    if same {
        return Ok(Some(known));
    }
    Err(ApiError::of(ErrorCode::Conflict, "This client_ref stands for another bill."))
}

/// Schedules the closing of a bill that nobody pays. Before the bill: so there is none without an
/// end. The end of one that was then not stored fails at its time, as `bill_not_found`.
async fn schedule_end(state: &AppState, bill: &BillRecord) -> Result<Insert, ApiError> {
    let payload = PayClosing { sn: bill.id.clone(), reason: ClosingReason::Overtime };
    let mut job = NewJob::of::<PayClose>(UserId::FEAT, &payload).map_err(ApiError::internal)?;
    job.unique_key = Some(payload.unique_key());
    job.run_at = Some(bill.expires_at);
    let job = JobRecord::accept(job, "api", Timestamp::now());
    Ok(state.store.jobs.insert(&job).await?)
}

fn read(
    body: &JsonBody<NewOrder>,
    owner: UserId,
    expires_at: Timestamp,
) -> Result<NewBill, ApiError> {
    let (amount, subject) = (amount(body), subject(body));
    let (currency, client_ref) = (currency(body), client_ref(body));
    // All that is wrong is said at once.
    let problems = [
        ("amount", amount.as_ref().err()),
        ("subject", subject.as_ref().err()),
        ("currency", currency.as_ref().err()),
        ("client_ref", client_ref.as_ref().err()),
    ];
    let mut error: Option<ApiError> = None;
    for (field, text) in problems.into_iter().filter_map(|(field, text)| Some((field, *text?))) {
        error = Some(match error {
            None => ApiError::invalid(field, text),
            Some(error) => error.and(field, text),
        });
    }
    match (amount, subject, currency, client_ref, error) {
        (Ok(amount), Ok(subject), Ok(currency), Ok(client_ref), None) => {
            Ok(NewBill { owner, amount, currency, subject, client_ref, expires_at })
        }
        (.., Some(error)) => Err(error),
        _ => Err(ApiError::invalid("non_field_errors", "The bill cannot be read.")),
    }
}

fn amount(body: &JsonBody<NewOrder>) -> Result<Fen, &'static str> {
    let value = body.get("amount").ok_or("This field is required.")?;
    value.as_i64().and_then(Fen::new).ok_or("Send a whole number of fen, at least 1.")
}

fn subject(body: &JsonBody<NewOrder>) -> Result<String, &'static str> {
    let value = body.get("subject").ok_or("This field is required.")?;
    let text = value.as_str().map(str::trim).unwrap_or_default();
    let fits = (1..=MAX_SUBJECT_BYTES).contains(&text.len());
    if fits && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err("Send 1 to 127 bytes without control characters.")
}

fn currency(body: &JsonBody<NewOrder>) -> Result<Currency, &'static str> {
    match body.get("currency") {
        None => Ok(Currency::Cny),
        Some(value) if value == Currency::Cny.code() => Ok(Currency::Cny),
        Some(_) => Err("Only CNY is taken."),
    }
}

fn client_ref(body: &JsonBody<NewOrder>) -> Result<Option<String>, &'static str> {
    let wrong = "Send 1 to 64 characters.";
    match body.get("client_ref") {
        None => Ok(None),
        Some(Value::String(text)) => {
            let fits = (1..=MAX_CLIENT_REF).contains(&text.chars().count());
            let plain = !text.chars().any(char::is_control);
            if fits && plain { Ok(Some(text.clone())) } else { Err(wrong) }
        }
        Some(_) => Err(wrong),
    }
}
