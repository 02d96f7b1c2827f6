//! People who bind their Alipay account: consent in a browser or an app, then a code for an id.

use super::{
    Alipay,
    answer::text_of,
    sign::{Asked, Content, sign_in_text},
};
use crate::payment::{
    BoundAccount, Call, Payer, ProviderError,
    fields::{Fields, encoded},
    operation::{Operation, Outcome},
};

impl Alipay {
    /// Exactly the documented address: the colon of the return address is escaped, its slashes
    /// are not.
    pub(in crate::payment) fn consent_url(&self, return_url: &str, state: Option<&str>) -> String {
        let back = encoded(return_url).replace("%2F", "/");
        let state = state.map(|state| format!("&state={}", encoded(state))).unwrap_or_default();
        let page = self.consent.url().as_str();
        format!("{page}?app_id={}&scope=auth_base&redirect_uri={back}{state}", self.app_id())
    }

    /// The text with which Alipay's library asks for consent inside an app; `target` comes back.
    pub(in crate::payment) fn app_consent(&self, target: &str) -> Result<String, ProviderError> {
        let fields = Fields::of([
            ("apiname", "com.alipay.account.auth"),
            ("app_id", self.app_id()),
            ("app_name", "mc"),
            ("auth_type", "AUTHACCOUNT"),
            ("biz_type", "openservice"),
            ("method", "alipay.open.auth.sdk.code.get"),
            ("pid", self.merchant_id()),
            ("product_id", "APP_FAST_LOGIN"),
            ("scope", "kuaijie"),
            ("sign_type", "RSA2"),
            ("target_id", target),
        ]);
        sign_in_text(&self.keys.get(), &fields)
    }

    pub(in crate::payment) async fn exchange_code(
        &self,
        code: &str,
        call: &mut Call,
    ) -> Result<BoundAccount, ProviderError> {
        let content = Content::Top(vec![("grant_type", "authorization_code"), ("code", code)]);
        let asked = Asked {
            method: "alipay.system.oauth.token",
            content,
            notify_url: None,
            return_url: None,
        };
        let node = self.ask(Operation::Fetch, &asked, call).await.map_err(Outcome::into_error)?;
        // There is no code on success: a signed token is the success.
        if text_of(&node, "access_token").is_none() {
            return Err(ProviderError::unknown("without_token"));
        }
        let id = text_of(&node, "open_id").or_else(|| text_of(&node, "user_id"));
        let id = id.and_then(Payer::new).ok_or_else(|| ProviderError::unknown("without_id"))?;
        let union_id = text_of(&node, "union_id").and_then(Payer::new);
        Ok(BoundAccount { id, union_id, nickname: None, picture: None })
    }
}
