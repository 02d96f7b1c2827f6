//! Signing people in: codes from the consent page, ids for codes, profiles for tokens.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use hyper::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    crypto::{nonce, same},
    fault::Act,
    http::{Reply, Request, escape, is_loopback, write_form},
    merchant::WechatMerchant,
    page::frame,
    sim::Sim,
};

const CODE_LIFE: TimeDelta = TimeDelta::minutes(5);
const TOKEN_LIFE: TimeDelta = TimeDelta::hours(2);
/// Most codes and tokens that are kept.
const MOST: usize = 100_000;

/// Who says yes on the consent page.
const OPEN_ID: &str = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o";
const UNION_ID: &str = "o6_bmasdasdsad6_2sgVt7hMZOPfL";

const CONSENT: &str = "/connect/oauth2/authorize";
const TOKEN: &str = "/sns/oauth2/access_token";
const PROFILE: &str = "/sns/userinfo";

/// Codes and tokens that were given out.
#[derive(Debug, Default)]
pub(crate) struct People(Mutex<HashMap<String, Grant>>);

#[derive(Debug, Clone)]
struct Grant {
    /// A code, or else a token.
    code: bool,
    app: String,
    scope: String,
    until: DateTime<Utc>,
    used: bool,
}

impl People {
    fn give(&self, grant: Grant, now: DateTime<Utc>) -> String {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if grants.len() >= MOST {
            grants.retain(|_, grant| grant.until > now);
        }
        let name = nonce(32);
        grants.insert(name.clone(), grant);
        name
    }

    /// Uses a code, once; `40029` and `40163` are WeChat's numbers for what is wrong with it.
    fn take(
        &self,
        code: &str,
        app: &str,
        now: DateTime<Utc>,
    ) -> Result<Grant, (i64, &'static str)> {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = grants.get_mut(code).filter(|grant| grant.code && grant.app == app);
        let grant = grant.ok_or((40_029, "invalid code"))?;
        if grant.used {
            return Err((40_163, "code been used"));
        }
        if grant.until <= now {
            return Err((40_029, "invalid code, it has expired"));
        }
        grant.used = true;
        Ok(grant.clone())
    }

    fn token(&self, token: &str, now: DateTime<Utc>) -> Option<Grant> {
        let grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        grants.get(token).filter(|grant| !grant.code && grant.until > now).cloned()
    }
}

/// The name of the call that `path` makes, when it is one of these.
pub(super) fn call(path: &str) -> Option<&'static str> {
    match path {
        CONSENT => Some("wechat.consent"),
        TOKEN => Some("wechat.sns.access_token"),
        PROFILE => Some("wechat.sns.userinfo"),
        _ => None,
    }
}

/// Answers one of them.
pub(super) fn answer(sim: &Sim, request: &Request, call: &str, act: Option<&Act>) -> Reply {
    match (call, act) {
        ("wechat.consent", _) => page(sim, request),
        (_, Some(Act::Throttle)) => refused(45_011, "api minute-quota reach limit"),
        (_, Some(Act::ErrorBefore)) => system_error(),
        _ if request.method != Method::GET => refused(43_001, "require GET method"),
        ("wechat.sns.access_token", _) => token(sim, &request.query_pairs()),
        _ => profile(sim, &request.query_pairs()),
    }
}

/// The answer that leaves the outcome open.
pub(super) fn system_error() -> Reply {
    refused(-1, "system error")
}

fn refused(code: i64, message: &str) -> Reply {
    let body = json!({ "errcode": code, "errmsg": message });
    Reply::json(200, &body).because(format!("{code} {message}"))
}

fn merchant<'s>(sim: &'s Sim, app: &str) -> Option<&'s WechatMerchant> {
    let mut merchants = sim.wechat.values().map(|account| &account.merchant);
    merchants.find(|merchant| merchant.apps.iter().any(|known| known == app))
}

fn token(sim: &Sim, query: &BTreeMap<String, String>) -> Reply {
    let field = |name: &str| query.get(name).map_or("", String::as_str);
    let app = field("appid");
    let Some(merchant) = merchant(sim, app) else { return refused(40_013, "invalid appid") };
    if !same(merchant.app_secret.expose_secret(), field("secret")) {
        return refused(40_125, "invalid appsecret");
    }
    if field("grant_type") != "authorization_code" {
        return refused(40_002, "invalid grant_type");
    }
    let now = sim.now();
    let grant = match sim.people.take(field("code"), app, now) {
        Ok(grant) => grant,
        Err((code, message)) => return refused(code, message),
    };
    let scope = grant.scope.clone();
    let access = Grant { code: false, until: now + TOKEN_LIFE, ..grant };
    let mut body: Value = json!({
        "access_token": sim.people.give(access, now),
        "expires_in": TOKEN_LIFE.num_seconds(),
        "refresh_token": nonce(32),
        "openid": OPEN_ID,
        "scope": scope,
    });
    if scope == "snsapi_userinfo" {
        body["unionid"] = json!(UNION_ID);
    }
    Reply::json(200, &body)
}

fn profile(sim: &Sim, query: &BTreeMap<String, String>) -> Reply {
    let field = |name: &str| query.get(name).map_or("", String::as_str);
    let Some(grant) = sim.people.token(field("access_token"), sim.now()) else {
        return refused(42_001, "access_token expired");
    };
    if field("openid") != OPEN_ID {
        return refused(40_003, "invalid openid");
    }
    if grant.scope != "snsapi_userinfo" {
        return refused(48_001, "api unauthorized");
    }
    Reply::json(
        200,
        &json!({
            "openid": OPEN_ID,
            "nickname": "小明",
            "sex": 0,
            "province": "",
            "city": "",
            "country": "",
            "headimgurl": "https://thirdwx.qlogo.cn/mmopen/vi_32/feat/132",
            "privilege": [],
            "unionid": UNION_ID,
        }),
    )
}

/// The page on which a person lets an application know who they are.
fn page(sim: &Sim, request: &Request) -> Reply {
    let query = request.query_pairs();
    if let Err(problem) = check(sim, &query) {
        let page = frame("WeChat (simulated): error", &format!("<p>{}</p>", escape(&problem)));
        return Reply::html(400, page).because(problem);
    }
    let mut form = String::new();
    for name in ["appid", "scope", "redirect_uri", "response_type", "state"] {
        let value = query.get(name).map(|value| escape(value)).unwrap_or_default();
        let _ = write!(form, "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
    }
    let app = escape(query.get("appid").map_or("", String::as_str));
    let body = format!(
        "<p>Application {app} asks who you are.</p>\
         <form method=\"post\" action=\"/_sim/wechat-consent\">{form}\
         <button name=\"answer\" value=\"yes\">Allow</button> \
         <button name=\"answer\" value=\"no\">Refuse</button></form>"
    );
    Reply::html(200, frame("WeChat (simulated): sign in", &body))
}

fn check(sim: &Sim, query: &BTreeMap<String, String>) -> Result<(), String> {
    let field = |name: &str| query.get(name).map_or("", String::as_str);
    if merchant(sim, field("appid")).is_none() {
        return Err(format!("application {} is unknown", field("appid")));
    }
    if !["snsapi_base", "snsapi_userinfo"].contains(&field("scope")) {
        return Err(format!("scope is {}", field("scope")));
    }
    if field("response_type") != "code" {
        return Err("response_type is not code".to_owned());
    }
    if field("state").len() > 128 {
        return Err("state is longer than 128".to_owned());
    }
    let uri: hyper::Uri =
        field("redirect_uri").parse().map_err(|_| "redirect_uri is not an address")?;
    if uri.host().is_some_and(is_loopback) {
        Ok(())
    } else {
        Err(format!("redirect_uri {uri} is not of a registered domain"))
    }
}

/// The person's answer on the consent page.
pub(crate) fn consent(sim: &Sim, request: &Request) -> Reply {
    let form = request.form();
    if let Err(problem) = check(sim, &form) {
        let page = frame("WeChat (simulated): error", &escape(&problem));
        return Reply::html(400, page).because(problem);
    }
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if field("answer") != "yes" {
        return Reply::html(200, frame("WeChat (simulated)", "<p>Refused.</p>"));
    }
    let now = sim.now();
    let (app, scope) = (field("appid").to_owned(), field("scope").to_owned());
    let grant = Grant { code: true, app, scope, until: now + CODE_LIFE, used: false };
    let code = sim.people.give(grant, now);
    let answer = write_form([("code", code.as_str()), ("state", field("state"))]);
    let uri = field("redirect_uri");
    let joint = if uri.contains('?') { '&' } else { '?' };
    Reply::redirect(format!("{uri}{joint}{answer}"))
}
