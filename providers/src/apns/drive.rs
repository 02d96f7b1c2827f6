//! What both transports have in common: what is repeated, and what an answer does to a
//! connection.

use std::{future::Future, sync::Arc, time::Duration};

use schemas::ApnsEnvironment;

use super::{
    Accepted, Lost, Push, PushError,
    credential::Credential,
    outcome::{Answer, Then, rule},
    provider_token::Mint,
};

/// How often a push that was certainly not taken is given to a connection.
const ROUNDS: u32 = 5;

/// Pause after a refused stream, doubled each time.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// First wait that a caller is told after a push found no way.
pub(super) const AFTER_NOT_SENT: Duration = Duration::from_secs(1);

/// One way to Apple.
pub(super) trait Wire: Sync {
    /// A connection, and what a push on it signs with.
    type Session: Send + Sync;

    /// A connection that takes pushes, made when there is none.
    ///
    /// # Errors
    ///
    /// [`PushError::NotSent`], or [`PushError::AppBlocked`] when the credential cannot be used.
    fn session(
        &self,
        credential: &Arc<Credential>,
        environment: ApnsEnvironment,
    ) -> impl Future<Output = Result<Self::Session, PushError>> + Send;

    /// One request and its answer.
    fn exchange(
        &self,
        session: &Self::Session,
        push: &Push,
    ) -> impl Future<Output = Result<Answer, Trouble>> + Send;

    /// Gives this connection no more pushes; those on it end in peace.
    fn replace(&self, session: &Self::Session);

    /// Makes a new provider token in place of the session's, if its age permits.
    fn renew(&self, session: &Self::Session, credential: &Credential) -> bool;
}

/// Why an exchange has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The peer has certainly not looked at it: it never left, or its stream was refused.
    NotTaken,
    /// No stream became free in time; it never left.
    NoRoom,
    /// It left, and what became of it is not known.
    Lost(Lost),
}

/// Sends one push; see [`super::Apns::send`].
pub(super) async fn send<W: Wire>(
    wire: &W,
    credential: &Arc<Credential>,
    push: &Push,
) -> Result<Accepted, PushError> {
    for round in 0..ROUNDS {
        let session = wire.session(credential, push.environment).await?;
        let answer = match wire.exchange(&session, push).await {
            Ok(answer) => answer,
            Err(Trouble::NotTaken) => {
                drop(session);
                tokio::time::sleep(REFUSED_PAUSE * 2_u32.pow(round)).await;
                continue;
            }
            Err(Trouble::NoRoom) => return Err(not_sent("no stream became free in time")),
            Err(Trouble::Lost(lost)) => return Err(PushError::Unknown(lost)),
        };
        let ruling = rule(&answer, credential.clock.now());
        match ruling.then {
            Then::Keep => {}
            Then::Replace => wire.replace(&session),
            Then::HoldToken => credential.mint().into_iter().for_each(Mint::hold),
            Then::Renew => {
                wire.replace(&session);
                // A new token is made every twenty minutes at most, so this ends.
                if wire.renew(&session, credential) {
                    continue;
                }
            }
        }
        let unique_id = answer.unique_id;
        return ruling.outcome.map(|()| Accepted { id: push.id, unique_id });
    }
    Err(not_sent("every connection refused the push"))
}

pub(super) fn not_sent(why: &'static str) -> PushError {
    PushError::NotSent { why: why.into(), after: AFTER_NOT_SENT }
}
