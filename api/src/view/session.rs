//! A sign-in as its user sees it.

use poem_openapi::Object;
use schemas::{SessionId, account::SessionRecord};

use super::Moment;

/// One sign-in of one device through one client.
#[derive(Debug, Clone, Object)]
pub(crate) struct Session {
    /// Its id.
    id: String,
    /// The client through which it happened.
    client_id: String,
    /// The device, as the client names it.
    device_id: String,
    /// What was granted: names parted by spaces.
    scope: String,
    /// When it happened.
    created_at: Moment,
    /// When its tokens were last renewed.
    refreshed_at: Moment,
    /// When it ends, unless it is ended before.
    expires_at: Moment,
    /// Whether this call was made with it.
    current: bool,
}

impl Session {
    /// The view of `session` for a caller with the sign-in `current`.
    pub(crate) fn of(session: &SessionRecord, current: Option<SessionId>) -> Self {
        Self {
            id: session.id.to_string(),
            client_id: session.client.to_string(),
            device_id: session.device_id.clone(),
            scope: session.scopes.to_string(),
            created_at: Moment(session.created_at),
            refreshed_at: Moment(session.rotated_at),
            expires_at: Moment(session.expires_at),
            current: current == Some(session.id),
        }
    }
}
