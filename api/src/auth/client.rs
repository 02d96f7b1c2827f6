//! How a client proves who it is: its secret in the body, or HTTP Basic (RFC 6749 2.3).

use aws_lc_rs::{constant_time, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::http::HeaderValue;
use schemas::{ClientId, account::ClientRecord};
use secrecy::{ExposeSecret as _, SecretString};
use store::Store;

use super::{form::Form, token_error::TokenError};

/// What a client is told that is unknown, disabled or mistaken: which of them is not its business.
pub(super) const WRONG: TokenError =
    TokenError::InvalidClient("the client is unknown or its secret is wrong");

/// What a client said about itself.
struct Credentials {
    id: String,
    secret: Option<SecretString>,
}

/// The digest of a client's secret that its record keeps: SHA-256 in lower-case hex. Fit for
/// secrets of 128 random bits or more; a password needs [`super::hash_password`].
#[must_use]
pub fn digest_secret(secret: &SecretString) -> SecretString {
    use std::fmt::Write as _;

    let digest = digest::digest(&digest::SHA256, secret.expose_secret().as_bytes());
    let mut text = String::with_capacity(64);
    for byte in digest.as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

/// A client that we know, as a request names it; nothing is proved yet.
pub(super) struct Claim {
    client: ClientRecord,
    secret: Option<SecretString>,
}

/// Finds the client that a request names.
///
/// # Errors
///
/// `invalid_client` without credentials, with those of a client that is unknown and with a method
/// other than Basic; `invalid_request` when they come in two ways at once.
pub(super) async fn claimed(
    store: &Store,
    header: Option<&HeaderValue>,
    form: &Form,
) -> Result<Claim, TokenError> {
    let Credentials { id, secret } = credentials(header, form)?;
    let id = id.parse().map_err(|_| WRONG)?;
    let client = store.clients.get(&id).await?.ok_or(WRONG)?;
    Ok(Claim { client, secret })
}

impl Claim {
    /// The client, if it has proved who it is and is not disabled. A public one has nothing to prove
    /// it with, so its name is enough here and counts for nothing by itself.
    ///
    /// # Errors
    ///
    /// The client that was named: tell the caller [`WRONG`].
    pub(super) fn proved(self) -> Result<ClientRecord, ClientId> {
        let proved = proves(&self.client, self.secret.as_ref());
        if proved && self.client.disabled_at.is_none() {
            Ok(self.client)
        } else {
            Err(self.client.id)
        }
    }
}

/// Whether the secret is the client's; a public client has none.
fn proves(client: &ClientRecord, secret: Option<&SecretString>) -> bool {
    match (&client.secret_digest, secret) {
        (None, None) => true,
        (Some(expected), Some(secret)) => {
            let actual = digest_secret(secret);
            let expected = expected.expose_secret().as_bytes();
            let actual = actual.expose_secret().as_bytes();
            constant_time::verify_slices_are_equal(expected, actual).is_ok()
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn credentials(header: Option<&HeaderValue>, form: &Form) -> Result<Credentials, TokenError> {
    let Some(header) = header else {
        let id = form.get("client_id");
        let id = id.ok_or(TokenError::InvalidClient("client credentials are required"))?;
        return Ok(Credentials { id: id.to_owned(), secret: form.secret("client_secret") });
    };
    if form.get("client_secret").is_some() {
        return Err(TokenError::invalid_request("client credentials came in two ways"));
    }
    let credentials = header.to_str().ok().and_then(basic).ok_or(TokenError::InvalidClient(
        "only HTTP Basic and credentials in the body are supported",
    ))?;
    match form.get("client_id") {
        Some(id) if id != credentials.id => {
            Err(TokenError::invalid_request("two different clients are named"))
        }
        _ => Ok(credentials),
    }
}

/// Reads `Basic …`. Both halves are form-encoded inside (RFC 6749 2.3.1); ids and secrets made by
/// Feat are the same in either form. What is malformed is no credential.
fn basic(header: &str) -> Option<Credentials> {
    let (scheme, text) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let secret = form_decoded(secret)?;
    Some(Credentials { id: form_decoded(id)?, secret: (!secret.is_empty()).then(|| secret.into()) })
}

/// One form-encoded value: `+` is a space, `%XX` a byte, anything else itself.
fn form_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => (hex_digit(bytes.next()?)? << 4) | hex_digit(bytes.next()?)?,
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use schemas::{Scopes, Timestamp};

    use super::*;

    fn client(secret: Option<&str>) -> ClientRecord {
        ClientRecord {
            id: "demo".parse().unwrap(),
            version: 1,
            name: "Demo".to_owned(),
            secret_digest: secret.map(|secret| digest_secret(&secret.into())),
            grants: vec![],
            scopes: Scopes::all(),
            redirect_uris: vec![],
            created_at: Timestamp::now(),
            disabled_at: None,
        }
    }

    #[test]
    fn a_secret_is_kept_as_its_digest() {
        let digest = digest_secret(&"abc".into());

        assert_eq!(
            digest.expose_secret(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_client_proves_itself_with_its_own_secret_only() {
        let cases = [
            ("right", Some("s"), Some("s"), true),
            ("wrong", Some("s"), Some("t"), false),
            ("none given", Some("s"), None, false),
            ("public", None, None, true),
            ("public, one given", None, Some("s"), false),
        ];
        for (name, kept, given, expected) in cases {
            let given = given.map(SecretString::from);
            assert_eq!(proves(&client(kept), given.as_ref()), expected, "{name}");
        }
    }

    #[test]
    fn basic_credentials_are_read_in_their_encoded_form() {
        let read = |text: &str| {
            basic(text).map(|found| {
                (found.id, found.secret.map(|secret| secret.expose_secret().to_owned()))
            })
        };
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));

        assert_eq!(read(&header("a:")), Some(("a".to_owned(), None)));
        for (text, id, secret) in [
            ("a:b%3Ac", "a", "b:c"),
            ("a+%2B%c3%A9:b:c", "a +é", "b:c"),
            ("a&x=1:secret&x=1", "a&x=1", "secret&x=1"),
            ("a:secret=", "a", "secret="),
        ] {
            let expected = Some((id.to_owned(), Some(secret.to_owned())));
            assert_eq!(read(&header(text)), expected, "{text}");
        }
        for text in ["a", "a:b%", "a:b%4", "a:b%+1", "a:b%zz", "a:b%ff", "a%:b"] {
            assert_eq!(read(&header(text)), None, "{text}");
        }
        assert_eq!(read("Basic ???"), None);
        assert_eq!(read("Digest abc"), None);
    }
}
