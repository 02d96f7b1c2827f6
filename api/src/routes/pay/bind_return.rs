//! A consent in the browser: where it begins, and where it comes back.
//!
//! The state is the only tie between the two, because the browser brings no token. It has 256 random
//! bits, is stored as its digest, belongs to one user, counts once and for ten minutes. Where the
//! browser goes afterwards is checked when it begins and stored with it, so no address in the
//! browser's hands leads anywhere.

use std::{fmt::Write, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use providers::payment::Gateway;
use schemas::{
    Channel, JobState, RedirectUri, Timestamp, UserId, binding::BindStateRecord, redirect,
};
use store::{Insert, Save};

use super::binding::{exchange, is_code, not_set_up};
use crate::{
    auth::Caller,
    error::ApiError,
    intake::{self, Patience},
    settings::Origin,
    state::{AppState, RequestContext},
};

/// How long a consent may take.
const STATE_LIFE: Duration = Duration::from_mins(10);

/// How long a browser is kept waiting for the exchange.
const WAIT: &str = "wait=15";

/// Longest wait, whatever the settings say of others.
const MAX_WAIT: Duration = Duration::from_secs(15);

/// What a browser brings back.
pub(super) struct Consent {
    /// Which consent it is.
    pub(super) state: Option<String>,
    /// What it is exchanged for; absent when the person refused.
    pub(super) code: Option<String>,
    /// The app that was consented to, where the provider says it.
    pub(super) app_id: Option<String>,
}

/// The address `wanted`, if its origin is registered: Feat's own, one of the pages that may call the
/// API, or that of a redirect address of the caller's client. Feat's own address without one.
///
/// # Errors
///
/// 400 that names the field.
pub(super) async fn address(
    state: &AppState,
    caller: &Caller,
    wanted: Option<&str>,
) -> Result<String, ApiError> {
    let own = &state.settings.public_url;
    let Some(wanted) = wanted else { return Ok(own.clone()) };
    let refused = || ApiError::invalid("redirect_to", "Its origin is not registered.");
    // Only what every parser reads in the same way is an address.
    let address: RedirectUri = wanted.parse().map_err(|_| refused())?;
    let origin = origin_of(address.as_str()).ok_or_else(refused)?;
    let mut registered = vec![own.clone()];
    registered.extend(state.settings.cors.list.iter().map(|one| one.as_str().to_owned()));
    if let Some(client) = &caller.client {
        let client = state.store.clients.get(client).await?;
        let client = client.filter(|client| client.disabled_at.is_none());
        let addresses = client.into_iter().flat_map(|client| client.redirect_uris);
        registered.extend(addresses.map(|address| address.as_str().to_owned()));
    }
    let known = registered.iter().any(|one| origin_of(one).as_ref() == Some(&origin));
    if known { Ok(address.as_str().to_owned()) } else { Err(refused()) }
}

/// The origin of an address, in one spelling.
fn origin_of(address: &str) -> Option<String> {
    let origin = redirect::origin(address)?;
    Some(Origin::parse(&origin).map_or(origin, |origin| origin.as_str().to_owned()))
}

/// Begins a consent for `user`; answers with the provider's page.
///
/// # Errors
///
/// 501 when the account binds nobody; 503.
pub(super) async fn begin(
    state: &AppState,
    user: UserId,
    gateway: &Gateway,
    redirect_to: String,
) -> Result<String, ApiError> {
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let path = match gateway.channel() {
        Channel::WeChatPay => "/api/pay/wechat_auth_return/",
        Channel::Alipay | Channel::UnionPay => "/api/pay/alipay_auth_return/",
    };
    let back = format!("{}{path}", state.till.public_url);
    let page = gateway.consent_url(&back, Some(&token));
    let page = page.ok_or_else(|| not_set_up(gateway.channel()))?;
    let now = Timestamp::now();
    let record = BindStateRecord {
        id: digest_of(&token),
        version: 1,
        owner: user,
        channel: gateway.channel(),
        app: gateway.name().to_owned(),
        redirect_to,
        created_at: now,
        expires_at: now + STATE_LIFE,
        used_at: None,
    };
    match state.store.bindings.begin(&record).await? {
        Insert::Stored => Ok(page),
        Insert::Taken => Err(ApiError::unavailable(Duration::from_secs(1))),
    }
}

/// Takes a browser that comes back from `channel`: exchanges the code for the user who began, and
/// answers with where the browser goes.
///
/// # Errors
///
/// 400 for a state that does not count: unknown, used, too old, of another provider or app.
pub(super) async fn finish(
    state: &AppState,
    channel: Channel,
    consent: Consent,
    context: &RequestContext,
) -> Result<String, ApiError> {
    let refused = || ApiError::invalid("state", "Begin again: this consent does not count.");
    let token = consent.state.filter(|token| token.len() == 43).ok_or_else(refused)?;
    let known = state.store.bindings.state(&digest_of(&token)).await?.ok_or_else(refused)?;
    let used = known.consume(channel, Timestamp::now()).ok_or_else(refused)?;
    let gateway = state.till.gateway(channel, &used.app);
    let gateway = gateway.ok_or_else(|| not_set_up(channel))?;
    let foreign = |id: &String| gateway.app_id() != Some(id);
    if consent.app_id.as_ref().is_some_and(foreign) {
        return Err(refused());
    }
    // Of several who come back with one state, one goes on.
    if state.store.bindings.consume(&used).await? == Save::Stale {
        return Err(refused());
    }
    let Some(code) = consent.code.filter(|code| is_code(code)) else {
        return Ok(failed(&used.redirect_to, "refused"));
    };
    let mut job = exchange(state, used.owner, gateway, &code)?;
    job.unique_key = Some(format!("pay.bind:{}", used.id));
    job.request_id = Some(context.request_id.clone());
    job.trace_parent.clone_from(&context.trace_parent);
    let patience = Patience::of(Some(WAIT), Duration::ZERO, MAX_WAIT);
    let started = intake::start(state, job, patience).await?;
    Ok(match started.job.state {
        JobState::Succeeded => used.redirect_to,
        JobState::Failed | JobState::Cancelled | JobState::Dead => {
            failed(&used.redirect_to, "failed")
        }
        _ => failed(&used.redirect_to, "pending"),
    })
}

/// The address with a word about why nothing is bound.
fn failed(address: &str, why: &str) -> String {
    let joint = if address.contains('?') { '&' } else { '?' };
    format!("{address}{joint}binding_error={why}")
}

/// What the store keeps of a state: SHA-256 in hex.
fn digest_of(token: &str) -> String {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
