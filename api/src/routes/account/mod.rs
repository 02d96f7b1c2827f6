//! `/api/user/` and `/api/auth/`: who one is, where one is signed in, and signing out.

mod sign_out;

use poem::web::Data;
use poem_openapi::{Object, OpenApi, param::Query, payload::Json};
use schemas::{ErrorCode, Scope, SessionId, Timestamp};
use serde_json::Value;

use super::json_body::OptionalJsonBody;
use crate::{
    auth::{Bearer, Caller, sessions},
    error::ApiError,
    state::{AppState, RequestContext},
    view::{Area, BasicInfo, Cursor, Done, Session, Stretch, UserMeta},
};

/// Sign-ins of one reply.
const PAGE_SIZE: usize = 50;

/// The calls about one's own account.
pub(crate) struct AccountApi(pub(crate) AppState);

/// A user, and what belongs to their pages.
#[derive(Object)]
struct WhoAmI {
    /// The user.
    data: BasicInfo,
    /// What belongs to the user's pages.
    meta: UserMeta,
}

/// What to end; without a body, the sign-in with which the call is made.
#[derive(Object)]
#[oai(rename = "SignOut")]
struct What {
    /// End this sign-in.
    session: Option<String>,
    /// True: end every sign-in, this one too.
    all: Option<bool>,
}

/// What was ended.
#[derive(Debug, Clone, Object)]
struct SignedOut {
    /// Sign-ins that were ended by this call.
    ended: u64,
}

#[OpenApi(tag = "Area::Account")]
impl AccountApi {
    /// Read who one is
    #[oai(path = "/api/user/basic-info", method = "get", operation_id = "basic_info")]
    async fn basic_info(&self, Bearer(caller): Bearer) -> Result<Json<WhoAmI>, ApiError> {
        let user = self.0.store.users.get(caller.user).await?;
        let user = user.filter(|user| user.disabled_at.is_none());
        let user = user.ok_or_else(ApiError::authentication_failed)?;
        Ok(Json(WhoAmI { data: BasicInfo::of(&user), meta: UserMeta::of(&user) }))
    }

    /// List where one is signed in
    ///
    /// Newest first; sign-ins that have ended are left out. Only a sign-in with the password may ask:
    /// an application that the user allowed something, or a key, is refused.
    #[oai(path = "/api/user/session", method = "get", operation_id = "list_sessions")]
    async fn sessions(
        &self,
        Bearer(caller): Bearer,
        /// `cursor.next` of the reply before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<Stretch<Session>>, ApiError> {
        self.require_all_sign_ins(&caller).await?;
        let after = cursor.0.as_deref().map(str::parse::<SessionId>).transpose();
        let after = after
            .map_err(|_| ApiError::invalid("cursor", "Send `cursor.next` of the reply before."))?;
        let sessions = &self.0.store.sessions;
        // One more tells whether there is a next page.
        let mut found = sessions.live(caller.user, Timestamp::now(), after, PAGE_SIZE + 1).await?;
        let more = found.len() > PAGE_SIZE;
        found.truncate(PAGE_SIZE);
        let next = found.last().filter(|_| more).map(|last| last.id.to_string());
        let data = found.iter().map(|session| Session::of(session, caller.session)).collect();
        Ok(Json(Stretch { data, cursor: Cursor { next } }))
    }

    /// Sign out
    ///
    /// Of this device, of another one, or of all. Refresh tokens of an ended sign-in do not count
    /// any more. Ending other sign-ins than one's own needs the scope `user_profile` and a sign-in with
    /// the password: an application that the user allowed something may end only its own.
    #[oai(path = "/api/user/sign-out", method = "post", operation_id = "sign_out")]
    async fn sign_out(
        &self,
        Bearer(caller): Bearer,
        context: Data<&RequestContext>,
        what: OptionalJsonBody<What>,
    ) -> Result<Json<Done<SignedOut>>, ApiError> {
        let all = match what.get("all") {
            None | Some(Value::Bool(false)) => false,
            Some(Value::Bool(true)) => true,
            Some(_) => return Err(ApiError::invalid("all", "Send true or false.")),
        };
        let named = match what.get("session") {
            None => None,
            Some(Value::String(id)) => Some(id.parse().map_err(|_| ApiError::not_found())?),
            Some(_) => return Err(ApiError::invalid("session", "Send the id of a sign-in.")),
        };
        let ended = match (all, named) {
            (true, None) => {
                self.require_all_sign_ins(&caller).await?;
                sign_out::all(&self.0, &context, caller.user).await?
            }
            (false, Some(id)) => {
                if caller.session != Some(id) {
                    self.require_all_sign_ins(&caller).await?;
                }
                sign_out::one(&self.0, &context, caller.user, id).await?
            }
            (false, None) => match caller.session {
                Some(id) => sign_out::one(&self.0, &context, caller.user, id).await?,
                None => {
                    return Err(ApiError::invalid("session", "A key is no sign-in: log it out."));
                }
            },
            (true, Some(_)) => {
                return Err(ApiError::invalid("all", "Send `session` or `all`, not both."));
            }
        };
        Ok(done(ended))
    }

    /// End the credentials of this call
    ///
    /// Of an access token, its sign-in; a long-lived key is revoked.
    #[oai(path = "/api/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(
        &self,
        Bearer(caller): Bearer,
        context: Data<&RequestContext>,
    ) -> Result<Json<Done<SignedOut>>, ApiError> {
        let mut ended = 0;
        if let Some(id) = caller.session {
            ended = sign_out::one(&self.0, &context, caller.user, id).await?;
        }
        if let Some(id) = caller.key {
            ended = sign_out::key(&self.0, &context, id).await?;
        }
        Ok(done(ended))
    }
}

impl AccountApi {
    /// Passes for a caller who may see all sign-ins and end others than their own.
    async fn require_all_sign_ins(&self, caller: &Caller) -> Result<(), ApiError> {
        caller.require(Scope::UserProfile)?;
        if sessions::began_with_password(&self.0.store, caller).await? {
            return Ok(());
        }
        let text = "Only a sign-in with the password may see or end others.";
        Err(ApiError::of(ErrorCode::PermissionDenied, text))
    }
}

fn done(ended: u64) -> Json<Done<SignedOut>> {
    Json(Done { success: true, data: Some(SignedOut { ended }) })
}
