//! Requests of Alipay: sorted parameters, signed, and the forms in which they leave.

use schemas::Timestamp;
use serde_json::Value;

use super::{Alipay, keys::Keys};
use crate::payment::{
    ProviderError, beijing,
    crypto::seal_cbc,
    fields::{Empty, Fields, encoded},
};

/// The text that is signed of a request: `sign_type` takes part, empty values do not.
pub(super) fn signed_text(fields: &Fields) -> String {
    fields.joined(&["sign"], Empty::Drop)
}

/// What a request is about.
pub(super) struct Asked<'a> {
    /// The method, such as `alipay.trade.query`.
    pub(super) method: &'static str,
    /// Its parameters, most of them inside `biz_content`.
    pub(super) content: Content<'a>,
    /// Address of notices.
    pub(super) notify_url: Option<&'a str>,
    /// Where the browser goes afterwards.
    pub(super) return_url: Option<&'a str>,
}

/// Where the parameters of a method stand.
pub(super) enum Content<'a> {
    /// In `biz_content`, as JSON.
    Biz(Value),
    /// Beside the common parameters.
    Top(Vec<(&'a str, &'a str)>),
}

impl Asked<'_> {
    pub(super) const fn plain(method: &'static str, content: Value) -> Self {
        Self { method, content: Content::Biz(content), notify_url: None, return_url: None }
    }
}

/// The signed parameters of a request.
pub(super) fn request(
    app: &Alipay,
    keys: &Keys,
    asked: &Asked<'_>,
) -> Result<Fields, ProviderError> {
    let mut fields = Fields::of([
        ("app_id", app.app_id()),
        ("method", asked.method),
        ("format", "JSON"),
        ("charset", "utf-8"),
        ("sign_type", "RSA2"),
        ("timestamp", &beijing::write(Timestamp::now(), beijing::SPACED)),
        ("version", "1.0"),
        ("notify_url", asked.notify_url.unwrap_or_default()),
        ("return_url", asked.return_url.unwrap_or_default()),
    ]);
    if let Some(serials) = &keys.serials {
        fields.set("app_cert_sn", &serials.app);
        fields.set("alipay_root_cert_sn", &serials.root);
    }
    match &asked.content {
        Content::Biz(content) => {
            let mut text = content.to_string();
            if let Some(key) = &keys.content_key {
                let sealed = seal_cbc(key, text.as_bytes());
                text =
                    sealed.ok_or_else(|| ProviderError::Misconfigured("content_key".to_owned()))?;
                fields.set("encrypt_type", "AES");
            }
            fields.set("biz_content", &text);
        }
        Content::Top(parameters) => {
            for (name, value) in parameters {
                fields.set(name, value);
            }
        }
    }
    sign(keys, &mut fields)?;
    Ok(fields)
}

pub(super) fn sign(keys: &Keys, fields: &mut Fields) -> Result<(), ProviderError> {
    let signature = keys.private.sign(signed_text(fields).as_bytes());
    let signature = signature.map_err(|error| ProviderError::Misconfigured(error.to_string()))?;
    fields.set("sign", &signature);
    Ok(())
}

/// The text that a person's app hands to Alipay's library to sign in: joined as it is, with the
/// signature percent-encoded behind it.
pub(super) fn sign_in_text(keys: &Keys, fields: &Fields) -> Result<String, ProviderError> {
    let text = signed_text(fields);
    let signature = keys.private.sign(text.as_bytes());
    let signature = signature.map_err(|error| ProviderError::Misconfigured(error.to_string()))?;
    Ok(format!("{text}&sign={}", encoded(&signature)))
}
