//! What the page looks like, and the headers that keep it to itself.

use askama::Template;
use poem::{
    Response,
    http::{StatusCode, header},
};
use schemas::{Scope, Scopes, redirect};

use crate::{
    auth::authorize::error::AuthorizeError,
    error::{Cause, OwnForm},
    page::{Page, STYLE},
};

/// What both forms have.
pub(super) struct Frame<'a> {
    pub(super) action: String,
    pub(super) form_token: String,
    pub(super) client: &'a str,
    pub(super) problem: Option<&'a str>,
    pub(super) redirect_uri: &'a str,
}

/// The sign-in.
#[derive(Template)]
#[template(path = "authorize/sign_in.html")]
pub(super) struct SignIn<'a> {
    style: &'static str,
    action: &'a str,
    form_token: &'a str,
    client: &'a str,
    problem: Option<&'a str>,
}

/// What the question is about.
pub(super) struct Consented<'a> {
    pub(super) username: &'a str,
    pub(super) offered: &'a Scopes,
}

/// The question.
#[derive(Template)]
#[template(path = "authorize/consent.html")]
struct Question<'a> {
    style: &'static str,
    action: &'a str,
    form_token: &'a str,
    client: &'a str,
    problem: Option<&'a str>,
    username: &'a str,
    place: String,
    basic: Vec<Scope>,
    advanced: Vec<Scope>,
}

/// What went wrong.
#[derive(Template)]
#[template(path = "authorize/told.html")]
struct Told {
    style: &'static str,
    reason: String,
}

impl SignIn<'_> {
    pub(super) fn page(frame: &Frame<'_>, status: StatusCode) -> Result<Response, AuthorizeError> {
        let page = SignIn {
            style: STYLE,
            action: &frame.action,
            form_token: &frame.form_token,
            client: frame.client,
            problem: frame.problem,
        };
        render(&page, status, Some(frame.redirect_uri))
    }
}

impl Consented<'_> {
    pub(super) fn page(
        self,
        frame: &Frame<'_>,
        status: StatusCode,
    ) -> Result<Response, AuthorizeError> {
        let (basic, advanced) = self.offered.iter().partition(|scope| scope.is_basic());
        let page = Question {
            style: STYLE,
            action: &frame.action,
            form_token: &frame.form_token,
            client: frame.client,
            problem: frame.problem,
            username: self.username,
            place: redirect::origin(frame.redirect_uri).unwrap_or_default(),
            basic,
            advanced,
        };
        render(&page, status, Some(frame.redirect_uri))
    }
}

/// The page that tells a person why there is nothing to answer.
pub(super) fn told(error: &AuthorizeError) -> Response {
    let (status, code) = error.reply();
    let page = Told { style: STYLE, reason: error.to_string() };
    let mut reply = render(&page, status, None).unwrap_or_else(|_| {
        Response::builder().status(status).content_type("text/plain").body(code)
    });
    match error {
        AuthorizeError::Server(cause) => reply.set_data(Cause(cause.clone())),
        AuthorizeError::Unavailable(after) => {
            reply.headers_mut().insert(header::RETRY_AFTER, after.as_secs().max(1).into());
        }
        _ => {}
    }
    reply
}

/// Sends the browser on; it comes with GET, and tells nobody where it was.
pub(super) fn go(address: &str) -> Response {
    Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, address)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::REFERRER_POLICY, "no-referrer")
        .finish()
}

fn render(
    page: &impl Template,
    status: StatusCode,
    target: Option<&str>,
) -> Result<Response, AuthorizeError> {
    let page = Page::of(page, target);
    let page = page.map_err(|error| AuthorizeError::Server(format!("{error:?}")))?;
    let mut reply = Response::builder()
        .status(status)
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, page.policy)
        .header(header::CACHE_CONTROL, "no-store")
        .body(page.text);
    reply.set_data(OwnForm);
    Ok(reply)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[tokio::test]
    async fn what_comes_from_outside_is_text_and_not_markup() {
        let frame = Frame {
            action: "/authorize?x=\"><script>1</script>".to_owned(),
            form_token: "t".to_owned(),
            client: "<img src=x>",
            problem: Some("<b>"),
            redirect_uri: "https://app.example.com/oauth",
        };
        let (name, offered) = ("\"><script>", Scopes::all());
        let question = Consented { username: name, offered: &offered };
        for reply in [
            SignIn::page(&frame, StatusCode::OK).unwrap(),
            question.page(&frame, StatusCode::OK).unwrap(),
            told(&AuthorizeError::invalid("<script>")),
        ] {
            let policy = reply.header("content-security-policy").unwrap().to_owned();
            let text = reply.into_body().into_string().await.unwrap();
            for markup in ["<script", "<img", "<b>", "\"><"] {
                let found = text.replace("\">\n<", "").contains(markup);
                assert!(!found || markup == "\"><", "{markup}: {text}");
            }
            assert!(!text.contains("\"><script"), "{text}");
            assert!(policy.contains("default-src 'none'"), "{policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        }
    }

    #[test]
    fn forms_may_lead_to_the_client_only() {
        let frame = Frame {
            action: String::new(),
            form_token: String::new(),
            client: "a",
            problem: None,
            redirect_uri: "http://localhost:3000/oauth?next=/a",
        };
        let reply = SignIn::page(&frame, StatusCode::OK).unwrap();
        let policy = reply.header("content-security-policy").unwrap();

        assert!(policy.contains("form-action 'self' http://localhost:3000;"), "{policy}");
    }
}
