//! The test vectors of Alipay.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::{gateway, params::Params};
use crate::{
    AlipayKeys, Merchant,
    clock::parse_spaced,
    crypto::{Certificate, Hash, PrivateKey, PublicKey, aes_cbc_seal},
    http::{fen, strict_form},
    testing::{Vectors, pairs, request, sim_of, text},
};

fn vectors() -> Vectors {
    Vectors::read(include_str!("../../tests/vectors/alipay.json"))
}

fn merchant(vectors: &Vectors, keys: AlipayKeys) -> Merchant {
    let mut merchant = Merchant::fixture().unwrap();
    merchant.alipay.app_id = vectors.key("app_id").to_owned();
    merchant.alipay.private_key = vectors.key("app_private_key_pkcs8").into();
    merchant.alipay.app_certificate = vectors.key("app_certificate").to_owned();
    merchant.alipay.root_certificates = vectors.key("alipay_root_certificates").to_owned();
    merchant.alipay.keys = keys;
    merchant
}

#[test]
fn fingerprints_of_certificates() {
    let vectors = vectors();
    vectors.are_of(&[
        "cert_sn",
        "request_sign",
        "order_str",
        "page",
        "sync_response",
        "notify",
        "return_query",
        "auth_info_str",
        "request_verify",
        "content_encrypt",
    ]);
    for vector in vectors.of("cert_sn") {
        let bundle = Certificate::bundle(vectors.key(text(vector, "input"))).unwrap();
        let sn = if vector["root"] == true {
            Certificate::alipay_root_sn(&bundle)
        } else {
            bundle[0].alipay_sn()
        };
        assert_eq!(sn, text(vector, "expected"), "{}", vector["id"]);
    }
}

/// Whether the gateway lets the request in; the moment does not matter to it.
fn lets_in(merchant: &Merchant, query: &str, body: &str) -> Result<(), String> {
    let at = parse_spaced("2026-11-23 10:15:30").unwrap().timestamp();
    let sim = sim_of(merchant.clone(), at);
    let target = format!("/gateway.do?{query}");
    let sent = request("POST", &target, &[], body);
    let params = Params::of(&sent)?;
    gateway::check(&sim, params, None).map(|_| ()).map_err(|fail| fail.reason())
}

#[test]
fn requests_are_signed_and_let_in() {
    let vectors = vectors();
    let pkcs8 = PrivateKey::from_pem(vectors.key("app_private_key_pkcs8")).unwrap();
    let pkcs1 = PrivateKey::from_pem(vectors.key("app_private_key_pkcs1")).unwrap();
    let public = PublicKey::from_pem(vectors.key("app_public_key")).unwrap();
    for vector in vectors.of("request_sign") {
        let (id, body, sign) = (text(vector, "id"), text(vector, "body"), text(vector, "sign"));
        let signed = Params::parse(body).unwrap().signed_text();
        let gbk = vector["params"]["charset"] == "gbk";
        let shown = if gbk {
            encoding_rs::GBK.decode(&signed).0.into_owned()
        } else {
            String::from_utf8(signed.clone()).unwrap()
        };
        assert_eq!(shown, text(vector, "string_to_sign"), "{id}");
        let legacy = vector["params"]["sign_type"] == "RSA";
        let hash = if legacy { Hash::Sha1 } else { Hash::Sha256 };
        assert!(public.verifies(hash, &signed, sign), "{id}");
        if !legacy {
            assert_eq!(pkcs8.sign(&signed).unwrap(), sign, "{id}");
            assert_eq!(pkcs1.sign(&signed).unwrap(), sign, "{id}");
        }
        let certificates = vector["params"].get("app_cert_sn").is_some();
        let keys = if certificates { AlipayKeys::Certificate } else { AlipayKeys::PublicKey };
        let verdict = lets_in(&merchant(&vectors, keys), "", body);
        assert_eq!(verdict.is_ok(), !legacy, "{id}: {verdict:?}");
    }
}

#[test]
fn the_gateway_decides_as_the_vectors_say() {
    let vectors = vectors();
    let merchant = merchant(&vectors, AlipayKeys::PublicKey);
    for vector in vectors.of("request_verify") {
        let verdict = lets_in(&merchant, text(vector, "query"), text(vector, "body"));
        assert_eq!(verdict.is_ok(), vector["valid"] == true, "{}: {verdict:?}", vector["id"]);
    }
}

#[test]
fn order_strings_and_pages_are_let_in() {
    let vectors = vectors();
    let merchant = merchant(&vectors, AlipayKeys::PublicKey);
    for vector in vectors.of("order_str") {
        let verdict = lets_in(&merchant, "", text(vector, "order_str"));
        assert_eq!(verdict, Ok(()), "{}", vector["id"]);
    }
    for vector in vectors.of("page") {
        let id = text(vector, "id");
        let (_, query) = text(vector, "get_url").split_once('?').unwrap();
        assert_eq!(lets_in(&merchant, query, ""), Ok(()), "{id}: opened");
        let written = |member: &str| {
            if let Value::String(text) = &vector[member] {
                return text.clone();
            }
            let fields = pairs(vector, member);
            let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            crate::http::write_form(fields)
        };
        let (query, body) = (written("form_action_query"), written("form_fields"));
        let verdict = lets_in(&merchant, &query, &body);
        assert_eq!(verdict, Ok(()), "{id}: posted");
    }
}

/// The raw text of the member `node`, found without parsing what is inside.
fn raw_node<'a>(body: &'a str, node: &str) -> &'a str {
    let start = body.find(&format!("\"{node}\":")).unwrap() + node.len() + 3;
    let mut stream = serde_json::Deserializer::from_str(&body[start..])
        .into_iter::<&serde_json::value::RawValue>();
    stream.next().unwrap().unwrap().get()
}

#[test]
fn answers_are_verified_over_their_raw_text() {
    let vectors = vectors();
    let key = PublicKey::from_pem(vectors.key("alipay_public_key")).unwrap();
    for vector in vectors.of("sync_response") {
        let (id, body) = (text(vector, "id"), text(vector, "body"));
        let raw = raw_node(body, text(vector, "node"));
        assert_eq!(raw, text(vector, "signed_text"), "{id}");
        let parsed: Value = serde_json::from_str(body).unwrap();
        let signature = parsed["sign"].as_str().unwrap_or_default();
        let held = vector["key_mode"] != "certificate"
            || parsed["alipay_cert_sn"] == vectors.key("alipay_cert_sn");
        let taken = held && key.verifies(Hash::Sha256, raw.as_bytes(), signature);
        assert_eq!(taken, vector["valid"] == true, "{id}");
    }
}

/// What a receiver verifies: without `sign` and `sign_type`, with or without what is empty.
fn notify_texts(fields: &BTreeMap<String, String>) -> [String; 2] {
    let join = |keep_empty: bool| {
        let kept = fields.iter().filter(|(name, value)| {
            !matches!(name.as_str(), "sign" | "sign_type") && (keep_empty || !value.is_empty())
        });
        let kept: Vec<_> = kept.map(|(name, value)| format!("{name}={value}")).collect();
        kept.join("&")
    };
    [join(true), join(false)]
}

#[test]
fn notifications_and_returns_are_verified() {
    let vectors = vectors();
    let key = PublicKey::from_pem(vectors.key("alipay_public_key")).unwrap();
    for (kind, member) in [("notify", "body"), ("return_query", "query")] {
        for vector in vectors.of(kind) {
            let id = text(vector, "id");
            let sent = vector[member].as_str().unwrap_or_else(|| text(vector, "body"));
            let mut fields = BTreeMap::new();
            strict_form(sent.as_bytes(), &mut fields).unwrap();
            assert_eq!(fields, pairs(vector, "params"), "{id}");
            let sign = fields.get("sign").cloned().unwrap_or_default();
            let texts = notify_texts(&fields);
            let fitting =
                texts.iter().find(|text| key.verifies(Hash::Sha256, text.as_bytes(), &sign));
            assert_eq!(fitting.is_some(), vector["valid"] == true, "{id}");
            if let Some(fitting) = fitting {
                assert_eq!(fitting, text(vector, "string_to_sign"), "{id}");
            }
            if let Some(total) = fields.get("total_amount") {
                assert!(fen(total).is_some(), "{id}: {total}");
            }
        }
    }
}

#[test]
fn app_sign_in_and_content_encryption() {
    let vectors = vectors();
    let key = PrivateKey::from_pem(vectors.key("app_private_key_pkcs8")).unwrap();
    for vector in vectors.of("auth_info_str") {
        let info = Params::parse(text(vector, "info_str")).unwrap();
        let signed = String::from_utf8(info.signed_text()).unwrap();
        assert_eq!(signed, text(vector, "string_to_sign"));
        assert_eq!(key.sign(signed.as_bytes()).unwrap(), text(vector, "sign"));
        assert_eq!(info.get("sign").unwrap(), text(vector, "sign"));
    }
    for vector in vectors.of("content_encrypt") {
        let aes = BASE64_STANDARD.decode(vectors.key("aes_key")).unwrap();
        let sealed = aes_cbc_seal(&aes, text(vector, "plaintext")).unwrap();
        assert_eq!(sealed, text(vector, "ciphertext"));
    }
}
