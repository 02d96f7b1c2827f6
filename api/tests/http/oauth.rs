//! What the tests of OAuth2 share: clients of every kind, and a user who allows them something.

use api::{Settings, auth::digest_secret};
use reqwest::{Method, Response};
use schemas::{
    Scopes, Timestamp,
    account::{ClientRecord, Grant},
};
use serde_json::Value;
use store::{Insert, Save};

use crate::rig::Server;

/// The pair of verifier and challenge in RFC 7636.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Addresses of `web`, `phone` and `spa`.
pub(crate) const WEB: &str = "http://localhost:3000/oauth";
pub(crate) const PHONE: &str = "com.example.app:/oauth";

const USES: [Grant; 2] = [Grant::AuthorizationCode, Grant::RefreshToken];

/// A server with clients `web` (with a secret), `phone` (public), `spa` (implicit), `robot` (for
/// itself) and `gate` (with a secret and no grant) beside those of the rig.
pub(crate) async fn server() -> Server {
    server_with(|_| {}).await
}

pub(crate) async fn server_with(change: impl FnOnce(&mut Settings)) -> Server {
    let server = Server::start_with(change).await;
    add(&server, "web", Some("web-secret"), &USES, WEB).await;
    add(&server, "phone", None, &USES, PHONE).await;
    add(&server, "spa", None, &[Grant::Implicit], WEB).await;
    add(&server, "robot", Some("robot-secret"), &[Grant::ClientCredentials], "").await;
    add(&server, "gate", Some("gate-secret"), &[], "").await;
    server
}

async fn add(server: &Server, id: &str, secret: Option<&str>, grants: &[Grant], address: &str) {
    let addresses = if address.is_empty() { vec![] } else { vec![address.parse().unwrap()] };
    let client = ClientRecord {
        id: id.parse().unwrap(),
        version: 1,
        name: format!("The {id}"),
        secret_digest: secret.map(|secret| digest_secret(&secret.into())),
        grants: grants.to_vec(),
        scopes: Scopes::all(),
        redirect_uris: addresses,
        created_at: Timestamp::now(),
        disabled_at: None,
    };
    assert_eq!(server.store.clients.insert(&client).await, Ok(Insert::Stored));
}

/// What an operator does with a client that is to be used no more.
pub(crate) async fn disable(server: &Server, id: &str) {
    let client = server.store.clients.get(&id.parse().unwrap()).await.unwrap().unwrap();
    let version = client.version + 1;
    let client = ClientRecord { version, disabled_at: Some(Timestamp::now()), ..client };
    assert_eq!(server.store.clients.save(&client).await, Ok(Save::Stored));
}

/// What a client asks for.
pub(crate) type Ask<'a> = Vec<(&'a str, &'a str)>;

/// A good request of `web`, with more parameters.
pub(crate) fn web<'a>(more: &[(&'a str, &'a str)]) -> Ask<'a> {
    let mut ask = vec![("client_id", "web"), ("response_type", "code"), ("redirect_uri", WEB)];
    ask.extend_from_slice(more);
    ask
}

/// A good request of `phone`.
pub(crate) fn phone() -> Ask<'static> {
    vec![
        ("client_id", "phone"),
        ("response_type", "code"),
        ("redirect_uri", PHONE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

/// The request as a consent page makes it.
pub(crate) async fn show(server: &Server, token: &str, ask: &Ask<'_>) -> Response {
    let request = server.request(Method::GET, "/api/o/authorize/").bearer_auth(token);
    request.query(ask).send().await.unwrap()
}

/// The answer as a consent page sends it, with `more` parts.
pub(crate) async fn answer(
    server: &Server,
    token: &str,
    ask: &Ask<'_>,
    more: &[(&str, &str)],
) -> Response {
    let mut form = reqwest::multipart::Form::new();
    for (name, value) in ask.iter().chain(more) {
        form = form.text((*name).to_owned(), (*value).to_owned());
    }
    let request = server.request(Method::POST, "/api/o/authorize/").bearer_auth(token);
    request.multipart(form).send().await.unwrap()
}

/// The answer of a consent page whose user allows everything that it shows.
pub(crate) async fn allow(server: &Server, token: &str, ask: &Ask<'_>) -> Response {
    let shown: Value = show(server, token, ask).await.json().await.unwrap();
    let mut more = vec![("allow", "true"), ("device_id", "AUTHORIZE")];
    for part in ["n_scopes", "ad_scopes"] {
        let pairs = shown[part].as_array().into_iter().flatten();
        more.extend(pairs.map(|pair| (part, pair[0].as_str().unwrap())));
    }
    answer(server, token, ask, &more).await
}

/// The code that the demo user gives to whoever asks like this.
pub(crate) async fn code(server: &Server, ask: &Ask<'_>) -> String {
    let token = server.access_token().await;
    let reply = allow(server, &token, ask).await;
    assert_eq!(reply.status(), 200);
    let body: Value = reply.json().await.unwrap();
    parameter(body["redirect_uri"].as_str().unwrap(), "code").unwrap()
}

/// A parameter in the query of an address.
pub(crate) fn parameter(address: &str, name: &str) -> Option<String> {
    let query = address.split_once('?')?.1.split('#').next()?.to_owned();
    let pairs = reqwest::Url::parse(&format!("http://x/?{query}")).unwrap();
    pairs.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// A token request with these parameters.
pub(crate) async fn token(server: &Server, form: &[(&str, &str)]) -> Response {
    server.request(Method::POST, "/api/o/token/").form(form).send().await.unwrap()
}

/// A form to one of the smaller endpoints.
pub(crate) async fn post(server: &Server, path: &str, form: &[(&str, &str)]) -> Response {
    server.request(Method::POST, path).form(form).send().await.unwrap()
}

/// What `web` gets for its code.
pub(crate) async fn redeemed(server: &Server) -> Value {
    let code = code(server, &web(&[("scope", "all")])).await;
    let reply = token(server, &redeem_web(&code)).await;
    assert_eq!(reply.status(), 200);
    reply.json().await.unwrap()
}

/// How `web` redeems a code.
pub(crate) fn redeem_web(code: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", "web"),
        ("client_secret", "web-secret"),
        ("redirect_uri", WEB),
        ("code", code),
    ]
}

/// Status of a call that needs a user's token and no scope.
pub(crate) async fn status_with(server: &Server, token: &str) -> u16 {
    let request = server.request(Method::GET, "/api/job/").bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

/// Checks that `reply` is an OAuth2 error, and gives its body.
pub(crate) async fn refusal(name: &str, reply: Response, status: u16, code: &str) -> Value {
    assert_eq!(reply.status(), status, "{name}");
    let headers = reply.headers().clone();
    assert_eq!(headers["content-type"], "application/json", "{name}");
    assert_eq!(headers["cache-control"], "no-store", "{name}");
    assert_eq!(headers["pragma"], "no-cache", "{name}");
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["error"], code, "{name}: {body}");
    assert!(body.get("code").is_none() && body["error_description"].is_string(), "{name}: {body}");
    body
}
