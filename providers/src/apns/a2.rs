//! Pushes through the crate a2, which speaks to Apple's two addresses.
//!
//! What it leaves to its users is done here: the first push on a connection goes alone, because
//! Apple allows one stream until it has accepted something; refused streams and broken
//! connections are told apart; an expired provider token gets a new client.

use std::{
    collections::HashMap,
    error::Error as _,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use a2::{
    Client, ClientConfig, CollapseId, Endpoint, Error, NotificationOptions, Response,
    request::payload::PayloadLike,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use schemas::{ApnsEnvironment, Timestamp};
use secrecy::ExposeSecret;
use serde::{Serialize, Serializer};
use tokio::time::timeout;

use super::{
    Lost, Priority, Push, PushError, PushType, Reason, Settings,
    credential::{Credential, Kind},
    drive::{Trouble, Wire},
    gate::Gate,
    outcome::Answer,
    provider_token::LEAST_AGE,
};

/// What one connection takes before Apple has accepted anything on it.
const UNPROVEN: usize = 1;

/// Pushes through a2.
#[derive(Debug)]
pub(super) struct A2 {
    clients: Mutex<HashMap<(u64, ApnsEnvironment), Known>>,
    in_flight: usize,
    answer_timeout: Duration,
    room_timeout: Duration,
    ping_every: Duration,
}

#[derive(Debug)]
struct Known {
    session: Arc<Session>,
    credential: Weak<Credential>,
}

/// One client with its connection and its provider token.
pub(super) struct Session {
    client: Client,
    gate: Arc<Gate>,
    proven: AtomicBool,
    made: Timestamp,
    place: (u64, ApnsEnvironment),
}

impl fmt::Debug for Session {
    /// The client's own text has the provider token in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({:?})", self.place)
    }
}

impl Session {
    /// Apple has accepted something; now it takes many at a time.
    fn prove(&self, in_flight: usize) {
        if !self.proven.swap(true, Ordering::Relaxed) {
            self.gate.set_limit(in_flight);
        }
    }

    /// The next push goes alone again.
    fn unprove(&self) {
        if self.proven.swap(false, Ordering::Relaxed) {
            self.gate.set_limit(UNPROVEN);
        }
    }
}

impl A2 {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            clients: Mutex::default(),
            in_flight: settings.in_flight,
            answer_timeout: settings.answer_timeout,
            room_timeout: settings.room_timeout,
            ping_every: settings.ping_every,
        }
    }

    /// Whether a2 has words for everything in this push.
    pub(super) fn can_say(push: &Push) -> bool {
        push.message.priority() != Priority::PowerFirst
            && push_type(push.message.push_type()).is_some()
    }

    fn client(
        &self,
        credential: &Credential,
        environment: ApnsEnvironment,
    ) -> Result<Client, Error> {
        let endpoint = match environment {
            ApnsEnvironment::Production => Endpoint::Production,
            ApnsEnvironment::Sandbox => Endpoint::Sandbox,
        };
        let config = ClientConfig {
            endpoint,
            request_timeout: Some(self.answer_timeout),
            pool_idle_timeout: None,
            http2_keep_alive_interval: Some(self.ping_every),
            http2_keep_alive_while_idle: false,
        };
        match &credential.kind {
            Kind::Token { key_pem, key_id, team_id, .. } => {
                Client::token(key_pem.expose_secret(), key_id.as_str(), team_id.as_str(), config)
            }
            Kind::Certificate(own) => {
                let chain: String = own.chain.iter().map(|part| pem("CERTIFICATE", part)).collect();
                let key = pem("PRIVATE KEY", own.key.secret_der());
                Client::certificate_parts(chain.as_bytes(), key.as_bytes(), config)
            }
        }
    }

    /// The map is whole between any two statements, so a panic elsewhere harms nothing.
    fn clients(&self) -> MutexGuard<'_, HashMap<(u64, ApnsEnvironment), Known>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire for A2 {
    type Session = Arc<Session>;

    async fn session(
        &self,
        credential: &Arc<Credential>,
        environment: ApnsEnvironment,
    ) -> Result<Arc<Session>, PushError> {
        let place = (credential.id, environment);
        let mut clients = self.clients();
        if let Some(known) = clients.get(&place) {
            return Ok(Arc::clone(&known.session));
        }
        clients.retain(|_, known| known.credential.strong_count() > 0);
        let client = self.client(credential, environment).map_err(|_| {
            tracing::error!("a2 takes this credential not");
            PushError::AppBlocked { reason: Reason::local("UnusableCredential") }
        })?;
        let (gate, proven) = (Arc::new(Gate::new(UNPROVEN)), AtomicBool::new(false));
        let made = credential.clock.now();
        let session = Arc::new(Session { client, gate, proven, made, place });
        let known = Known { session: Arc::clone(&session), credential: Arc::downgrade(credential) };
        clients.insert(place, known);
        Ok(session)
    }

    async fn exchange(&self, session: &Arc<Session>, push: &Push) -> Result<Answer, Trouble> {
        let entered = timeout(self.room_timeout, session.gate.enter()).await;
        let inside = entered.map_err(|_| Trouble::NoRoom)?.map_err(|_| Trouble::NotTaken)?;
        let id = push.id.hyphenated().to_string();
        let answer = match session.client.send(Said { push, options: options(push, &id) }).await {
            Ok(response) | Err(Error::ResponseError(response)) => Ok(answer(response)),
            Err(error) => Err(trouble(&error)),
        };
        drop(inside);
        match &answer {
            Ok(answer) if answer.status == 200 => session.prove(self.in_flight),
            // The client connects anew by itself; the new connection has proved nothing.
            Err(Trouble::Lost(_)) => session.unprove(),
            _ => {}
        }
        answer
    }

    fn replace(&self, session: &Arc<Session>) {
        // A new client would make a new provider token, which Apple takes every twenty minutes
        // only. The peer closes the connection, and the client makes another.
        session.unprove();
    }

    fn renew(&self, session: &Arc<Session>, credential: &Credential) -> bool {
        let mut clients = self.clients();
        let known = clients.get(&session.place);
        if known.is_some_and(|known| !Arc::ptr_eq(&known.session, session)) {
            return true;
        }
        let old_enough = credential.clock.now().since(session.made) >= LEAST_AGE;
        if old_enough {
            clients.remove(&session.place);
            session.gate.close();
        }
        old_enough
    }
}

/// A push in the form that a2 asks for.
struct Said<'a> {
    push: &'a Push,
    options: NotificationOptions<'a>,
}

impl Serialize for Said<'_> {
    /// a2 asks for the text instead; see below.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl fmt::Debug for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Said")
    }
}

impl PayloadLike for Said<'_> {
    fn to_json_string(&self) -> Result<String, Error> {
        // JSON that serde wrote is UTF-8, so nothing is replaced.
        Ok(String::from_utf8_lossy(self.push.message.payload().as_bytes()).into_owned())
    }

    fn get_device_token(&self) -> &str {
        self.push.device.as_str()
    }

    fn get_options(&self) -> &NotificationOptions<'_> {
        &self.options
    }
}

fn options<'a>(push: &'a Push, id: &'a str) -> NotificationOptions<'a> {
    let message = &push.message;
    NotificationOptions {
        apns_id: Some(id),
        apns_push_type: push_type(message.push_type()),
        apns_expiration: message.expiration().map(super::Expiration::seconds),
        apns_priority: Some(match message.priority() {
            Priority::Immediate => a2::Priority::High,
            Priority::PowerAware | Priority::PowerFirst => a2::Priority::Normal,
        }),
        apns_topic: Some(message.topic()),
        apns_collapse_id: message.collapse_id().map(|id| CollapseId { value: id.as_str() }),
    }
}

const fn push_type(push_type: PushType) -> Option<a2::PushType> {
    match push_type {
        PushType::Alert => Some(a2::PushType::Alert),
        PushType::Background => Some(a2::PushType::Background),
        PushType::Voip => Some(a2::PushType::Voip),
        PushType::FileProvider => Some(a2::PushType::FileProvider),
        PushType::Mdm => Some(a2::PushType::Mdm),
        PushType::Location => Some(a2::PushType::Location),
        PushType::LiveActivity => Some(a2::PushType::LiveActivity),
        PushType::PushToTalk => Some(a2::PushType::PushToTalk),
        PushType::Complication | PushType::Widgets | PushType::Controls => None,
    }
}

/// a2 keeps neither `Retry-After` nor a reason that it does not know.
fn answer(response: Response) -> Answer {
    let (reason, timestamp) = match response.error {
        Some(error) => (Some(format!("{:?}", error.reason)), error.timestamp),
        None => (None, None),
    };
    let unique_id = response.apns_unique_id;
    Answer { status: response.code, reason, timestamp, retry_after: None, unique_id }
}

/// What an error of a2 means for its push.
fn trouble(error: &Error) -> Trouble {
    match error {
        Error::RequestTimeout(_) => Trouble::Lost(Lost::TimedOut),
        Error::ClientError(error) if error.is_connect() => Trouble::NotTaken,
        Error::ClientError(_) | Error::ConnectionError(_) if was_refused(error) => {
            Trouble::NotTaken
        }
        Error::ClientError(_) | Error::ConnectionError(_) => Trouble::Lost(Lost::Closed),
        // The answer's body, or nothing that ever left; the former cannot be told from here.
        _ => Trouble::Lost(Lost::Unreadable),
    }
}

/// Whether the peer refused the stream, or named an earlier one as its last.
fn was_refused(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(one) = cause {
        if let Some(http) = one.downcast_ref::<h2::Error>() {
            let refused = http.is_reset() && http.reason() == Some(h2::Reason::REFUSED_STREAM);
            return http.is_remote() && (refused || http.is_go_away());
        }
        cause = one.source();
    }
    false
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
