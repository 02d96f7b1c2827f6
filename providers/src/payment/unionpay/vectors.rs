//! Every vector of UnionPay.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::NaiveDate;
use schemas::Timestamp;
use secrecy::SecretString;

use super::{
    bill,
    card::{customer, read_customer},
    keys::{Keys, Signing},
    sign::{Hash, sign, signed_text, verify},
    text,
    trust::{OWNER, Trust},
};
use crate::payment::{
    BillLineKind, DayBill,
    crypto::{Certificate, OpeningKey, SigningKey, key_der, open_pkcs12, sha256_hex},
    fields::{Empty, Fields},
    vectors::{Vector, Vectors, filled, form},
};

const FILE: &str = include_str!("../../../tests/vectors/unionpay.json");

/// The time of the messages: 2026-11-23.
fn now() -> Timestamp {
    Timestamp::from_micros(1_795_400_000_000_000)
}

fn trust(file: &Vectors) -> Trust {
    assert_eq!(file.key("expected_owner"), OWNER);
    let read = |name: &str| vec![Certificate::read(file.key(name)).unwrap()];
    Trust::new(read("root_certificate"), read("middle_certificate"), OWNER)
}

fn rsa(file: &Vectors) -> Keys {
    let key = SigningKey::read(file.key("merchant_private_key")).unwrap();
    let certificate_id = file.key("merchant_cert_id").to_owned();
    let signing = Signing::Rsa { key, certificate_id, opening: None };
    Keys { signing, trust: Some(trust(file)) }
}

fn keyed(file: &Vectors, hash: Hash) -> Keys {
    let key = SecretString::from(file.key("secure_key"));
    Keys { signing: Signing::Keyed { hash, key }, trust: None }
}

fn keys_of(file: &Vectors, method: Option<&str>) -> Keys {
    match method {
        Some("11") => keyed(file, Hash::Sha256),
        Some("12") => keyed(file, Hash::Sm3),
        _ => rsa(file),
    }
}

#[test]
fn every_vector_is_judged_as_the_provider_judges() {
    let file = Vectors::read(FILE);
    file.judge(|vector| match vector.kind() {
        "sign" | "front_form" => signs(vector, &file),
        "response" => judges(vector, &text::read(vector.text("body").as_bytes()).unwrap(), &file),
        "notify" => judges(vector, &form(vector.text("body")), &file),
        "cert_id" => {
            let certificate = Certificate::read(&vector.key("certificate", "")).unwrap();
            assert_eq!(certificate.serial_decimal(), vector.text("expected"), "{}", vector.id());
        }
        "sensitive_decrypt" => {
            let plain = opening_key(vector).open(vector.text("ciphertext"));
            assert_eq!(plain.as_deref(), vector.find("plaintext"), "{}", vector.id());
        }
        "customer_info" => reads_customer(vector),
        "settlement_file" => settlement(vector),
        other => panic!("{}: nobody judges {other}", vector.id()),
    });
}

#[test]
fn the_keystore_holds_the_merchants_key() {
    let file = Vectors::read(FILE);
    let pfx = STANDARD.decode(file.key("merchant_pfx_base64")).unwrap();
    let opened = open_pkcs12(&pfx, file.key("merchant_pfx_password")).unwrap();
    let key = SigningKey::of_der(&opened.key).unwrap();

    assert!(key.belongs_to(&opened.chain[0]));
    assert_eq!(opened.chain[0].serial_decimal(), file.key("merchant_cert_id"));
    assert!(open_pkcs12(&pfx, "wrong").is_err());
}

#[test]
fn certificates_that_do_not_sign_for_unionpay_are_refused() {
    let file = Vectors::read(FILE);
    let trust = trust(&file);
    let trusted = |name: &str| trust.key_of(file.key(name), now()).is_ok();

    assert!(trusted("unionpay_sign_certificate"));
    assert!(trusted("unionpay_sign_certificate"), "remembered");
    for name in ["wrong_owner_certificate", "expired_certificate", "self_signed_certificate"] {
        assert!(!trusted(name), "{name}");
    }
    let later = Timestamp::from_micros(i64::MAX / 4);
    assert!(trust.key_of(file.key("unionpay_sign_certificate"), later).is_err(), "over by then");
}

fn signs(vector: &Vector<'_>, file: &Vectors) {
    let params = vector.params();
    let mut fields = filled(&params);
    let text = signed_text(&fields, Empty::Drop);
    if let Some(digest) = vector.find("digest_hex") {
        assert_eq!(text, vector.text("string_to_sign"), "{}", vector.id());
        assert_eq!(sha256_hex(text.as_bytes()), digest, "{}", vector.id());
    } else {
        assert!(vector.text("text_to_hash").starts_with(&format!("{text}&")), "{}", vector.id());
    }
    let keys = keys_of(file, params.get("signMethod"));
    fields.set("certId", "");
    sign(&mut fields, &keys).unwrap();
    assert_eq!(fields.get("signature"), vector.find("signature"), "{}", vector.id());
    let sent = vector.find("body").map_or_else(|| pairs(vector), form);
    assert!(fields == sent, "{}", vector.id());
}

/// The pairs in `fields` of a vector.
fn pairs(vector: &Vector<'_>) -> Fields {
    let pairs = vector.value("fields").as_object().unwrap();
    Fields::of(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())))
}

fn judges(vector: &Vector<'_>, fields: &Fields, file: &Vectors) {
    assert!(*fields == vector.params(), "{}", vector.id());
    // The method is the agreed one; the vectors are of merchants with either.
    let agreed = match vector.id() {
        "response_secure_key_sm3" => Some("12"),
        id if id.contains("secure_key") => Some("11"),
        _ => None,
    };
    let verdict = verify(fields, &keys_of(file, agreed), now());
    assert_eq!(verdict.is_ok(), vector.valid(), "{}: {verdict:?}", vector.id());
    let other = if agreed.is_none() { keyed(file, Hash::Sha256) } else { rsa(file) };
    assert!(verify(fields, &other, now()).is_err(), "{} chooses its check", vector.id());
}

fn opening_key(vector: &Vector<'_>) -> OpeningKey {
    let der = key_der(&vector.key("private_key", ""), &["PRIVATE KEY"]).unwrap();
    OpeningKey::of_der(&der).unwrap()
}

fn reads_customer(vector: &Vector<'_>) {
    let info = vector.text("customer_info");
    let read = read_customer(info, Some(&opening_key(vector))).unwrap();
    assert!(read == pairs(vector), "{}", vector.id());
    let outer = vector.text("outer_text");
    let members = outer.trim_start_matches('{').trim_end_matches('}');
    assert_eq!(customer(members), info, "{}", vector.id());
    let unread = read_customer(info, None).unwrap();
    assert_eq!(unread.get("phoneNo"), None, "{}: not without the key", vector.id());
}

#[test]
fn what_is_encrypted_for_unionpay_is_opened_by_its_key_alone() {
    let file = Vectors::read(FILE);
    let certificate = Certificate::read(file.key("encrypt_certificate")).unwrap();
    let key = certificate.encrypting_key().unwrap();
    let sealed = key.encrypt("6216261000000000018").unwrap();
    assert_ne!(key.encrypt("6216261000000000018").unwrap(), sealed, "another text each time");

    let open = |name: &str| {
        let der = key_der(file.key(name), &["PRIVATE KEY"]).unwrap();
        OpeningKey::of_der(&der).unwrap().open(&sealed)
    };
    assert_eq!(open("encrypt_private_key").as_deref(), Some("6216261000000000018"));
    assert_ne!(open("merchant_private_key").as_deref(), Some("6216261000000000018"));
    assert!(key.encrypt(&"9".repeat(300)).is_err(), "longer than the key takes");
}

fn settlement(vector: &Vector<'_>) {
    let entries = bill::unpacked(vector.text("file_content")).unwrap();
    let names: Vec<_> =
        entries.iter().map(|entry| String::from_utf8(entry.name.clone()).unwrap()).collect();
    let expected = vector.value("entries").as_array().unwrap();
    let expected: Vec<_> = expected.iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    assert_eq!(names, expected);
    let day = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
    let DayBill::Lines(lines) = bill::read(&entries, day).unwrap() else { panic!("no lines") };
    let rows = vector.value("rows").as_array().unwrap();
    assert_eq!(lines.len(), rows.len());
    for (line, row) in lines.iter().zip(rows) {
        let text = |name: &str| row[name].as_str().unwrap();
        assert_eq!(line.key, text("order_id"));
        assert_eq!(line.amount_fen, row["amount_fen"].as_i64().unwrap());
        let refund = text("txn_type") == "04";
        assert_eq!(line.kind == BillLineKind::Refund, refund);
        let (trade, own) = (text("original_query_id"), text("query_id"));
        assert_eq!(line.transaction_id, if refund { trade } else { own });
        assert_eq!(line.refund_id.as_deref(), refund.then_some(own));
        let at = crate::payment::beijing::write(line.at.unwrap(), "%m%d%H%M%S");
        assert_eq!(at, text("txn_time_mmddhhmmss"));
    }
}
