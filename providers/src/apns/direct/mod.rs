//! HTTP/2 by ourselves: what a client library hides is what pushes need to know, namely how many
//! streams the peer allows now, and whether a request that failed can have been seen.

mod connection;
mod line;
mod watched;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use http::{HeaderName, HeaderValue, Method, Request, Uri, header::AUTHORIZATION};
use schemas::ApnsEnvironment;

use self::{connection::Connection, line::Line};
use super::{
    CredentialError, Push, PushError, Reason, Roots, Settings,
    credential::Credential,
    drive::{Trouble, Wire},
    gate::Inside,
    outcome::Answer,
    provider_token::ProviderToken,
    tls,
};

const APNS_ID: HeaderName = HeaderName::from_static("apns-id");

/// Pushes over connections of our own.
#[derive(Debug)]
pub(super) struct Direct {
    settings: Arc<Settings>,
    lines: Mutex<HashMap<(u64, ApnsEnvironment), Known>>,
}

#[derive(Debug)]
struct Known {
    line: Arc<Line>,
    credential: Weak<Credential>,
}

/// A connection and what is signed with on it.
pub(super) struct Session {
    connection: Arc<Connection>,
    _inside: Inside,
    token: Option<Arc<ProviderToken>>,
}

impl Direct {
    /// Proves that the trusted certificates can be read.
    pub(super) fn new(settings: Arc<Settings>) -> Result<Self, CredentialError> {
        if let Roots::Only(pem) = &settings.roots {
            tls::only(pem)?;
        }
        Ok(Self { settings, lines: Mutex::default() })
    }

    /// Connects anew and hears the peer's greeting, without sending a push.
    pub(super) async fn try_connect(
        &self,
        credential: &Arc<Credential>,
        environment: ApnsEnvironment,
    ) -> Result<(), String> {
        let line = Line::new(&self.settings, credential, environment).map_err(|e| e.to_string())?;
        line.connect(0).await.map(drop)
    }

    /// The connections of a credential in an environment. Those of a credential that no longer
    /// counts end with the last push on them.
    fn line(
        &self,
        credential: &Arc<Credential>,
        environment: ApnsEnvironment,
    ) -> Result<Arc<Line>, CredentialError> {
        let mut lines = self.lines();
        if let Some(known) = lines.get(&(credential.id, environment)) {
            return Ok(Arc::clone(&known.line));
        }
        lines.retain(|_, known| known.credential.strong_count() > 0);
        let line = Arc::new(Line::new(&self.settings, credential, environment)?);
        let known = Known { line: Arc::clone(&line), credential: Arc::downgrade(credential) };
        lines.insert((credential.id, environment), known);
        Ok(line)
    }

    /// The map is whole between any two statements, so a panic elsewhere harms nothing.
    fn lines(&self) -> MutexGuard<'_, HashMap<(u64, ApnsEnvironment), Known>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, session: &Session, push: &Push) -> Option<Request<()>> {
        let endpoint = self.settings.endpoint(push.environment);
        let uri = Uri::builder()
            .scheme(endpoint.scheme.clone())
            .authority(endpoint.authority.clone())
            .path_and_query(format!("/3/device/{}", push.device.as_str()))
            .build()
            .ok()?;
        let mut id = HeaderValue::try_from(push.id.hyphenated().to_string()).ok()?;
        // Not kept in the peer's small table of headers.
        id.set_sensitive(true);
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.reserve(8);
        headers.insert(APNS_ID, id);
        for (name, value) in push.message.headers() {
            headers.insert(name, value.clone());
        }
        if let Some(token) = &session.token {
            headers.insert(AUTHORIZATION, token.authorization.clone());
        }
        Some(request)
    }
}

impl Wire for Direct {
    type Session = Session;

    async fn session(
        &self,
        credential: &Arc<Credential>,
        environment: ApnsEnvironment,
    ) -> Result<Session, PushError> {
        let blocked = |word| PushError::AppBlocked { reason: Reason::local(word) };
        let line = self.line(credential, environment).map_err(|error| {
            tracing::error!(%error, "no TLS with this credential");
            blocked("UnusableCredential")
        })?;
        let current = || match credential.mint() {
            Some(mint) => mint.current().map(Some).map_err(|_| blocked("UnusableCredential")),
            None => Ok(None),
        };
        let born = current()?.map_or(0, |token| token.number);
        let (connection, inside) = line.enter(born).await?;
        // Waiting may have taken a while.
        let token = current()?;
        Ok(Session { connection, _inside: inside, token })
    }

    async fn exchange(&self, session: &Session, push: &Push) -> Result<Answer, Trouble> {
        // Every part was checked when it was made.
        let request = self.request(session, push).ok_or(Trouble::NoRoom)?;
        let body = push.message.payload().as_bytes().clone();
        session.connection.exchange(request, body).await
    }

    fn replace(&self, session: &Session) {
        session.connection.retire();
    }

    fn renew(&self, session: &Session, credential: &Credential) -> bool {
        match (credential.mint(), &session.token) {
            // An earlier token has spoiled the connection; this one has yet to be tried.
            (Some(_), Some(token)) if token.number > session.connection.born() => true,
            (Some(mint), Some(token)) => mint.renew(token),
            _ => false,
        }
    }
}
