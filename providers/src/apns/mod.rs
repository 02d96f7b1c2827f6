//! Apple's push service.
//!
//! [`Message`] is what is said, checked once and shared by any number of devices; [`Push`] is one
//! message for one device under an id that stays the same on every repetition. [`Apns::send`]
//! says of each push whether Apple took it, refused it, or what else the caller may do next; it
//! never says "not sent" of something that Apple may have taken.
//!
//! Two transports stand behind it. [`Transport::Direct`] speaks HTTP/2 itself, to any address;
//! [`Transport::A2`] is the crate of that name, which knows Apple's two addresses and no other.
//! Both keep connections for hours, wait for a free stream instead of being refused, and replace
//! what has stalled or was closed. Repeating after a lost answer is left to the caller, who must
//! count it first.

mod a2;
mod accounts;
mod apps;
mod check;
mod clock;
mod credential;
mod direct;
mod drive;
mod gate;
mod message;
mod outcome;
mod payload;
mod provider_token;
mod push_type;
mod settings;
mod stored;
mod tls;

use std::{sync::Arc, time::Instant};

use schemas::{ApnsEnvironment, BundleId, DeviceToken};
use uuid::Uuid;

use self::{a2::A2, apps::Apps, direct::Direct};
pub use self::{
    accounts::ApnsAccount,
    clock::Clock,
    credential::CredentialError,
    message::{CollapseId, Expiration, Message, MessageFlaw, MessageParts},
    outcome::{Accepted, Limit, Lost, Next, PushError, Reason},
    payload::{
        Activity, ActivityEvent, Alert, AlertText, Aps, InterruptionLevel, Notification, Payload,
        Sound,
    },
    push_type::{Priority, PushType},
    settings::{
        AppSettings, CredentialSource, Endpoint, NotAnEndpoint, Roots, Settings, Transport,
    },
};
use crate::Finding;

/// One message for one device.
#[derive(Debug, Clone)]
pub struct Push {
    /// Apple's `apns-id`. The caller makes it once and keeps it on every repetition, so that logs
    /// agree; Apple promises nothing about a second push of the same id.
    pub id: Uuid,
    /// Where the device token belongs.
    pub environment: ApnsEnvironment,
    /// The device.
    pub device: DeviceToken,
    /// What is said.
    pub message: Arc<Message>,
}

/// Sends pushes for any number of apps. Clones share connections and credentials.
#[derive(Debug, Clone)]
pub struct Apns {
    apps: Arc<Apps>,
    engine: Engine,
}

#[derive(Debug, Clone)]
enum Engine {
    Direct(Arc<Direct>),
    A2(Arc<A2>),
}

impl Apns {
    /// Reads every credential; connects with the first push.
    ///
    /// # Errors
    ///
    /// The first credential that cannot be used, or trusted roots that cannot be read. The
    /// operator must act.
    pub fn open(settings: Settings) -> Result<Self, CredentialError> {
        let settings = Arc::new(settings.bounded());
        let apps = Arc::new(Apps::load(&settings)?);
        let engine = match settings.transport {
            Transport::Direct => Engine::Direct(Arc::new(Direct::new(settings)?)),
            Transport::A2 => Engine::A2(Arc::new(A2::new(&settings))),
        };
        Ok(Self { apps, engine })
    }

    /// Gives one push to Apple and says what became of it.
    ///
    /// Waits for a connection and for a free stream on it, for a bounded time. What was certainly
    /// not taken (a refused stream, a connection that closed before) is given to another
    /// connection at once; an expired provider token is renewed once. Nothing else is repeated.
    /// Dropping the future leaves it open whether Apple took the push.
    ///
    /// # Errors
    ///
    /// [`PushError`] says what the caller may do; after [`PushError::Unknown`] the push may have
    /// been delivered.
    pub async fn send(&self, push: &Push) -> Result<Accepted, PushError> {
        let started = Instant::now();
        let outcome = self.route(push).await;
        let answer = outcome.as_ref().map_or_else(PushError::label, |_| "accepted");
        let app = push.message.app().as_str().to_owned();
        let environment = push.environment.name();
        metrics::counter!("feat_apns_pushes_total",
            "app" => app, "environment" => environment, "answer" => answer)
        .increment(1);
        metrics::histogram!("feat_apns_send_seconds", "environment" => environment)
            .record(started.elapsed());
        outcome
    }

    async fn route(&self, push: &Push) -> Result<Accepted, PushError> {
        let Some(credential) = self.apps.credential(push.message.app()).await else {
            return Err(PushError::AppBlocked { reason: Reason::local("NoCredentialForApp") });
        };
        if !credential.may_send(push.message.push_type()) {
            return Err(PushError::Refused { reason: Reason::local("TypeNeedsProviderToken") });
        }
        match &self.engine {
            Engine::A2(_) if !A2::can_say(push) => {
                Err(PushError::Refused { reason: Reason::local("NotThroughA2") })
            }
            Engine::Direct(direct) => drive::send(&**direct, &credential, push).await,
            Engine::A2(a2) => drive::send(&**a2, &credential, push).await,
        }
    }

    /// The apps that have a credential, sorted.
    #[must_use]
    pub fn apps(&self) -> Vec<BundleId> {
        self.apps.names()
    }

    /// Reads credential files that have changed now, instead of within the next ten seconds.
    ///
    /// A file that cannot be used leaves the credential in force; [`Self::check`] tells of it.
    pub async fn reload(&self) {
        self.apps.reload().await;
    }

    /// Looks at every credential and connects to both environments, without sending anything.
    pub async fn check(&self) -> Vec<Finding> {
        check::run(&self.apps, &self.engine).await
    }
}
