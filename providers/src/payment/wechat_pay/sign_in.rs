//! People who bind their WeChat account: consent in a browser, then a code for an id.

use reqwest::Method;
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::WeChatPay;
use crate::payment::{
    BoundAccount, Call, Payer, ProviderError,
    fields::{Fields, encoded},
    transport::{MESSAGE_BYTES, Request},
};

#[derive(Deserialize)]
struct Exchanged {
    #[serde(default)]
    errcode: i64,
    openid: Option<String>,
    unionid: Option<String>,
    access_token: Option<String>,
    scope: Option<String>,
}

#[derive(Deserialize)]
struct Profile {
    #[serde(default)]
    errcode: i64,
    nickname: Option<String>,
    headimgurl: Option<String>,
}

/// The page inside WeChat; `snsapi_userinfo` asks for the profile that the binding shows.
pub(super) fn consent_url(
    app: &WeChatPay,
    return_url: &str,
    state: Option<&str>,
) -> Option<String> {
    app.keys.get().app_secret.as_ref()?;
    let (id, back) = (encoded(&app.app_id), encoded(return_url));
    let state = state.map(|state| format!("&state={}", encoded(state))).unwrap_or_default();
    let path = format!(
        "/connect/oauth2/authorize?appid={id}&redirect_uri={back}&response_type=code\
         &scope=snsapi_userinfo{state}#wechat_redirect"
    );
    app.consent.at(&path).map(String::from)
}

pub(super) async fn exchange_code(
    app: &WeChatPay,
    code: &str,
    call: &mut Call,
) -> Result<BoundAccount, ProviderError> {
    let keys = app.keys.get();
    let secret = keys.app_secret.as_ref();
    let secret = secret.ok_or(ProviderError::Misconfigured("app_secret is not set".to_owned()))?;
    let query = Fields::of([
        ("appid", app.app_id.as_str()),
        ("secret", secret.expose_secret()),
        ("code", code),
        ("grant_type", "authorization_code"),
    ]);
    let answer: Exchanged = get(app, "/sns/oauth2/access_token", &query, call).await?;
    let id = match (answer.errcode, answer.openid.as_deref().and_then(Payer::new)) {
        (0, Some(id)) => id,
        (code, _) => return Err(refusal(code)),
    };
    let mut bound = BoundAccount {
        id,
        union_id: answer.unionid.as_deref().and_then(Payer::new),
        nickname: None,
        picture: None,
    };
    let covers_profile = answer.scope.is_some_and(|scope| scope.contains("snsapi_userinfo"));
    if let Some(token) = answer.access_token.filter(|_| covers_profile) {
        add_profile(app, &token, &mut bound, call).await;
    }
    Ok(bound)
}

/// Adds name and picture. The binding stands without them: the code is spent, and cannot be
/// exchanged again.
async fn add_profile(app: &WeChatPay, token: &str, bound: &mut BoundAccount, call: &mut Call) {
    let query =
        Fields::of([("access_token", token), ("openid", bound.id.expose()), ("lang", "zh_CN")]);
    match get::<Profile>(app, "/sns/userinfo", &query, call).await {
        Ok(profile) if profile.errcode == 0 => {
            let short = |text: Option<String>| text.filter(|text| text.len() <= 1_024);
            bound.nickname = short(profile.nickname);
            bound.picture = short(profile.headimgurl).filter(|url| url.starts_with("http"));
        }
        Ok(profile) => {
            tracing::info!(errcode = profile.errcode, "a WeChat profile was not given");
        }
        Err(error) => tracing::info!(%error, "a WeChat profile could not be read"),
    }
}

async fn get<T: for<'de> Deserialize<'de>>(
    app: &WeChatPay,
    path: &'static str,
    query: &Fields,
    call: &mut Call,
) -> Result<T, ProviderError> {
    let url = app.sign_in.at(&format!("{path}?{}", query.to_query()));
    let request = Request {
        operation: path,
        method: Method::GET,
        url: url.ok_or(ProviderError::Misconfigured("sign_in_endpoint".to_owned()))?,
        headers: Vec::new(),
        body: None,
        fields: query.iter().collect(),
        max_bytes: MESSAGE_BYTES,
        client: None,
    };
    let answer = app.sign_in_transport.send(request, call).await?;
    call.trail.received_json(&answer.body);
    if answer.status != 200 {
        return Err(ProviderError::unknown("http_status"));
    }
    serde_json::from_slice(&answer.body).map_err(|_| ProviderError::unknown("unreadable"))
}

/// What a refusal of the exchange means.
fn refusal(code: i64) -> ProviderError {
    match code {
        40_029 | 40_163 | 41_008 | 42_003 => ProviderError::Refused(code.to_string()),
        40_013 | 40_125 => ProviderError::Misconfigured(code.to_string()),
        45_011 => ProviderError::Throttled(std::time::Duration::from_mins(1)),
        _ => ProviderError::unknown(&code.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_codes_are_told_from_settings() {
        let cases = [
            ("invalid code", 40_029, ProviderError::Refused("40029".to_owned())),
            ("used code", 40_163, ProviderError::Refused("40163".to_owned())),
            ("bad app id", 40_013, ProviderError::Misconfigured("40013".to_owned())),
            ("bad secret", 40_125, ProviderError::Misconfigured("40125".to_owned())),
            ("busy", -1, ProviderError::unknown("-1")),
            ("no id and no error", 0, ProviderError::unknown("0")),
        ];
        for (name, code, expected) in cases {
            assert_eq!(refusal(code), expected, "{name}");
        }
    }
}
