//! What requests say about cards, read and sealed at once.

use poem::Request;
use providers::payment::{Card, Gateway};
use schemas::{
    AccountId, ErrorCode, UserId,
    card::{CardNumber, SEALED_TEXT_CODE, SealedCard},
};
use secrecy::SecretString;
use serde_json::json;

use super::call::Call;
use crate::{
    auth::Caller,
    error::ApiError,
    routes::json_body::JsonBody,
    state::{AppState, RequestContext},
};

/// What the fingerprint of a request about a card is made for.
const REQUEST: &str = "card request";

/// A call about a card. The fingerprint of a request is kept, and a plain one of so few digits would
/// give them away.
pub(super) fn private_call<T>(
    state: &AppState,
    caller: &Caller,
    context: &RequestContext,
    request: &Request,
    body: &JsonBody<T>,
) -> Result<Call, ApiError> {
    let raw = String::from_utf8_lossy(body.raw());
    let digest = state.till.sealer.digest(REQUEST, &raw);
    Call::of(state, caller.user, context, request, digest.as_bytes())
}

/// The account that charges cards.
pub(super) fn charger(state: &AppState) -> Result<&Gateway, ApiError> {
    let taking = state.till.gateways.iter().find(|gateway| gateway.takes_cards());
    let text = "Cards are not taken here.";
    taking.ok_or_else(|| ApiError::invalid("account_no", text))
}

/// The card whose number `body` says, with `phone` where the call asks for it.
pub(super) fn named<T>(
    state: &AppState,
    body: &JsonBody<T>,
    phone: Option<SecretString>,
) -> Result<SealedCard, ApiError> {
    let number = body.required("account_no")?.as_str().unwrap_or_default();
    let number = CardNumber::read(number);
    let number = number.map_err(|_| ApiError::invalid("account_no", "Send 13 to 19 digits."))?;
    Card::new(number, phone).seal(&state.till.sealer).map_err(ApiError::internal)
}

/// The card in the wallet of `owner` that `account_id` names.
pub(super) async fn kept<T>(
    state: &AppState,
    owner: UserId,
    body: &JsonBody<T>,
) -> Result<SealedCard, ApiError> {
    let Some(id) = body.get("account_id") else {
        return Err(ApiError::invalid("account_no", "This field is required."));
    };
    let id = id.as_i64().and_then(AccountId::new);
    let wallet = state.store.wallets.get(owner).await?;
    let kept = id.and_then(|id| wallet.card(id));
    let kept = kept.map(|kept| kept.card.clone());
    kept.ok_or_else(|| ApiError::invalid("account_id", "There is no such account."))
}

/// The holder's telephone number.
pub(super) fn phone<T>(body: &JsonBody<T>) -> Result<SecretString, ApiError> {
    let phone = body.required("phone")?.as_str().filter(|phone| {
        (6..=20).contains(&phone.len()) && phone.bytes().all(|byte| byte.is_ascii_digit())
    });
    let phone = phone.ok_or_else(|| ApiError::invalid("phone", "Send 6 to 20 digits."))?;
    Ok(SecretString::from(phone))
}

/// The code that came to the holder, sealed.
pub(super) fn code<T>(state: &AppState, body: &JsonBody<T>) -> Result<String, ApiError> {
    let code = body.required("vcode")?.as_str();
    let code =
        code.filter(|code| code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()));
    let code = code.ok_or_else(|| ApiError::invalid("vcode", "Send six digits."))?;
    state.till.sealer.seal(SEALED_TEXT_CODE, code).map_err(ApiError::internal)
}

/// No code counts for the card now.
pub(super) fn no_code() -> ApiError {
    let error = ApiError::of(ErrorCode::Conflict, "Have a code sent first.");
    error.with_data(json!({ "reason": "no_code" }))
}
