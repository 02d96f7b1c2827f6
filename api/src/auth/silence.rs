//! Ends the pushes to what a sign-in or a key has registered, when it ends.
//!
//! A device that is signed out gets nothing any more from that moment on. The end of the sign-in is
//! saved first, so that a registration under way sees it; and the pushes are ended before that,
//! too: should this process die in between, nothing is left over.

use schemas::{KeyId, Timestamp, UserId, account::SessionRecord, push_token::PushTokenRecord};
use store::StoreError;

use crate::state::AppState;

/// Ends the pushes to the device of `session`.
///
/// # Errors
///
/// The store does not answer: try again.
pub(crate) async fn session(state: &AppState, session: &SessionRecord) -> Result<(), StoreError> {
    // Without a record of its own the device's name is shared by all of that client.
    let named = session.device.is_some();
    let which = |device: &PushTokenRecord| {
        device.signed_in.session == Some(session.id)
            || (named && device.device_id == session.device_id)
    };
    state.store.push_tokens.sign_out(session.owner, which, Timestamp::now()).await.map(drop)
}

/// Ends the pushes to the devices that were registered with the key `id`.
///
/// # Errors
///
/// The store does not answer: try again.
pub(crate) async fn key(state: &AppState, owner: UserId, id: KeyId) -> Result<(), StoreError> {
    let which = |device: &PushTokenRecord| device.signed_in.key == Some(id);
    state.store.push_tokens.sign_out(owner, which, Timestamp::now()).await.map(drop)
}
