//! The parameters of a gateway request, as bytes in the declared charset.

use std::collections::BTreeMap;

use crate::http::Request;

/// The parameters, decoded from the form but not yet from their charset.
#[derive(Debug, Default)]
pub(super) struct Params(BTreeMap<String, Vec<u8>>);

impl Params {
    /// Merges query and body; a name in both, or twice in one, is refused.
    pub(super) fn of(request: &Request) -> Result<Self, String> {
        let mut params = Self::default();
        params.add(request.query.as_deref().unwrap_or_default().as_bytes())?;
        params.add(&request.body)?;
        Ok(params)
    }

    /// Reads a signed query string, as apps hand it on.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut params = Self::default();
        params.add(text.as_bytes())?;
        Ok(params)
    }

    fn add(&mut self, text: &[u8]) -> Result<(), String> {
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            let name = String::from_utf8(name).map_err(|_| "a name is not text".to_owned())?;
            if self.0.contains_key(&name) {
                return Err(format!("{name} occurs twice"));
            }
            self.0.insert(name, value);
        }
        Ok(())
    }

    /// A parameter that is there and not empty, decoded from `charset`.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let bytes = self.0.get(name).filter(|bytes| !bytes.is_empty())?;
        let charset = self.0.get("charset").map(|bytes| bytes.to_ascii_lowercase());
        let text = match charset.as_deref() {
            Some(b"gbk") => encoding_rs::GBK.decode(bytes).0.into_owned(),
            _ => String::from_utf8_lossy(bytes).into_owned(),
        };
        Some(text)
    }

    /// The text that is signed, in the bytes of the declared charset.
    pub(super) fn signed_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for (name, value) in self.0.iter().filter(|(name, value)| *name != "sign" && !value.is_empty())
        {
            if !text.is_empty() {
                text.push(b'&');
            }
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
            text.extend_from_slice(value);
        }
        text
    }
}

fn decode(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| *digit.unwrap_or(&b'?'));
                let digits = std::str::from_utf8(&digits).unwrap_or_default();
                u8::from_str_radix(digits, 16).map_err(|_| "a broken escape".to_owned())?
            }
            other => *other,
        });
    }
    Ok(bytes)
}
