//! The signature of Standard Webhooks: HMAC-SHA256 over id, time and body.

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};

/// What a secret begins with.
const PREFIX: &str = "whsec_";

/// Fewest and most bytes of a secret.
const SIZE: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs requests. Does not print itself.
pub(super) struct Key(hmac::Key);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// The key in the text of a secret.
    pub(super) fn read(secret: &SecretString) -> Result<Self, String> {
        let bytes = secret.expose_secret().strip_prefix(PREFIX).map(|text| STANDARD.decode(text));
        match bytes {
            Some(Ok(bytes)) if SIZE.contains(&bytes.len()) => {
                Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
            }
            _ => Err("expected whsec_ and base64 of 24 to 64 bytes".to_owned()),
        }
    }
}

/// The value of `webhook-signature`: one signature for each key.
pub(super) fn signatures(keys: &[Key], id: &str, timestamp: i64, body: &str) -> String {
    let signed = format!("{id}.{timestamp}.{body}");
    let each = keys.iter().map(|Key(key)| {
        let tag = hmac::sign(key, signed.as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    });
    each.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    /// The example that the specification's own libraries are tested with.
    #[test]
    fn the_known_example_comes_out() {
        let key = Key::read(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap();
        let body = "{\"test\": 2432232314}";
        let signature = signatures(&[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);

        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn only_secrets_of_the_right_form_are_taken() {
        for secret in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_???", "whsec_AAAA"]
        {
            assert!(Key::read(&secret.into()).is_err(), "{secret}");
        }
    }
}
