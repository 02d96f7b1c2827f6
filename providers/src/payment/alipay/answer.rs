//! Answers of Alipay: the signature is over the raw text of one member, which is therefore cut
//! out of the answer as it stands and never printed again.

use std::fmt;

use secrecy::SecretSlice;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::{keys::Keys, outcome::Seen};
use crate::payment::crypto::open_cbc;

/// An answer whose signature was verified.
#[derive(Debug)]
pub(super) struct Proven {
    /// The result.
    pub(super) node: Value,
}

/// Reads an answer to `method` and judges it. Only what Alipay signed comes back.
pub(super) fn read(body: &[u8], method: &str, keys: &Keys) -> Result<Proven, Seen> {
    let members: Members<'_> = serde_json::from_slice(body).map_err(|_| Seen::Unreadable)?;
    let own = format!("{}_response", method.replace('.', "_"));
    let raw = members.get(&own).or_else(|| members.get("error_response"));
    let raw = raw.ok_or(Seen::Unreadable)?.get();
    let Some(signature) = members.text("sign") else {
        let node = serde_json::from_str(raw).unwrap_or(Value::Null);
        return Err(Seen::Unsigned { code: code_of(&node), sub_code: sub_code_of(&node) });
    };
    // In certificate mode the answer names its certificate, and it must be one that is held.
    let serial = members.text("alipay_cert_sn");
    let key = keys.named(serial.as_deref()).ok_or(Seen::NotProven("other_certificate"))?;
    if !key.verifies(raw.as_bytes(), &signature) {
        return Err(Seen::NotProven("bad_signature"));
    }
    let node = plain(raw, keys.content_key.as_ref()).ok_or(Seen::Unreadable)?;
    if node.is_object() { Ok(Proven { node }) } else { Err(Seen::Unreadable) }
}

/// The value of a verified member, decrypted when it is.
fn plain(raw: &str, content_key: Option<&SecretSlice<u8>>) -> Option<Value> {
    let value: Value = serde_json::from_str(raw).ok()?;
    match (value, content_key) {
        (Value::String(sealed), Some(key)) => serde_json::from_slice(&open_cbc(key, &sealed)?).ok(),
        (other, _) => Some(other),
    }
}

/// `code` of a result; empty when it has none.
pub(super) fn code_of(node: &Value) -> String {
    text_of(node, "code").unwrap_or_default().to_owned()
}

/// `sub_code` of a result without the parts before it that vary.
pub(super) fn sub_code_of(node: &Value) -> String {
    let code = text_of(node, "sub_code").unwrap_or_default();
    let code = code.strip_prefix("aop.").unwrap_or(code);
    code.strip_prefix("ACQ.").unwrap_or(code).to_owned()
}

/// The text `name` of a result, if it is there and not empty.
pub(super) fn text_of<'n>(node: &'n Value, name: &str) -> Option<&'n str> {
    node.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The members of an object with their raw texts, each name once.
struct Members<'b>(Vec<(String, &'b RawValue)>);

impl<'b> Members<'b> {
    fn get(&self, name: &str) -> Option<&'b RawValue> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, raw)| *raw)
    }

    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Collect)
    }
}

struct Collect;

impl<'de> Visitor<'de> for Collect {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members(Vec::new());
        while let Some((name, raw)) = map.next_entry::<String, &'de RawValue>()? {
            if members.get(&name).is_some() || members.0.len() == 32 {
                return Err(de::Error::custom("a member twice, or too many"));
            }
            members.0.push((name, raw));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_raw_text_of_a_member_is_kept() {
        let body = br#"{"a_response": {"x":"}\"sign\":","u":"http:\/\/h"} ,"sign":"s"}"#;
        let members: Option<Members<'_>> = serde_json::from_slice(body).ok();

        let raw = members.as_ref().and_then(|members| members.get("a_response"));
        assert_eq!(raw.map(RawValue::get), Some(r#"{"x":"}\"sign\":","u":"http:\/\/h"}"#));
        assert_eq!(members.and_then(|members| members.text("sign")).as_deref(), Some("s"));
    }

    #[test]
    fn a_member_that_comes_twice_is_refused() {
        let body = br#"{"a_response":{},"a_response":{"code":"10000"}}"#;

        assert!(serde_json::from_slice::<Members<'_>>(body).is_err());
    }
}
