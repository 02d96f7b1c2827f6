//! The page at `/authorize`: a person signs in and answers a client's request. Plain forms, without
//! scripts; nothing is loaded from elsewhere, and nobody may show the page in a frame.
//!
//! The request stays in the address, so every turn checks it anew and a form carries only the
//! answer. A form counts with the token that ties it to its visit.

mod html;

use std::time::Duration;

use poem::{
    Body, Request, Response,
    http::{Method, StatusCode, header},
};
use schemas::{
    Scopes, SessionId, Timestamp,
    account::{Grant, SessionRecord, UserRecord},
};
use store::Insert;

use self::html::{Consented, Frame, SignIn};
use super::{
    consent::{Consent, DEVICE, Given},
    error::AuthorizeError,
    parts::Parts,
    request::{self, Refusal, Wanted},
    visit::Visit,
};
use crate::{
    auth::{grants, records, sessions, token_error::TokenError},
    state::{AppState, RequestContext},
};

/// Where the page is.
pub(crate) const PATH: &str = "/authorize";

/// The page.
pub(crate) struct AuthorizePage(pub(crate) AppState);

impl AuthorizePage {
    /// Answers a GET, HEAD or POST.
    pub(crate) async fn answer(&self, mut request: Request) -> Response {
        let body = request.take_body();
        match self.turn(&request, body).await {
            Ok(reply) => reply,
            Err(error) => html::told(&error),
        }
    }

    async fn turn(&self, request: &Request, body: Body) -> Result<Response, AuthorizeError> {
        let query = request.uri().query().unwrap_or_default();
        let parts = Parts::of_form(query.as_bytes())?;
        let wanted = match Wanted::check(&self.0.store, &parts).await {
            Ok(wanted) => wanted,
            Err(Refusal { error, back }) => return refused(error, back.as_ref()),
        };
        let now = Timestamp::now();
        let visit = self.0.auth.visits.read(request, now);
        let context = request
            .data::<RequestContext>()
            .ok_or_else(|| AuthorizeError::Server("a request without its context".to_owned()))?;
        let turn = Turn { state: &self.0, context, wanted, query, visit, now };
        if *request.method() != Method::POST {
            return turn.show(StatusCode::OK, None).await;
        }
        turn.act(&Parts::of_body(request, body).await?).await
    }
}

/// The client is told what is wrong, if its address is its own; otherwise the person is.
fn refused(
    error: AuthorizeError,
    back: Option<&request::Back>,
) -> Result<Response, AuthorizeError> {
    let (status, code) = error.reply();
    match back {
        Some(back) if !status.is_server_error() => Ok(html::go(&back.refused(code))),
        _ => Err(error),
    }
}

/// One request to the page, with what it is about.
struct Turn<'a> {
    state: &'a AppState,
    context: &'a RequestContext,
    wanted: Wanted,
    query: &'a str,
    visit: Option<Visit>,
    now: Timestamp,
}

/// Somebody who has signed in on the page.
struct Person {
    user: UserRecord,
    held: Scopes,
}

impl Turn<'_> {
    /// The sign-in, or the question; `problem` is what went wrong in the turn before.
    async fn show(
        &self,
        status: StatusCode,
        problem: Option<&str>,
    ) -> Result<Response, AuthorizeError> {
        let person = self.person().await?;
        let stranger = self.visit.clone().filter(|visit| visit.session.is_none());
        let visit = match &person {
            Some(_) => self.visit.clone(),
            None => stranger,
        };
        let life = self.state.settings.page_life;
        let is_new = visit.is_none();
        let begin = || self.state.auth.visits.begin(None, self.now + life);
        let visit = visit.unwrap_or_else(begin);
        let frame = Frame {
            action: format!("{PATH}?{}", self.query),
            form_token: self.state.auth.visits.form_token(&visit),
            client: &self.wanted.client.name,
            problem,
            redirect_uri: &self.wanted.back.redirect_uri,
        };
        let mut reply = match person {
            None => SignIn::page(&frame, status)?,
            Some(Person { user, held }) => {
                let offered = self.wanted.offered(&held)?;
                Consented { username: &user.username, offered: &offered }.page(&frame, status)?
            }
        };
        if is_new {
            self.give(&mut reply, &visit, life);
        }
        Ok(reply)
    }

    /// Does what a form asks.
    async fn act(self, form: &Parts) -> Result<Response, AuthorizeError> {
        let token = form.one("form_token")?.unwrap_or_default();
        let visits = &self.state.auth.visits;
        if !self.visit.as_ref().is_some_and(|visit| visits.fits(visit, token)) {
            let problem = "The page was open for too long. Try again.";
            return self.show(StatusCode::FORBIDDEN, Some(problem)).await;
        }
        match form.require("act")? {
            "sign_in" => self.sign_in(form).await,
            "allow" => self.allow(form).await,
            "deny" => self.deny().await,
            "sign_out" => self.sign_out().await,
            _ => Err(AuthorizeError::invalid("the form has an unknown button")),
        }
    }

    async fn sign_in(self, form: &Parts) -> Result<Response, AuthorizeError> {
        let (username, password) = (form.one("username")?, form.one("password")?);
        let (username, password) = (username.unwrap_or_default(), password.unwrap_or_default());
        let client = &self.wanted.client.id;
        let attempt = grants::Attempt { username, password, device_id: DEVICE, client };
        let user = match grants::user(self.state, self.context, &attempt).await {
            Ok(user) => user,
            Err(TokenError::InvalidGrant(_)) => {
                let problem = "The username or the password is wrong.";
                return self.show(StatusCode::BAD_REQUEST, Some(problem)).await;
            }
            Err(TokenError::Limited(after)) => return self.slowed(after).await,
            Err(error) => return Err(error.into()),
        };
        let life = self.state.settings.page_life;
        let session = self.session(&user, life);
        if let Insert::Taken = self.state.store.sessions.insert(&session).await? {
            return Err(AuthorizeError::Server("a new session's id was taken".to_owned()));
        }
        records::signed_in(self.state, self.context, &session).await?;
        // A new cookie: whoever knew the one before is not signed in.
        let visit = self.state.auth.visits.begin(Some(session.id), session.expires_at);
        let mut reply = self.again();
        self.give(&mut reply, &visit, life);
        Ok(reply)
    }

    /// The sign-in again, after too many failures.
    async fn slowed(self, after: Duration) -> Result<Response, AuthorizeError> {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        let problem = format!("Too many attempts. Try again in {seconds} seconds.");
        let mut reply = self.show(StatusCode::TOO_MANY_REQUESTS, Some(&problem)).await?;
        reply.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        Ok(reply)
    }

    /// A sign-in for this page alone: no token of it is ever given out.
    fn session(&self, user: &UserRecord, life: Duration) -> SessionRecord {
        SessionRecord {
            id: SessionId::generate(),
            version: 1,
            owner: user.id,
            client: self.wanted.client.id.clone(),
            grant: Grant::Password,
            device_id: DEVICE.to_owned(),
            device: None,
            scopes: Scopes::all(),
            generation: 1,
            rotated_at: self.now,
            created_at: self.now,
            expires_at: self.now + life,
            revoked_at: None,
        }
    }

    async fn allow(self, form: &Parts) -> Result<Response, AuthorizeError> {
        let Some(person) = self.person().await? else {
            return self.show(StatusCode::FORBIDDEN, Some("You are not signed in any more.")).await;
        };
        let offered = self.wanted.offered(&person.held)?;
        let basic: Scopes = offered.iter().filter(|scope| scope.is_basic()).collect();
        let chosen = request::chosen(form, &["scope"], &offered)?;
        let scopes: Scopes = basic.iter().chain(chosen.iter()).collect();
        if scopes.is_empty() {
            let problem = "Choose something that you allow.";
            return self.show(StatusCode::BAD_REQUEST, Some(problem)).await;
        }
        let context = self.context;
        let consent = Consent { owner: person.user.id, scopes, device_id: DEVICE, context };
        Ok(match consent.give(self.state, &self.wanted).await? {
            Given::Code { redirect_uri } => html::go(&redirect_uri),
            Given::Token { access_token, expires_in, .. } => {
                // Clients of this API read the bare token from the fragment.
                let life = expires_in.to_string();
                let named = [("token_type", "Bearer"), ("expires_in", life.as_str())];
                html::go(&format!("{}#{access_token}", self.wanted.back.with(&named)))
            }
        })
    }

    async fn deny(self) -> Result<Response, AuthorizeError> {
        if let Some(person) = self.person().await? {
            let (owner, client) = (person.user.id, &self.wanted.client.id);
            records::consent_refused(self.state, self.context, owner, client).await;
        }
        Ok(html::go(&self.wanted.back.refused("access_denied")))
    }

    async fn sign_out(self) -> Result<Response, AuthorizeError> {
        if let Some(person) = self.person().await?
            && let Some(session) = self.visit.as_ref().and_then(|visit| visit.session)
        {
            sessions::end(self.state, person.user.id, session).await?;
        }
        let life = self.state.settings.page_life;
        let visit = self.state.auth.visits.begin(None, self.now + life);
        let mut reply = self.again();
        self.give(&mut reply, &visit, life);
        Ok(reply)
    }

    /// Who is signed in on the page now.
    async fn person(&self) -> Result<Option<Person>, AuthorizeError> {
        let Some(id) = self.visit.as_ref().and_then(|visit| visit.session) else { return Ok(None) };
        let session = self.state.store.sessions.get(id).await?;
        let live = |session: &SessionRecord| session.is_live(self.now);
        let Some(session) = session.filter(live) else { return Ok(None) };
        let user = self.state.store.users.get(session.owner).await?;
        let user = user.filter(|user| user.disabled_at.is_none());
        Ok(user.map(|user| Person { user, held: session.scopes }))
    }

    /// The same page, asked for anew, so that a reload repeats no form.
    fn again(&self) -> Response {
        html::go(&format!("{PATH}?{}", self.query))
    }

    fn give(&self, reply: &mut Response, visit: &Visit, life: Duration) {
        let secure = self.state.settings.public_url.starts_with("https://");
        if let Ok(cookie) = visit.set_cookie(life, secure).parse() {
            reply.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}
