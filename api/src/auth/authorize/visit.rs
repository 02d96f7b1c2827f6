//! Who visits the page at `/authorize`: a cookie that names a stranger's visit or a short sign-in,
//! under a MAC, and the token that ties a form to it. Nothing of a stranger is stored.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use poem::Request;
use schemas::{SessionId, Timestamp};

use crate::{
    auth::{
        authorize::page::PATH,
        key::{KeyRing, Macs},
    },
    cookie,
};

const COOKIE: &str = "feat_authorize";

const STRANGER: u8 = 0;
const SIGNED_IN: u8 = 1;

/// Kind, id and end, before the MAC.
const NAMED_BYTES: usize = 1 + 16 + 8;

/// Makes and reads the cookies and the tokens of forms.
#[derive(Debug, Clone)]
pub(crate) struct Visits {
    cookies: Macs,
    forms: Macs,
}

/// One visit.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    /// The sign-in; absent for a stranger.
    pub(super) session: Option<SessionId>,
    cookie: String,
}

impl Visits {
    pub(crate) fn new(keys: &KeyRing) -> Self {
        Self {
            cookies: keys.macs("feat authorize cookie 1"),
            forms: keys.macs("feat authorize form 1"),
        }
    }

    /// The visit that the request's cookie names, if it is one of ours and not over.
    pub(super) fn read(&self, request: &Request, now: Timestamp) -> Option<Visit> {
        let cookie = cookie::named(request, COOKIE)?;
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let (named, mac) = bytes.split_at_checked(NAMED_BYTES)?;
        if !self.cookies.verify(named, mac) {
            return None;
        }
        let (kind, rest) = named.split_first()?;
        let (id, until) = rest.split_at_checked(16)?;
        if i64::from_be_bytes(until.try_into().ok()?) <= now.as_secs() {
            return None;
        }
        let id = SessionId::from_bytes(id.try_into().ok()?);
        let session = (*kind == SIGNED_IN).then_some(id);
        Some(Visit { session, cookie: cookie.to_owned() })
    }

    /// A new visit of a stranger, or of somebody who has signed in.
    pub(super) fn begin(&self, session: Option<SessionId>, until: Timestamp) -> Visit {
        let (kind, id) = match session {
            Some(session) => (SIGNED_IN, *session.as_bytes()),
            None => (STRANGER, rand::random()),
        };
        let mut named = Vec::with_capacity(NAMED_BYTES + 32);
        named.push(kind);
        named.extend_from_slice(&id);
        named.extend_from_slice(&until.as_secs().to_be_bytes());
        let mac = self.cookies.sign(&named);
        named.extend_from_slice(mac.as_ref());
        Visit { session, cookie: URL_SAFE_NO_PAD.encode(named) }
    }

    /// The token that a form of this visit carries.
    pub(super) fn form_token(&self, visit: &Visit) -> String {
        URL_SAFE_NO_PAD.encode(self.forms.sign(visit.cookie.as_bytes()))
    }

    /// Whether a form with this token was made for this visit.
    pub(super) fn fits(&self, visit: &Visit, token: &str) -> bool {
        let mac = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        self.forms.verify(visit.cookie.as_bytes(), &mac)
    }
}

impl Visit {
    /// The header that gives the browser this visit for `life`; `secure` when the page is reached
    /// over TLS. The cookie goes along when another site leads here, and never with its forms.
    pub(super) fn set_cookie(&self, life: Duration, secure: bool) -> String {
        let secure = if secure { "; Secure" } else { "" };
        let (cookie, age) = (&self.cookie, life.as_secs());
        format!("{COOKIE}={cookie}; Path={PATH}; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::auth::TokenKey;

    fn visits() -> Visits {
        Visits::new(&KeyRing::new(TokenKey::generate(), &[]))
    }

    fn request(cookie: &str) -> Request {
        Request::builder().header("cookie", format!("a=b; {COOKIE}={cookie}; c=d")).finish()
    }

    #[test]
    fn a_visit_is_read_until_it_is_over_and_only_as_it_was_made() {
        let (visits, now) = (visits(), Timestamp::now());
        let session = Some(SessionId::generate());
        let until = now + Duration::from_mins(10);
        let visit = visits.begin(session, until);
        let cookie = visit.cookie.clone();
        let mut stranger = URL_SAFE_NO_PAD.decode(&cookie).unwrap();
        stranger[0] = STRANGER;

        assert_eq!(visits.read(&request(&cookie), now).unwrap().session, session);
        let cases = [
            ("over", visits.read(&request(&cookie), until)),
            ("of another Feat", super::tests::visits().read(&request(&cookie), now)),
            ("changed", visits.read(&request(&URL_SAFE_NO_PAD.encode(stranger)), now)),
            ("cut", visits.read(&request(&cookie[..20]), now)),
            ("none", visits.read(&Request::default(), now)),
        ];
        for (name, read) in cases {
            assert!(read.is_none(), "{name}");
        }
    }

    #[test]
    fn a_form_belongs_to_one_visit() {
        let visits = visits();
        let until = Timestamp::now() + Duration::from_mins(10);
        let (mine, yours) = (visits.begin(None, until), visits.begin(None, until));
        let token = visits.form_token(&mine);

        assert!(visits.fits(&mine, &token));
        for (name, visit, token) in [
            ("another visit", &yours, token.as_str()),
            ("no token", &mine, ""),
            ("odd", &mine, "x"),
        ] {
            assert!(!visits.fits(visit, token), "{name}");
        }
    }

    #[test]
    fn scripts_and_other_sites_forms_have_no_cookie() {
        let visit = visits().begin(None, Timestamp::now());
        let header = visit.set_cookie(Duration::from_mins(10), true);

        for part in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/authorize", "=600"] {
            assert!(header.contains(part), "{part}: {header}");
        }
        assert!(!visit.set_cookie(Duration::ZERO, false).contains("Secure"));
    }
}
