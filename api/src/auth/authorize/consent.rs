//! What becomes of a user's answer: a code, a token, or a refusal on its way back to the client.

use schemas::{
    Scopes, SessionId, Timestamp, UserId,
    account::{Grant, SessionRecord},
    code::CodeRecord,
};
use store::Insert;

use super::{
    error::AuthorizeError,
    request::{Back, ResponseType, Wanted},
};
use crate::{
    auth::{Caller, Principal, code, records},
    state::{AppState, RequestContext},
};

/// What a consent on a page is called where a device has its name.
pub(super) const DEVICE: &str = "AUTHORIZE";

/// Longest name of a device, in bytes.
const MAX_DEVICE: usize = 255;

/// What a user gave.
pub(super) enum Given {
    /// The client's address with a code.
    Code {
        /// Where the browser goes.
        redirect_uri: String,
    },
    /// An access token.
    Token {
        /// A JWT.
        access_token: String,
        /// Seconds that it counts.
        expires_in: u64,
        /// What it allows.
        scopes: Scopes,
    },
}

/// Who gives what, from which device.
pub(super) struct Consent<'a> {
    pub(super) owner: UserId,
    pub(super) scopes: Scopes,
    pub(super) device_id: &'a str,
    pub(super) context: &'a RequestContext,
}

impl Consent<'_> {
    /// Gives the client of `wanted` what the user allowed.
    pub(super) async fn give(
        self,
        state: &AppState,
        wanted: &Wanted,
    ) -> Result<Given, AuthorizeError> {
        if self.device_id.len() > MAX_DEVICE || self.device_id.chars().any(char::is_control) {
            return Err(AuthorizeError::invalid("device_id is not valid"));
        }
        let now = Timestamp::now();
        let consent = records::Consent { owner: self.owner, scopes: &self.scopes };
        consent.given(state, self.context, &wanted.client.id).await?;
        match wanted.response_type {
            ResponseType::Code => self.code(state, wanted, now).await,
            ResponseType::Token => self.token(state, wanted, now).await,
        }
    }

    async fn code(
        self,
        state: &AppState,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Given, AuthorizeError> {
        let code = code::generate();
        let record = CodeRecord {
            id: code::digest_of(&code),
            version: 1,
            owner: self.owner,
            client: wanted.client.id.clone(),
            redirect_uri: wanted.back.redirect_uri.clone(),
            scopes: self.scopes,
            challenge: wanted.challenge.clone(),
            session: SessionId::generate(),
            device_id: self.device_id.to_owned(),
            created_at: now,
            expires_at: now + state.settings.code_life,
            redeemed_at: None,
            reused_at: None,
        };
        match state.store.codes.insert(&record).await? {
            Insert::Stored => {
                Ok(Given::Code { redirect_uri: wanted.back.with(&[("code", &code)]) })
            }
            Insert::Taken => Err(AuthorizeError::Server("a new code was taken".to_owned())),
        }
    }

    /// The token has a sign-in of its own, which nothing refreshes, so that it can be ended.
    async fn token(
        self,
        state: &AppState,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Given, AuthorizeError> {
        let access_tokens = &state.auth.access_tokens;
        let session = SessionRecord {
            id: SessionId::generate(),
            version: 1,
            owner: self.owner,
            client: wanted.client.id.clone(),
            grant: Grant::Implicit,
            device_id: self.device_id.to_owned(),
            device: None,
            scopes: self.scopes.clone(),
            generation: 1,
            rotated_at: now,
            created_at: now,
            expires_at: now + access_tokens.life(),
            revoked_at: None,
        };
        if let Insert::Taken = state.store.sessions.insert(&session).await? {
            return Err(AuthorizeError::Server("a new session's id was taken".to_owned()));
        }
        let caller = Caller {
            user: self.owner,
            client: Some(session.client.clone()),
            scopes: self.scopes.clone(),
            session: Some(session.id),
            key: None,
        };
        Ok(Given::Token {
            access_token: access_tokens.issue(&Principal::User(caller), now)?,
            expires_in: access_tokens.life().as_secs(),
            scopes: self.scopes,
        })
    }
}

impl Back {
    /// The client's address with these parameters after its own query, and then `state`.
    pub(super) fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        let between = match self.redirect_uri.split_once('?') {
            None => "?",
            Some((_, own)) if own.is_empty() || own.ends_with('&') => "",
            Some(_) => "&",
        };
        format!("{}{between}{}", self.redirect_uri, query.finish())
    }

    /// The client's address with the news that nothing was allowed.
    pub(super) fn refused(&self, error: &str) -> String {
        self.with(&[("error", error)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_goes_after_the_query_of_the_client() {
        let cases = [
            ("no query", "http://localhost:3000/oauth", None, "http://localhost:3000/oauth?code=a"),
            (
                "a query of its own",
                "http://localhost:3000/oauth?next=%2Fprofile",
                None,
                "http://localhost:3000/oauth?next=%2Fprofile&code=a",
            ),
            ("an empty query", "https://a.test/?", None, "https://a.test/?code=a"),
            ("an open query", "https://a.test/?b=1&", None, "https://a.test/?b=1&code=a"),
            (
                "state",
                "https://a.test",
                Some("x &#\r\n"),
                "https://a.test?code=a&state=x+%26%23%0D%0A",
            ),
            ("an app's", "com.example.app:/cb", None, "com.example.app:/cb?code=a"),
        ];
        for (name, uri, state, expected) in cases {
            let back = Back { redirect_uri: uri.to_owned(), state: state.map(str::to_owned) };
            assert_eq!(back.with(&[("code", "a")]), expected, "{name}");
        }
    }
}
