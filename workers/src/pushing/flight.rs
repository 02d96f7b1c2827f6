//! One push on its way to one device.

use std::sync::Arc;

use providers::apns::{Apns, Message, Push, PushError};
use schemas::{ApnsEnvironment, Timestamp, push_token::PushTokenRecord};
use uuid::Uuid;

/// One push that came back with an answer.
pub(super) struct Flight {
    /// Place of the target in its shard.
    pub(super) index: usize,
    /// The device as it was read just before.
    pub(super) device: PushTokenRecord,
    /// When the push left.
    pub(super) sent: Timestamp,
    /// Where Apple took it, or why not.
    pub(super) answer: Result<ApnsEnvironment, PushError>,
}

/// Sends one push. A token that Apple does not know is tried once in the other environment, under
/// the same id: the first answer says that nothing was taken.
pub(super) async fn fly(
    apns: Apns,
    index: usize,
    id: Uuid,
    device: PushTokenRecord,
    message: Arc<Message>,
) -> Flight {
    let sent = Timestamp::now();
    let token = device.token.clone();
    let mut push = Push { id, environment: device.environment, device: token, message };
    let answer = match apns.send(&push).await {
        Ok(_) => Ok(push.environment),
        Err(stranger @ PushError::BadToken { .. }) => {
            push.environment = push.environment.other();
            match apns.send(&push).await {
                Ok(_) => Ok(push.environment),
                Err(gone @ (PushError::TokenGone { .. } | PushError::Unknown(_))) => Err(gone),
                // Not known there either, or it could not be asked: the first word stands.
                Err(_) => Err(stranger),
            }
        }
        Err(error) => Err(error),
    };
    Flight { index, device, sent, answer }
}
