//! Refresh tokens: base64url of session id, generation and a MAC over both. Nothing of a token is
//! stored, so a stolen store gives none away; which generation counts is in the session's record.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use schemas::SessionId;

use super::key::{KeyRing, Macs};

const ID_BYTES: usize = 16;
const NAMED_BYTES: usize = ID_BYTES + 4;

/// Makes and reads refresh tokens.
#[derive(Debug, Clone)]
pub(crate) struct RefreshTokens {
    macs: Macs,
}

impl RefreshTokens {
    pub(crate) fn new(keys: &KeyRing) -> Self {
        Self { macs: keys.macs("feat refresh token 1") }
    }

    /// The token of one generation of a session; always the same text.
    pub(crate) fn write(&self, session: SessionId, generation: u32) -> String {
        let mut token = Vec::with_capacity(NAMED_BYTES + 32);
        token.extend_from_slice(session.as_bytes());
        token.extend_from_slice(&generation.to_be_bytes());
        let mac = self.macs.sign(&token);
        token.extend_from_slice(mac.as_ref());
        URL_SAFE_NO_PAD.encode(token)
    }

    /// What a token names, if it is one of ours.
    pub(crate) fn read(&self, token: &str) -> Option<(SessionId, u32)> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (named, mac) = bytes.split_at_checked(NAMED_BYTES)?;
        if !self.macs.verify(named, mac) {
            return None;
        }
        let (id, generation) = named.split_at_checked(ID_BYTES)?;
        let id = SessionId::from_bytes(id.try_into().ok()?);
        Some((id, u32::from_be_bytes(generation.try_into().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::auth::TokenKey;

    fn tokens() -> RefreshTokens {
        RefreshTokens::new(&KeyRing::new(TokenKey::generate(), &[]))
    }

    #[test]
    fn only_what_was_written_is_read() {
        let ours = tokens();
        let session = SessionId::generate();
        let token = ours.write(session, 7);

        assert_eq!(ours.read(&token), Some((session, 7)));
        assert_eq!(tokens().read(&token), None, "another key");
        let mut other = URL_SAFE_NO_PAD.decode(&token).unwrap();
        other[19] += 1;
        let cases = [
            ("another generation", URL_SAFE_NO_PAD.encode(other)),
            ("cut", token[..60].to_owned()),
            ("longer", format!("{token}AAAA")),
            ("empty", String::new()),
            ("text", "r9Zk3b".to_owned()),
        ];
        for (name, text) in cases {
            assert_eq!(ours.read(&text), None, "{name}");
        }
    }
}
