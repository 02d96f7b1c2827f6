//! Every vector of Alipay.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use encoding_rs::GBK;
use secrecy::{ExposeSecret, SecretSlice};

use super::{
    answer, form_action, form_fields,
    keys::{AlipayKey, Keys, Serials, fingerprint, root_fingerprint},
    notify::verify,
    sign::{sign_in_text, signed_text},
};
use crate::payment::{
    crypto::{Certificate, SigningKey, VerifyingKey, key_der, open_cbc, seal_cbc},
    fields::Fields,
    vectors::{Vector, Vectors, filled, form},
};

const FILE: &str = include_str!("../../../tests/vectors/alipay.json");

fn keys(file: &Vectors, with_certificates: bool) -> Keys {
    let serials = Serials {
        app: file.key("app_cert_sn").to_owned(),
        root: file.key("alipay_root_cert_sn").to_owned(),
    };
    Keys {
        private: SigningKey::read(file.key("app_private_key_pkcs8")).unwrap(),
        alipay: vec![AlipayKey {
            serial: with_certificates.then(|| file.key("alipay_cert_sn").to_owned()),
            key: VerifyingKey::read(file.key("alipay_public_key")).unwrap(),
        }],
        serials: with_certificates.then_some(serials),
        content_key: None,
    }
}

#[test]
fn every_vector_is_judged_as_the_provider_judges() {
    let file = Vectors::read(FILE);
    let public = keys(&file, false);
    let certificates = keys(&file, true);
    file.judge(|vector| match vector.kind() {
        "request_sign" => request(vector, &public, &file),
        "order_str" => {
            signs(vector, &public);
            assert_eq!(signed(vector).to_query(), vector.text("order_str"));
        }
        "page" => page(vector, &public),
        "request_verify" => arrived(vector, &file),
        "sync_response" => {
            let in_certificate_mode = vector.find("key_mode") == Some("certificate");
            response(vector, if in_certificate_mode { &certificates } else { &public });
        }
        "notify" | "return_query" => {
            let fields = form(vector.text("body"));
            assert!(fields == vector.params(), "{}", vector.id());
            assert_eq!(verify(&fields, &public), vector.valid(), "{}", vector.id());
        }
        "auth_info_str" => {
            let text = sign_in_text(&public, &vector.params()).unwrap();
            assert_eq!(text, vector.text("info_str"));
        }
        "cert_sn" => serial(vector),
        "content_encrypt" => {
            let key = SecretSlice::from(STANDARD.decode(file.key("aes_key")).unwrap());
            let plain = vector.text("plaintext");
            assert_eq!(seal_cbc(&key, plain.as_bytes()).unwrap(), vector.text("ciphertext"));
            assert_eq!(open_cbc(&key, vector.text("ciphertext")).unwrap(), plain.as_bytes());
        }
        other => panic!("{}: nobody judges {other}", vector.id()),
    });
}

#[test]
fn both_encodings_of_the_private_key_sign_the_same() {
    let file = Vectors::read(FILE);
    let pkcs8 = file.key("app_private_key_pkcs8");
    let bare: String = pkcs8.lines().filter(|line| !line.starts_with("-----")).collect();
    let texts = [pkcs8, file.key("app_private_key_pkcs1"), &bare];
    let signatures = texts.map(|text| SigningKey::read(text).unwrap().sign(b"x").unwrap());

    assert!(signatures.iter().all(|signature| *signature == signatures[0]));
}

/// The parameters as they are sent, with the signature of the vector.
fn signed(vector: &Vector<'_>) -> Fields {
    let mut fields = filled(&vector.params());
    fields.set("sign", vector.text("sign"));
    fields
}

fn signs(vector: &Vector<'_>, keys: &Keys) {
    let fields = filled(&vector.params());
    assert_eq!(signed_text(&fields), vector.text("string_to_sign"), "{}", vector.id());
    let signature = keys.private.sign(signed_text(&fields).as_bytes()).unwrap();
    assert_eq!(signature, vector.text("sign"), "{}", vector.id());
}

fn request(vector: &Vector<'_>, keys: &Keys, file: &Vectors) {
    let fields = filled(&vector.params());
    let text = signed_text(&fields);
    assert_eq!(text, vector.text("string_to_sign"), "{}", vector.id());
    match (fields.get("sign_type"), fields.get("charset")) {
        // Feat signs with RSA2 only; the old signature is shown to be over the same text.
        (Some("RSA"), _) => {
            let der = key_der(file.key("app_public_key"), &["PUBLIC KEY"]).unwrap();
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, der);
            let signature = STANDARD.decode(vector.text("sign")).unwrap();
            key.verify(text.as_bytes(), &signature).unwrap();
        }
        // Feat sends UTF-8 only; in the other charset the same text is signed as other bytes.
        (_, Some("gbk")) => {
            let signature = keys.private.sign(&GBK.encode(&text).0).unwrap();
            assert_eq!(signature, vector.text("sign"), "{}", vector.id());
            return;
        }
        _ => signs(vector, keys),
    }
    assert!(form(vector.text("body")) == signed(vector), "{}", vector.id());
}

fn page(vector: &Vector<'_>, keys: &Keys) {
    signs(vector, keys);
    let gateway = "https://openapi.alipay.com/gateway.do";
    let fields = signed(vector);
    // Encoders differ in how they write a blank, so the pairs are compared.
    let (address, query) = vector.text("get_url").split_once('?').unwrap();
    assert_eq!(address, gateway);
    assert!(form(query) == fields && form(&fields.to_query()) == fields, "{}", vector.id());
    let query = form_action(gateway, &fields);
    let query = form(query.split_once('?').unwrap().1);
    let expected = vector.value("form_action_query").as_object().unwrap();
    let expected = expected.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    assert!(query == Fields::of(expected), "{}", vector.id());
    let content: Vec<_> = form_fields(&fields).collect();
    let expected = vector.value("form_fields")["biz_content"].as_str().unwrap();
    assert_eq!(content, [("biz_content", expected)], "{}", vector.id());
}

/// A request as the gateway receives it: the same text, judged with the app's public key.
fn arrived(vector: &Vector<'_>, file: &Vectors) {
    let both = format!("{}&{}", vector.text("query"), vector.text("body"));
    let mut fields = form(both.trim_matches('&'));
    let signature = fields.get("sign").unwrap_or_default().to_owned();
    fields.set("sign", "");
    let key = VerifyingKey::read(file.key("app_public_key")).unwrap();
    let genuine = key.verifies(signed_text(&fields).as_bytes(), &signature);
    assert_eq!(genuine, vector.valid(), "{}", vector.id());
}

fn response(vector: &Vector<'_>, keys: &Keys) {
    let node = vector.text("node");
    let method = match node.strip_suffix("_response").unwrap() {
        "error" => "alipay.trade.query".to_owned(),
        method => method.replace('_', "."),
    };
    let read = answer::read(vector.text("body").as_bytes(), &method, keys);
    assert_eq!(read.is_ok(), vector.valid(), "{}", vector.id());
    if let Ok(proven) = read {
        let expected: serde_json::Value = serde_json::from_str(vector.text("signed_text")).unwrap();
        assert_eq!(proven.node, expected, "{}", vector.id());
    }
}

fn serial(vector: &Vector<'_>) {
    let certificates = Certificate::read_all(&vector.key("input", "")).unwrap();
    let made = if vector.value("root").as_bool().unwrap() {
        root_fingerprint(&certificates)
    } else {
        fingerprint(&certificates[0])
    };
    assert_eq!(made, vector.text("expected"), "{}", vector.id());
}

#[test]
fn an_encrypted_answer_is_opened_after_its_signature_is_verified() {
    let file = Vectors::read(FILE);
    let signer = SigningKey::read(file.key("alipay_private_key")).unwrap();
    let key = SecretSlice::from(STANDARD.decode(file.key("aes_key")).unwrap());
    let node = format!("\"{}\"", seal_cbc(&key, br#"{"code":"10000"}"#).unwrap());
    let signature = signer.sign(node.as_bytes()).unwrap();
    let body = format!(r#"{{"alipay_trade_query_response":{node},"sign":"{signature}"}}"#);
    let content_key = Some(SecretSlice::from(key.expose_secret().to_vec()));
    let keys = Keys { content_key, ..keys(&file, false) };

    let proven = answer::read(body.as_bytes(), "alipay.trade.query", &keys).unwrap();
    assert_eq!(proven.node["code"], "10000");
}
