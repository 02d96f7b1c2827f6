//! A consent in the browser: where it begins, and where it comes back.
//!
//! The state ties the two, because the browser brings no token. It has 256 random bits, is stored as
//! its digest, belongs to one user, counts once and for ten minutes. Whoever began knows it and could
//! let somebody else consent, so it is tied to the browser as well: one that did not begin asks its
//! person first. Where the browser goes afterwards is checked when it begins and stored with it, so no
//! address in the browser's hands leads anywhere.

use std::{fmt::Write, time::Duration};

use askama::Template;
use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use providers::payment::Gateway;
use schemas::{
    Channel, JobState, RedirectUri, Timestamp, UserId,
    binding::{BindStateRecord, Purpose, Visitor},
    kinds::{PayBind, PayUnbind},
    redirect,
};
use store::{Insert, Save};

use super::{
    binding::{exchange, is_code, not_set_up},
    browser::Browser,
};
use crate::{
    auth::Caller,
    error::ApiError,
    intake::{self, Patience},
    page::{Page, STYLE},
    settings::Origin,
    state::{AppState, RequestContext},
};

/// How long a consent may take.
pub(super) const STATE_LIFE: Duration = Duration::from_mins(10);

/// How long a browser is kept waiting for the exchange.
const WAIT: &str = "wait=15";

/// Longest wait, whatever the settings say of others.
const MAX_WAIT: Duration = Duration::from_secs(15);

/// Where the answer of a person who was asked goes.
pub(super) const ANSWER_PATH: &str = "/api/pay/auth_return/";

/// What a browser brings back.
pub(super) struct Consent {
    /// Which consent it is.
    pub(super) state: Option<String>,
    /// What it is exchanged for; absent when the person refused.
    pub(super) code: Option<String>,
    /// The app that was consented to, where the provider says it.
    pub(super) app_id: Option<String>,
}

/// How a browser goes on that has come back.
pub(super) enum Onward {
    /// To this address.
    Go(String),
    /// With the question whether the person means it.
    Ask(Page),
}

/// The question.
#[derive(Template)]
#[template(path = "pay/bind.html")]
struct Question<'a> {
    style: &'static str,
    action: &'static str,
    provider: &'static str,
    unbinds: bool,
    username: &'a str,
    state: &'a str,
    code: &'a str,
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

/// Begins a consent to `purpose` for `user` in `browser`; answers with the provider's page.
///
/// # Errors
///
/// 501 when the account binds nobody; 503.
pub(super) async fn begin(
    state: &AppState,
    user: UserId,
    gateway: &Gateway,
    purpose: Purpose,
    redirect_to: String,
    browser: &Browser,
) -> Result<String, ApiError> {
    let token = new_token();
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
        purpose,
        redirect_to,
        created_at: now,
        expires_at: now + STATE_LIFE,
        browser: Some(browser.digest()),
        asked_at: None,
        used_at: None,
    };
    match state.store.bindings.begin(&record).await? {
        Insert::Stored => Ok(page),
        Insert::Taken => Err(ApiError::unavailable(Duration::from_secs(1))),
    }
}

/// Takes `browser` that comes back from `channel`: one that began goes on with the account bound or
/// unbound, another one with a question.
///
/// # Errors
///
/// 400 for a state that does not count: unknown, used, too old, of another provider, app or browser.
pub(super) async fn come_back(
    state: &AppState,
    channel: Channel,
    consent: Consent,
    browser: &Browser,
    context: &RequestContext,
) -> Result<Onward, ApiError> {
    let now = Timestamp::now();
    let token = consent.state.ok_or_else(refused)?;
    let known = known(state, &token).await?;
    if !known.counts(channel, now) {
        return Err(refused());
    }
    let gateway = state.till.gateway(channel, &known.app);
    let gateway = gateway.ok_or_else(|| not_set_up(channel))?;
    let foreign = |id: &String| gateway.app_id() != Some(id);
    if consent.app_id.as_ref().is_some_and(foreign) {
        return Err(refused());
    }
    let Some(code) = consent.code.filter(|code| is_code(code)) else {
        let used = consume(state, known, now).await?;
        return Ok(Onward::Go(failed(&used.redirect_to, "refused")));
    };
    let strict = state.settings.bind_in_same_browser;
    let asked = match known.visitor(&browser.digest(), now) {
        Visitor::Beginner => {
            let used = consume(state, known, now).await?;
            return carry_out(state, used, &code, context).await.map(Onward::Go);
        }
        Visitor::Asked(asked) if !strict => {
            // Of several browsers that come with one state, one is asked.
            if state.store.bindings.save_state(&asked).await? == Save::Stale {
                return Err(refused());
            }
            *asked
        }
        Visitor::AskedBefore if !strict => known,
        Visitor::Asked(_) | Visitor::AskedBefore | Visitor::Stranger => return Err(refused()),
    };
    question(state, &asked, &token, &code).await.map(Onward::Ask)
}

/// Takes the person's answer; the address is where the browser goes.
///
/// # Errors
///
/// As [`come_back`]; also from a browser that was not asked.
pub(super) async fn answer(
    state: &AppState,
    token: &str,
    code: &str,
    is_yes: bool,
    browser: &Browser,
    context: &RequestContext,
) -> Result<String, ApiError> {
    let now = Timestamp::now();
    let known = known(state, token).await?;
    if known.visitor(&browser.digest(), now) != Visitor::AskedBefore || !is_code(code) {
        return Err(refused());
    }
    let used = consume(state, known, now).await?;
    if is_yes {
        return carry_out(state, used, code, context).await;
    }
    Ok(failed(&used.redirect_to, "refused"))
}

fn refused() -> ApiError {
    ApiError::invalid("state", "Begin again: this consent does not count.")
}

async fn known(state: &AppState, token: &str) -> Result<BindStateRecord, ApiError> {
    if token.len() != 43 {
        return Err(refused());
    }
    state.store.bindings.state(&digest_of(token)).await?.ok_or_else(refused)
}

/// Uses the state up. Of several who come back with it, one goes on.
async fn consume(
    state: &AppState,
    known: BindStateRecord,
    now: Timestamp,
) -> Result<BindStateRecord, ApiError> {
    let channel = known.channel;
    let used = known.consume(channel, now).ok_or_else(refused)?;
    match state.store.bindings.save_state(&used).await? {
        Save::Stored => Ok(used),
        Save::Stale => Err(refused()),
    }
}

/// Asks the person whether the account is to be bound to the user who began, or unbound.
async fn question(
    state: &AppState,
    asked: &BindStateRecord,
    token: &str,
    code: &str,
) -> Result<Page, ApiError> {
    let user = state.store.users.get(asked.owner).await?;
    let user = user.filter(|user| user.disabled_at.is_none()).ok_or_else(refused)?;
    let provider = match asked.channel {
        Channel::WeChatPay => "WeChat",
        Channel::Alipay => "Alipay",
        Channel::UnionPay => "UnionPay",
    };
    let (style, action, username) = (STYLE, ANSWER_PATH, user.username.as_str());
    let unbinds = asked.purpose == Purpose::Unbind;
    let page = Question { style, action, provider, unbinds, username, state: token, code };
    Page::of(&page, Some(&asked.redirect_to)).map_err(ApiError::internal)
}

/// Exchanges the code for the account, and binds it to the user who began or unbinds it; the address is
/// where the browser goes.
async fn carry_out(
    state: &AppState,
    used: BindStateRecord,
    code: &str,
    context: &RequestContext,
) -> Result<String, ApiError> {
    let gateway = state.till.gateway(used.channel, &used.app);
    let gateway = gateway.ok_or_else(|| not_set_up(used.channel))?;
    let mut job = match used.purpose {
        Purpose::Bind => exchange::<PayBind>(state, used.owner, gateway, code)?,
        Purpose::Unbind => exchange::<PayUnbind>(state, used.owner, gateway, code)?,
    };
    job.unique_key = Some(format!("consent:{}", used.id));
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

/// The address with a word about why nothing is bound or unbound.
fn failed(address: &str, why: &str) -> String {
    let joint = if address.contains('?') { '&' } else { '?' };
    format!("{address}{joint}binding_error={why}")
}

/// 256 random bits as text.
pub(super) fn new_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// What the store keeps of a state or a browser: SHA-256 in hex.
pub(super) fn digest_of(token: &str) -> String {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
