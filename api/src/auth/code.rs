//! Authorization codes as they travel, and the proof key that goes with them (RFC 7636).

use std::fmt::Write as _;

use aws_lc_rs::{constant_time, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// A new code: 256 random bits.
pub(super) fn generate() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// What the store keeps of a code: SHA-256 in hex.
pub(super) fn digest_of(code: &str) -> String {
    let digest = digest::digest(&digest::SHA256, code.as_bytes());
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether the text can be a challenge of method S256: SHA-256 in base64url without padding.
pub(super) fn is_challenge(text: &str) -> bool {
    text.len() == 43 && URL_SAFE_NO_PAD.decode(text).is_ok()
}

/// Whether the text can be a verifier.
pub(super) fn is_verifier(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
    (43..=128).contains(&text.len()) && text.bytes().all(allowed)
}

/// Whether `challenge` was made from `verifier`, in time that does not depend on where they differ.
pub(super) fn proves(challenge: &str, verifier: &str) -> bool {
    let actual = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
    constant_time::verify_slices_are_equal(actual.as_bytes(), challenge.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_fits() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

        assert!(is_verifier(verifier) && is_challenge(challenge));
        assert!(proves(challenge, verifier));
        assert!(!proves(verifier, verifier), "method plain");
        assert!(!proves(challenge, &verifier.replace('d', "e")));
    }

    #[test]
    fn challenges_and_verifiers_have_their_forms() {
        let cases = [
            ("short", "a".repeat(42), false, false),
            ("shortest", "A".repeat(43), true, true),
            ("longest", "a".repeat(128), false, true),
            ("too long", "a".repeat(129), false, false),
            ("odd letter", format!("{}+", "A".repeat(42)), false, false),
        ];
        for (name, text, challenge, verifier) in cases {
            assert_eq!(is_challenge(&text), challenge, "{name}");
            assert_eq!(is_verifier(&text), verifier, "{name}");
        }
    }

    #[test]
    fn codes_are_new_and_kept_as_digests() {
        let (one, other) = (generate(), generate());

        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
        assert_eq!(
            digest_of("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
