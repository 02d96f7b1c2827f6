//! The test vectors of WeChat Pay, v2 and v3.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::{v2, v3, xml};
use crate::{
    Merchant,
    crypto::{
        Certificate, Hash, PrivateKey, PublicKey, aes_ecb_open, aes_ecb_seal, md5, open, same, seal,
    },
    testing::{Vectors, pairs, request, sim_of, text},
};

fn v2_vectors() -> Vectors {
    Vectors::read(include_str!("../../tests/vectors/wechat_v2.json"))
}

fn v3_vectors() -> Vectors {
    Vectors::read(include_str!("../../tests/vectors/wechat_v3.json"))
}

#[test]
fn v2_signatures() {
    let vectors = v2_vectors();
    vectors.are_of(&["sign", "client_app", "client_jsapi", "notify", "response", "refund_notify"]);
    for kind in ["sign", "client_app", "client_jsapi"] {
        for vector in vectors.of(kind) {
            let fields = pairs(vector, "params");
            let (key, id) = (text(vector, "api_key"), text(vector, "id"));
            let hmac = vector["sign_type"] == "HMAC-SHA256";
            let signed = format!("{}&key={key}", v2::signed_text(&fields));
            assert_eq!(signed, text(vector, "string_to_sign"), "{id}");
            let name = if kind == "client_jsapi" { "paySign" } else { "sign" };
            assert_eq!(v2::sign(&fields, key, hmac), text(vector, name), "{id}");
        }
    }
}

/// A message as a strict receiver takes it.
fn v2_receive(body: &str, key: &str, hmac: bool) -> Option<BTreeMap<String, String>> {
    let fields = xml::read(body.as_bytes()).ok()?;
    let named = fields.get("sign_type").is_none_or(|kind| (kind == "HMAC-SHA256") == hmac);
    let sign = fields.get("sign")?;
    let fits = named && same(sign, &v2::sign(&fields, key, hmac));
    (fits && fields.get("return_code").is_some_and(|code| code == "SUCCESS")).then_some(fields)
}

#[test]
fn v2_messages_are_read_and_verified() {
    let vectors = v2_vectors();
    for vector in ["notify", "response"].iter().flat_map(|kind| vectors.of(kind)) {
        let id = text(vector, "id");
        let hmac = vector["sign_type"] == "HMAC-SHA256";
        let taken = v2_receive(text(vector, "body"), text(vector, "api_key"), hmac);
        assert_eq!(taken.is_some(), vector["valid"] == true, "{id}");
        if let Some(taken) = taken {
            assert_eq!(taken, pairs(vector, "params"), "{id}");
            let again = xml::read(xml::write("xml", &taken).as_bytes()).unwrap();
            assert_eq!(again, taken, "{id}: written and read again");
        }
    }
}

#[test]
fn v2_refund_notifications_open() {
    for vector in v2_vectors().of("refund_notify") {
        let id = text(vector, "id");
        let key = md5(text(vector, "api_key").as_bytes());
        let opened = aes_ecb_open(key.as_bytes(), text(vector, "req_info"));
        assert_eq!(opened.is_ok(), vector["valid"] == true, "{id}");
        if let Ok(opened) = opened {
            assert_eq!(key, text(vector, "aes_key_hex_text"), "{id}");
            assert_eq!(opened, text(vector, "plaintext"), "{id}");
            let sealed = aes_ecb_seal(key.as_bytes(), &opened).unwrap();
            assert_eq!(sealed, text(vector, "req_info"), "{id}");
        }
    }
}

fn v3_merchant(vectors: &Vectors, vector: &Value) -> Merchant {
    let mut merchant = Merchant::fixture().unwrap();
    merchant.wechat.mchid = text(vector, "mchid").to_owned();
    merchant.wechat.private_key = vectors.key("merchant_private_key").into();
    merchant.wechat.certificate = vectors.key("merchant_certificate").to_owned();
    merchant.wechat.serial_no = vectors.key("merchant_serial_no").to_owned();
    merchant
}

#[test]
fn v3_requests_are_signed_and_let_in() {
    let vectors = v3_vectors();
    vectors.are_of(&[
        "request_sign",
        "client_jsapi",
        "client_app",
        "resource_decrypt",
        "response_verify",
        "notify",
        "certificates",
        "oaep_decrypt",
    ]);
    let serial = Certificate::from_pem(vectors.key("merchant_certificate")).unwrap().serial_hex;
    assert_eq!(serial, vectors.key("merchant_serial_no"));
    for vector in vectors.of("request_sign") {
        let id = text(vector, "id");
        let (method, url, body) =
            (text(vector, "method"), text(vector, "url"), text(vector, "body"));
        let (timestamp, nonce) = (text(vector, "timestamp"), text(vector, "nonce"));
        let signed = format!("{method}\n{url}\n{timestamp}\n{nonce}\n{body}\n");
        assert_eq!(signed, text(vector, "string_to_sign"), "{id}");
        let name = vector["private_key"].as_str().unwrap_or("merchant_private_key");
        let key = PrivateKey::from_pem(vectors.key(name)).unwrap();
        assert_eq!(key.sign(signed.as_bytes()).unwrap(), text(vector, "signature"), "{id}");
        if name != "merchant_private_key" {
            continue;
        }
        let sim = sim_of(v3_merchant(&vectors, vector), timestamp.parse().unwrap());
        let headers = [
            ("authorization", text(vector, "authorization")),
            ("accept", "application/json"),
            ("content-type", "application/json"),
            ("user-agent", "vectors"),
        ];
        let sent = request(method, url, &headers, body);
        let reply = v3::answer(&sim, &sent, &v3::call(&sent).unwrap(), None);
        assert_ne!(reply.status, 401, "{id}: {:?}", reply.reason);

        let changed = request(method, url, &headers, &format!("{body} "));
        let reply = v3::answer(&sim, &changed, &v3::call(&changed).unwrap(), None);
        assert_eq!(reply.status, 401, "{id}: another body");
    }
}

#[test]
fn v3_client_parameters_are_signed() {
    let vectors = v3_vectors();
    for vector in ["client_jsapi", "client_app"].iter().flat_map(|kind| vectors.of(kind)) {
        let id = text(vector, "id");
        let lines = ["appid", "timestamp", "nonce", "fourth_line"].map(|name| text(vector, name));
        let signed = format!("{}\n", lines.join("\n"));
        assert_eq!(signed, text(vector, "string_to_sign"), "{id}");
        let name = vector["private_key"].as_str().unwrap_or("merchant_private_key");
        let key = PrivateKey::from_pem(vectors.key(name)).unwrap();
        assert_eq!(key.sign(signed.as_bytes()).unwrap(), text(vector, "signature"), "{id}");
    }
}

#[test]
fn v3_resources_open() {
    let vectors = v3_vectors();
    for vector in vectors.of("resource_decrypt") {
        let id = text(vector, "id");
        let key = vector["apiv3_key"].as_str().unwrap_or(vectors.key("apiv3_key"));
        let (nonce, associated) = (text(vector, "nonce"), text(vector, "associated_data"));
        let opened = open(key.as_bytes(), nonce, associated, text(vector, "ciphertext"));
        assert_eq!(opened.is_ok(), vector["valid"] == true, "{id}");
        if let Ok(opened) = opened {
            assert_eq!(opened, text(vector, "plaintext"), "{id}");
            let sealed = seal(key.as_bytes(), nonce, associated, &opened).unwrap();
            assert_eq!(sealed, text(vector, "ciphertext"), "{id}");
        }
    }
}

/// The keys that a receiver holds, by serial.
fn held(vectors: &Vectors) -> HashMap<String, PublicKey> {
    let mut held = HashMap::new();
    for certificate in vectors.keys()["platform_certificates"].as_array().unwrap() {
        let read = Certificate::from_pem(certificate["certificate"].as_str().unwrap()).unwrap();
        assert_eq!(read.serial_hex, certificate["serial_no"]);
        held.insert(read.serial_hex, read.key);
    }
    let key = PublicKey::from_pem(vectors.key("wechatpay_public_key")).unwrap();
    held.insert(vectors.key("wechatpay_public_key_id").to_owned(), key);
    held
}

fn v3_receive(vector: &Value, held: &HashMap<String, PublicKey>) -> bool {
    let headers = pairs(vector, "headers");
    let header = |name: &str| headers.get(name).map_or("", String::as_str);
    let timestamp = header("Wechatpay-Timestamp");
    let age = vector["now"].as_i64().unwrap() - timestamp.parse::<i64>().unwrap();
    let body = text(vector, "body");
    let signed = format!("{timestamp}\n{}\n{body}\n", header("Wechatpay-Nonce"));
    let signature = header("Wechatpay-Signature");
    age.abs() <= 300
        && held
            .get(header("Wechatpay-Serial"))
            .is_some_and(|key| key.verifies(Hash::Sha256, signed.as_bytes(), signature))
}

#[test]
fn v3_answers_and_notifications_are_verified() {
    let vectors = v3_vectors();
    let held = held(&vectors);
    for vector in vectors.of("response_verify") {
        assert_eq!(v3_receive(vector, &held), vector["valid"] == true, "{}", vector["id"]);
    }
    for vector in vectors.of("notify") {
        let id = text(vector, "id");
        let body: Value = serde_json::from_str(text(vector, "body")).unwrap();
        let resource = &body["resource"];
        let part = |name: &str| resource[name].as_str().unwrap_or_default();
        let key = vectors.key("apiv3_key").as_bytes();
        let opened = open(key, part("nonce"), part("associated_data"), part("ciphertext"));
        let taken = v3_receive(vector, &held) && opened.is_ok();
        assert_eq!(taken, vector["valid"] == true, "{id}");
        if taken {
            assert_eq!(opened.unwrap(), text(vector, "plaintext"), "{id}");
        }
    }
}

#[test]
fn v3_certificates_and_encrypted_fields_open() {
    let vectors = v3_vectors();
    let held = held(&vectors);
    for vector in vectors.of("certificates") {
        assert!(v3_receive(vector, &held), "{}", vector["id"]);
        let body: Value = serde_json::from_str(text(vector, "body")).unwrap();
        let mut serials = Vec::new();
        for item in body["data"].as_array().unwrap() {
            let part = |name: &str| item["encrypt_certificate"][name].as_str().unwrap();
            let key = vectors.key("apiv3_key").as_bytes();
            let pem =
                open(key, part("nonce"), part("associated_data"), part("ciphertext")).unwrap();
            serials.push(Certificate::from_pem(&pem).unwrap().serial_hex);
        }
        assert_eq!(Value::from(serials), vector["expected_serials"]);
    }
    for vector in vectors.of("oaep_decrypt") {
        let name = text(vector, "private_key");
        let direct = vectors.keys()[name].as_str();
        let platform = vectors.keys()["platform_certificates"].as_array().unwrap();
        let of_platform = || {
            platform.iter().find_map(|item| {
                let named = item["serial_no"] == name || name.contains("platform");
                named.then(|| item["private_key"].as_str()).flatten()
            })
        };
        let key = PrivateKey::from_pem(direct.or_else(of_platform).unwrap()).unwrap();
        let plain = key.decrypt_oaep(text(vector, "ciphertext")).unwrap();
        assert_eq!(String::from_utf8(plain).unwrap(), text(vector, "plaintext"));
    }
}
