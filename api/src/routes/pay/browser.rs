//! The browser in which a consent begins and comes back, by a cookie that no script reads.

use poem::Request;

use super::bind_return::{STATE_LIFE, digest_of, new_token};
use crate::{cookie, state::AppState};

/// Over TLS nobody but this very host can set a cookie of this name.
const SECURE: &str = "__Host-feat_bind";

/// Without TLS, as on a developer's machine.
const PLAIN: &str = "feat_bind";

/// Length of what the cookie holds.
const TOKEN: usize = 43;

/// One browser. It does not print.
pub(super) struct Browser {
    token: String,
    is_secure: bool,
}

impl Browser {
    /// The browser that sends `request`, by its cookie; one without gets a new name.
    pub(super) fn of(state: &AppState, request: &Request) -> Self {
        Self::over(state.settings.public_url.starts_with("https://"), request)
    }

    fn over(is_secure: bool, request: &Request) -> Self {
        let token = named(request, name(is_secure)).unwrap_or_else(new_token);
        Self { token, is_secure }
    }

    /// What is stored of it.
    pub(super) fn digest(&self) -> String {
        digest_of(&self.token)
    }

    /// The header that lets the browser keep its name for as long as a consent may take. It comes along
    /// when a provider's page leads here, and never with forms of other sites.
    pub(super) fn set_cookie(&self) -> String {
        let (name, token, age) = (name(self.is_secure), &self.token, STATE_LIFE.as_secs());
        let secure = if self.is_secure { "; Secure" } else { "" };
        format!("{name}={token}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}")
    }
}

const fn name(is_secure: bool) -> &'static str {
    if is_secure { SECURE } else { PLAIN }
}

fn named(request: &Request, name: &str) -> Option<String> {
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let token = cookie::named(request, name)?;
    (token.len() == TOKEN && token.bytes().all(is_ours)).then(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(cookie: &str) -> Request {
        Request::builder().header("cookie", cookie).finish()
    }

    #[test]
    fn a_browser_keeps_its_name_and_over_tls_nobody_else_gives_it_one() {
        let token = "A".repeat(TOKEN);
        let (secure, plain) = (format!("a=b; {SECURE}={token}; c=d"), format!("{PLAIN}={token}"));
        let cases = [
            ("its own", true, secure.clone(), true),
            ("its own without TLS", false, plain.clone(), true),
            ("a name that a neighbour could give", true, plain, false),
            ("of another place", false, secure, false),
            ("too short", true, format!("{SECURE}=AAAA"), false),
            ("no text of ours", true, format!("{SECURE}={}", "%".repeat(TOKEN)), false),
        ];
        for (name, is_secure, cookie, is_known) in cases {
            let browser = Browser::over(is_secure, &request(&cookie));
            assert_eq!(browser.token == token, is_known, "{name}");
            assert_eq!(browser.token.len(), TOKEN, "{name}");
        }
        let header = Browser::over(true, &request("")).set_cookie();
        for part in ["; Path=/;", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
            assert!(header.contains(part), "{header}");
        }
        assert!(header.starts_with("__Host-") && !header.contains("Domain"), "{header}");
        assert!(!Browser::over(false, &request("")).set_cookie().contains("Secure"));
    }
}
