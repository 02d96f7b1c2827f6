//! What a client can find out before it knows anybody: scopes, public keys, and where everything
//! is (RFC 8414).

use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};
use schemas::{Scope, Scopes, account::Grant};
use serde_json::{Value, json};

use super::authorize::{PATH, labelled};
use crate::state::AppState;
use crate::view::{Area, Shaped};

/// Where the metadata is.
pub(crate) const METADATA_PATH: &str = "/.well-known/oauth-authorization-server";

/// How long anybody may keep the keys. A new key is known to every process at least that long
/// before it signs.
const KEYS_FOR: &str = "public, max-age=300";

/// The calls that need nobody.
pub(crate) struct DiscoveryApi(pub(crate) AppState);

/// Every scope: pairs of name and label.
#[derive(Object)]
#[oai(rename = "ScopeList")]
struct ScopeList {
    /// Basic scopes, which are granted together.
    n_scopes: Vec<Vec<String>>,
    /// Advanced scopes, each of which a user may leave out.
    ad_scopes: Vec<Vec<String>>,
}

/// Public keys (RFC 7517, section 5).
#[derive(Object)]
struct KeySet {
    /// The keys.
    keys: Vec<PublicKey>,
}

/// A key of the curve P-256 (RFC 7518, section 6.2).
#[derive(Object)]
struct PublicKey {
    /// Always `EC`.
    kty: String,
    /// Always `P-256`.
    crv: String,
    /// Always `ES256`.
    alg: String,
    /// Always `sig`.
    #[oai(rename = "use")]
    usage: String,
    /// Which key a token names.
    kid: String,
    /// First coordinate.
    x: String,
    /// Second coordinate.
    y: String,
}

#[derive(ApiResponse)]
enum Keys {
    /// The keys.
    #[oai(status = 200)]
    Set(Json<Shaped<KeySet>>, #[oai(header = "Cache-Control")] String),
}

#[OpenApi(prefix_path = "/api/o", tag = "Area::OAuth")]
impl DiscoveryApi {
    /// List the scopes
    #[expect(clippy::unused_async, reason = "the form that an operation has")]
    #[oai(path = "/scope", method = "get", operation_id = "list_scopes")]
    async fn scopes(&self) -> Json<ScopeList> {
        let all = Scopes::all();
        Json(ScopeList { n_scopes: labelled(&all, true), ad_scopes: labelled(&all, false) })
    }

    /// The keys that access tokens are signed with (RFC 7517)
    ///
    /// The first one signs. The others are earlier ones, whose tokens count until they expire, and
    /// the next one.
    #[expect(clippy::unused_async, reason = "the form that an operation has")]
    #[oai(path = "/jwks", method = "get", operation_id = "list_keys")]
    async fn keys(&self) -> Keys {
        Keys::Set(Json(Shaped::new(self.0.auth.keys.jwks())), KEYS_FOR.to_owned())
    }
}

/// The metadata of the authorization server at `public_url`.
pub(crate) fn metadata(public_url: &str) -> Value {
    let at = |path: &str| format!("{public_url}{path}");
    let grants = Grant::ALL.map(Grant::name);
    let scopes = Scope::ALL.map(Scope::name);
    json!({
        "issuer": public_url,
        "authorization_endpoint": at(PATH),
        "token_endpoint": at("/api/o/token/"),
        "revocation_endpoint": at("/api/o/revoke_token/"),
        "introspection_endpoint": at("/api/o/introspect/"),
        "jwks_uri": at("/api/o/jwks/"),
        "service_documentation": at("/api/docs/"),
        "scopes_supported": scopes,
        "response_types_supported": ["code", "token"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grants,
        "token_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "none"],
        "revocation_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post", "none"],
        "introspection_endpoint_auth_methods_supported":
            ["client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
    })
}
