//! Account binding: codes from the consent page, tokens for codes, profiles for tokens.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::gateway::{Call, Done, Fail};
use crate::{clock::spaced, crypto::nonce};

/// The shortest life that the provider promises a code.
const CODE_LIFE: TimeDelta = TimeDelta::minutes(3);
const TOKEN_LIFE: TimeDelta = TimeDelta::days(15);
const REFRESH_LIFE: TimeDelta = TimeDelta::days(30);
/// Most codes and most tokens that are kept.
const MOST: usize = 100_000;

/// Who said yes in the test cashier.
const USER_ID: &str = "2088102146225135";
const OPEN_ID: &str = "068DR9tn0wg8Fv4F2Y5bqHgAkW0rXe7sD3mLwJcTQ1uYp4";

/// Codes and tokens that were given out.
#[derive(Debug, Default)]
pub(crate) struct Grants(Mutex<HashMap<String, Grant>>);

#[derive(Debug, Clone)]
struct Grant {
    kind: Kind,
    app: String,
    scope: String,
    until: DateTime<Utc>,
    used: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Access,
    Refresh,
}

impl Grants {
    /// A code for `app`, good once.
    pub(super) fn code(&self, app: &str, scope: &str, now: DateTime<Utc>) -> Option<String> {
        self.give(Kind::Code, app, scope, now + CODE_LIFE, now)
    }

    fn give(
        &self,
        kind: Kind,
        app: &str,
        scope: &str,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Option<String> {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if grants.len() >= MOST {
            grants.retain(|_, grant| grant.until > now);
        }
        if grants.len() >= MOST {
            return None;
        }
        let name = match kind {
            Kind::Code => nonce(32),
            Kind::Access => format!("authusrB{}", nonce(32)),
            Kind::Refresh => format!("authusrR{}", nonce(32)),
        };
        let (app, scope) = (app.to_owned(), scope.to_owned());
        grants.insert(name.clone(), Grant { kind, app, scope, until, used: false });
        Some(name)
    }

    /// Uses `name`, if it is of that kind and still good; codes and refresh tokens are good once.
    fn take(&self, kind: Kind, name: &str, now: DateTime<Utc>) -> Result<Grant, &'static str> {
        let mut grants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let grant = grants.get_mut(name).filter(|grant| grant.kind == kind).ok_or("is unknown")?;
        if grant.until <= now {
            return Err("has expired");
        }
        if grant.used {
            return Err("was used");
        }
        grant.used = kind != Kind::Access;
        Ok(grant.clone())
    }
}

/// `alipay.system.oauth.token`; its parameters are at the top.
pub(super) fn token(call: &Call<'_>) -> Result<Done, Fail> {
    let now = call.sim.now();
    let grants = &call.sim.grants;
    let grant = match call.params.get("grant_type").as_deref() {
        Some("authorization_code") => {
            let code = call.params.get("code").unwrap_or_default();
            grants
                .take(Kind::Code, &code, now)
                .map_err(|why| Fail::invalid("isv.code-invalid", format!("the code {why}")))?
        }
        Some("refresh_token") => {
            let token = call.params.get("refresh_token").unwrap_or_default();
            grants.take(Kind::Refresh, &token, now).map_err(|why| {
                let sub_code = match why {
                    "has expired" => "isv.refresh-token-time-out",
                    "was used" => "isv.refreshed-token-invalid",
                    _ => "isv.refresh-token-invalid",
                };
                Fail::invalid(sub_code, format!("the refresh token {why}"))
            })?
        }
        other => {
            let reason = format!("grant_type is {other:?}");
            return Err(Fail::invalid("isv.grant-type-invalid", reason));
        }
    };
    if grant.app != call.account.app_id() {
        return Err(Fail::invalid("isv.invalid-app-id", "it is another application's"));
    }
    let full = || Fail::business("ACQ.SYSTEM_ERROR", "the simulator is full");
    let (app, scope) = (&grant.app, &grant.scope);
    let access = grants.give(Kind::Access, app, scope, now + TOKEN_LIFE, now).ok_or_else(full)?;
    let refresh =
        grants.give(Kind::Refresh, app, scope, now + REFRESH_LIFE, now).ok_or_else(full)?;
    // Success has no code here.
    let node = json!({
        "user_id": USER_ID,
        "open_id": OPEN_ID,
        "union_id": OPEN_ID,
        "access_token": access,
        "expires_in": TOKEN_LIFE.num_seconds(),
        "refresh_token": refresh,
        "re_expires_in": REFRESH_LIFE.num_seconds(),
        "auth_start": spaced(now),
    });
    Ok(Done { node, trade: None, bare: true })
}

/// `alipay.user.info.share`; its token is at the top.
pub(super) fn user(call: &Call<'_>) -> Result<Done, Fail> {
    let token = call.params.get("auth_token").unwrap_or_default();
    let grant = call
        .sim
        .grants
        .take(Kind::Access, &token, call.sim.now())
        .map_err(|why| Fail::invalid("aop.invalid-auth-token", format!("auth_token {why}")))?;
    if grant.app != call.account.app_id() {
        return Err(Fail::invalid("isv.invalid-app-id", "it is another application's"));
    }
    if grant.scope != "auth_user" {
        return Err(Fail::forbidden("the token's scope is auth_base"));
    }
    Ok(Done::node(json!({
        "user_id": USER_ID,
        "open_id": OPEN_ID,
        "nick_name": "支付宝小二",
        "avatar": "https://tfs.alipayobjects.com/images/partner/T1k0xiXXRnXXXXXXXX",
        "province": "浙江省",
        "city": "杭州市",
        "gender": "f",
    })))
}
