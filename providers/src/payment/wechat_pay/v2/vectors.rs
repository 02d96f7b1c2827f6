//! Every vector of the XML protocol.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::SecretString;

use super::{
    sign::{sign, signed_text, verify},
    xml,
};
use crate::payment::{
    V2SignType,
    crypto::{md5_hex, unpad_ecb},
    vectors::{Vector, Vectors},
};

const FILE: &str = include_str!("../../../../tests/vectors/wechat_v2.json");

fn sign_type(vector: &Vector<'_>) -> V2SignType {
    match vector.text("sign_type") {
        "MD5" => V2SignType::Md5,
        "HMAC-SHA256" => V2SignType::HmacSha256,
        other => panic!("{other}"),
    }
}

#[test]
fn every_vector_is_judged_as_the_provider_judges() {
    Vectors::read(FILE).judge(|vector| {
        let id = vector.id();
        let key = SecretString::from(vector.text("api_key"));
        match vector.kind() {
            "sign" | "client_app" => makes(vector, &key, "sign"),
            "client_jsapi" => makes(vector, &key, "paySign"),
            "response" | "notify" => {
                let read = xml::read(vector.text("body").as_bytes(), &["xml"]);
                let judged = read.ok().filter(|fields| verify(fields, &key, sign_type(vector)));
                assert_eq!(judged.is_some(), vector.valid(), "{id}");
                if let Some(fields) = judged {
                    assert!(fields == vector.params(), "{id}");
                }
            }
            "refund_notify" => {
                let hex = md5_hex(vector.text("api_key").as_bytes());
                let sealed = STANDARD.decode(vector.text("req_info")).ok();
                let plain = sealed.and_then(|sealed| unpad_ecb(hex.as_bytes(), &sealed));
                assert_eq!(plain.is_some(), vector.valid(), "{id}");
                if let Some(plain) = plain {
                    let message = xml::read(vector.text("body").as_bytes(), &["xml", "root"]);
                    assert!(message.unwrap().is("req_info", vector.text("req_info")), "{id}");
                    assert_eq!(hex, vector.text("aes_key_hex_text"), "{id}");
                    assert_eq!(String::from_utf8(plain).unwrap(), vector.text("plaintext"), "{id}");
                }
            }
            other => panic!("{id}: nobody judges {other}"),
        }
    });
}

fn makes(vector: &Vector<'_>, key: &SecretString, name: &str) {
    let (fields, id) = (vector.params(), vector.id());
    let kind = sign_type(vector);
    let text = vector.text("string_to_sign");
    // The key stands behind the text that is signed.
    assert!(text.starts_with(&format!("{}&key=", signed_text(&fields, name))), "{id}");
    assert_eq!(sign(&fields, name, key, kind), vector.text(name), "{id}");
}
