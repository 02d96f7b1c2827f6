//! Grant `client_credentials` (RFC 6749 4.4): a client acts for itself. There is no user, and no
//! refresh token: the client asks again.

use schemas::account::ClientRecord;

use crate::auth::{
    form::Form,
    token::{Granted, scopes},
    token_error::TokenError,
};

/// Grants a client that has proved its secret what it may do by itself.
pub(in crate::auth) fn client_credentials(
    client: &ClientRecord,
    form: &Form,
) -> Result<Granted, TokenError> {
    // Anybody can name a public client, so its name is no credential.
    if client.secret_digest.is_none() {
        return Err(TokenError::UnauthorizedClient);
    }
    Ok(Granted::to_client(client.id.clone(), scopes(form, &client.scopes)?))
}
