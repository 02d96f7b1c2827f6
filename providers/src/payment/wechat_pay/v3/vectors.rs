//! Every vector of the JSON protocol.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::{collections::BTreeMap, str::FromStr};

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use schemas::Timestamp;
use secrecy::SecretString;

use super::{
    Keys,
    platform::{Sealed, read_list},
    sign::{Broken, Seal, Signable, client_text, signature},
};
use crate::payment::{
    crypto::{Certificate, SigningKey, VerifyingKey, key_der},
    vectors::{Vector, Vectors},
};

const FILE: &str = include_str!("../../../../tests/vectors/wechat_v3.json");

#[test]
fn every_vector_is_judged_as_the_provider_judges() {
    let file = Vectors::read(FILE);
    let known = known_keys(&file);
    file.judge(|vector| match vector.kind() {
        "request_sign" => request(vector),
        "client_jsapi" | "client_app" => client(vector),
        "resource_decrypt" => decrypt(vector, file.key("apiv3_key")),
        "response_verify" => {
            assert_eq!(judged(vector, &known).is_ok(), vector.valid(), "{}", vector.id());
        }
        "notify" => notify(vector, &known, file.key("apiv3_key")),
        "certificates" => certificates(vector, file.key("apiv3_key")),
        "oaep_decrypt" => oaep(vector),
        other => panic!("{}: nobody judges {other}", vector.id()),
    });
}

#[test]
fn a_probe_of_the_provider_is_known_as_one() {
    let file = Vectors::read(FILE);
    let known = known_keys(&file);
    file.judge(|vector| {
        if vector.id() == "response_probe" {
            assert_eq!(judged(vector, &known), Err(Broken::Probe));
        }
    });
}

/// The keys by serial, as they are known after both kinds were configured.
fn known_keys(file: &Vectors) -> BTreeMap<String, VerifyingKey> {
    let certificates = file.keys()["platform_certificates"].as_array().unwrap();
    let mut known: BTreeMap<_, _> = certificates
        .iter()
        .map(|one| {
            let certificate = Certificate::read(one["certificate"].as_str().unwrap()).unwrap();
            assert_eq!(certificate.serial_hex(), one["serial_no"].as_str().unwrap());
            (certificate.serial_hex(), certificate.verifying_key().unwrap())
        })
        .collect();
    let public = VerifyingKey::read(file.key("wechatpay_public_key")).unwrap();
    known.insert(file.key("wechatpay_public_key_id").to_owned(), public);
    known
}

fn keys(vector: &Vector<'_>) -> Keys {
    Keys {
        private: SigningKey::read(&vector.key("private_key", "merchant_private_key")).unwrap(),
        serial: vector.key("serial_no", "merchant_serial_no"),
        api_key: SecretString::from(""),
        public_key: None,
        fetches_certificates: false,
    }
}

fn request(vector: &Vector<'_>) {
    let signable = Signable {
        method: vector.text("method"),
        path_and_query: vector.text("url"),
        seconds: vector.text("timestamp").parse().unwrap(),
        nonce: vector.text("nonce"),
        body: vector.text("body"),
    };
    let keys = keys(vector);
    assert_eq!(signable.text(), vector.text("string_to_sign"), "{}", vector.id());
    assert_eq!(
        signature(&keys, &signable.text()).unwrap(),
        vector.text("signature"),
        "{}",
        vector.id()
    );
    let header = signable.authorization(vector.text("mchid"), &keys).unwrap();
    assert_eq!(header, vector.text("authorization"), "{}", vector.id());
}

fn client(vector: &Vector<'_>) {
    let seconds = vector.text("timestamp").parse().unwrap();
    let (app, fourth) = (vector.text("appid"), vector.text("fourth_line"));
    let text = client_text(app, seconds, vector.text("nonce"), fourth);
    assert_eq!(text, vector.text("string_to_sign"), "{}", vector.id());
    assert_eq!(
        signature(&keys(vector), &text).unwrap(),
        vector.text("signature"),
        "{}",
        vector.id()
    );
}

fn decrypt(vector: &Vector<'_>, api_key: &str) {
    let sealed: Sealed = serde_json::from_value(serde_json::json!({
        "algorithm": "AEAD_AES_256_GCM",
        "nonce": vector.text("nonce"),
        "associated_data": vector.text("associated_data"),
        "ciphertext": vector.text("ciphertext"),
    }))
    .unwrap();
    let key = SecretString::from(vector.find("apiv3_key").unwrap_or(api_key));
    let plain = sealed.open(&key);
    assert_eq!(plain.is_some(), vector.valid(), "{}", vector.id());
    if let Some(plain) = plain {
        assert_eq!(plain, vector.text("plaintext").as_bytes(), "{}", vector.id());
    }
}

fn headers(vector: &Vector<'_>) -> HeaderMap {
    let headers = vector.value("headers").as_object().unwrap();
    let pair = |(name, value): (&String, &serde_json::Value)| {
        let name = HeaderName::from_str(name).unwrap();
        (name, HeaderValue::from_str(value.as_str().unwrap()).unwrap())
    };
    headers.iter().map(pair).collect()
}

fn judged(vector: &Vector<'_>, known: &BTreeMap<String, VerifyingKey>) -> Result<(), Broken> {
    let headers = headers(vector);
    let seal = Seal::of(&headers)?;
    let key = known.get(seal.serial).ok_or(Broken::Wrong)?;
    let now = Timestamp::from_micros(vector.value("now").as_i64().unwrap() * 1_000_000);
    seal.verify(key, vector.text("body").as_bytes(), now)
}

fn notify(vector: &Vector<'_>, known: &BTreeMap<String, VerifyingKey>, api_key: &str) {
    #[derive(serde::Deserialize)]
    struct Envelope {
        resource: Sealed,
    }
    let open = || {
        let envelope: Envelope = serde_json::from_str(vector.text("body")).unwrap();
        envelope.resource.open(&SecretString::from(api_key))
    };
    let plain = judged(vector, known).ok().and_then(|()| open());
    assert_eq!(plain.is_some(), vector.valid(), "{}", vector.id());
    if let Some(plain) = plain {
        assert_eq!(plain, vector.text("plaintext").as_bytes(), "{}", vector.id());
    }
}

fn certificates(vector: &Vector<'_>, api_key: &str) {
    let body = vector.text("body").as_bytes();
    let list = read_list(body, &SecretString::from(api_key)).unwrap();
    let expected = vector.value("expected_serials").as_array().unwrap();
    assert!(expected.iter().all(|serial| list.contains_key(serial.as_str().unwrap())));
    assert_eq!(list.len(), expected.len());
    let known = list.into_iter().map(|(serial, known)| (serial, known.key)).collect();
    assert_eq!(judged(vector, &known), Ok(()), "the list vouches for itself");
    let other = SecretString::from("0".repeat(32));
    assert!(read_list(body, &other).is_none(), "another key opens nothing");
}

/// Feat sends no encrypted field, so this only shows that the library does what WeChat Pay does.
fn oaep(vector: &Vector<'_>) {
    let der = key_der(&vector.key("private_key", ""), &["PRIVATE KEY"]).unwrap();
    let key = PrivateDecryptingKey::from_pkcs8(&der).unwrap();
    let key = OaepPrivateDecryptingKey::new(key).unwrap();
    let sealed = STANDARD.decode(vector.text("ciphertext")).unwrap();
    let mut plain = vec![0; key.min_output_size()];
    let plain = key.decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut plain, None).unwrap();
    assert_eq!(plain, vector.text("plaintext").as_bytes(), "{}", vector.id());
}
