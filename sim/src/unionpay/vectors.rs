//! The test vectors of UnionPay.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::Read;

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::read::{DeflateDecoder, ZlibDecoder};

use super::{
    Fields,
    message::{check, keyed_hash, signed_text},
};
use crate::{
    Merchant, UnionPayKeys,
    clock::parse_digits,
    crypto::{Certificate, Hash, PrivateKey, sha256},
    http::{strict_form, write_form},
    testing::{Vectors, pairs, request, sim_of, text},
};

fn vectors() -> Vectors {
    Vectors::read(include_str!("../../tests/vectors/unionpay.json"))
}

fn merchant(vectors: &Vectors, method: &str) -> Merchant {
    let mut merchant = Merchant::fixture().unwrap();
    let ours = &mut merchant.unionpay;
    ours.mer_id = vectors.key("merchant_id").to_owned();
    ours.private_key = vectors.key("merchant_private_key").into();
    ours.certificate = vectors.key("merchant_certificate").to_owned();
    ours.cert_id = vectors.key("merchant_cert_id").to_owned();
    ours.secure_key = vectors.key("secure_key").into();
    ours.keys = match method {
        "11" => UnionPayKeys::Sha256,
        "12" => UnionPayKeys::Sm3,
        _ => UnionPayKeys::Certificate,
    };
    merchant
}

fn full(fields: &Fields) -> Fields {
    let full = fields.iter().filter(|(_, value)| !value.is_empty());
    full.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[test]
fn requests_are_signed_and_let_in() {
    let vectors = vectors();
    vectors.are_of(&[
        "front_form",
        "sign",
        "response",
        "notify",
        "sensitive_decrypt",
        "cert_id",
        "customer_info",
        "settlement_file",
    ]);
    let key = PrivateKey::from_pem(vectors.key("merchant_private_key")).unwrap();
    for vector in ["sign", "front_form"].iter().flat_map(|kind| vectors.of(kind)) {
        let id = text(vector, "id");
        let fields = full(&pairs(vector, "params"));
        let signed = signed_text(&fields);
        assert_eq!(signed, text(vector, "string_to_sign"), "{id}");
        let method = fields["signMethod"].as_str();
        if method == "01" {
            assert_eq!(sha256(signed.as_bytes()), text(vector, "digest_hex"), "{id}");
            let signature = key.sign(text(vector, "digest_hex").as_bytes()).unwrap();
            assert_eq!(signature, text(vector, "signature"), "{id}");
        } else {
            let signature = keyed_hash(&fields, method, vectors.key("secure_key"));
            assert_eq!(signature, text(vector, "signature"), "{id}");
        }
        let body = if let Some(body) = vector["body"].as_str() {
            body.to_owned()
        } else {
            let posted = pairs(vector, "fields");
            write_form(posted.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        };
        let at = parse_digits("20261123101530").unwrap().timestamp();
        let sim = sim_of(merchant(&vectors, method), at);
        let kind = [("content-type", "application/x-www-form-urlencoded;charset=UTF-8")];
        let sent = request("POST", super::BACK, &kind, &body);
        let verdict = check(&sim, &sent, None).map(|_| ()).map_err(|(_, fail)| fail.reason());
        assert_eq!(verdict, Ok(()), "{id}");
        let sent = request("POST", super::BACK, &kind, &body.replace("20261123", "20261124"));
        assert!(check(&sim, &sent, None).is_err(), "{id}: another number");
    }
}

/// An answer as the sheet says it is read: groups keep their `&`.
fn read(body: &str) -> Fields {
    let mut fields = Fields::new();
    let mut rest = body;
    while !rest.is_empty() {
        let (name, tail) = rest.split_once('=').unwrap();
        let mut closing = None;
        let end = tail.find(|c| {
            if let Some(mark) = closing {
                closing = closing.filter(|_| c != mark);
                return false;
            }
            closing = match c {
                '{' => Some('}'),
                '[' => Some(']'),
                _ => None,
            };
            c == '&'
        });
        let end = end.unwrap_or(tail.len());
        assert!(fields.insert(name.to_owned(), tail[..end].to_owned()).is_none(), "{name}");
        rest = tail[end..].trim_start_matches('&');
    }
    fields
}

/// Whether a strict merchant takes the message.
fn takes(vectors: &Vectors, fields: &Fields) -> bool {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    let method = field("signMethod");
    if method != "01" {
        return keyed_hash(fields, method, vectors.key("secure_key")) == field("signature");
    }
    let Ok(certificate) = Certificate::from_pem(field("signPubKeyCert")) else { return false };
    let middle = Certificate::from_pem(vectors.key("middle_certificate")).unwrap();
    let root = Certificate::from_pem(vectors.key("root_certificate")).unwrap();
    let now = parse_digits("20261123101530").unwrap();
    let digest = sha256(signed_text(fields).as_bytes());
    certificate.is_valid_at(now)
        && certificate.is_issued_by(&middle)
        && middle.is_issued_by(&root)
        && certificate.common_name.split('@').nth(2) == Some(vectors.key("expected_owner"))
        && certificate.key.verifies(Hash::Sha256, digest.as_bytes(), field("signature"))
}

#[test]
fn answers_and_notifications_are_verified() {
    let vectors = vectors();
    for vector in vectors.of("response") {
        let (id, fields) = (text(vector, "id"), read(text(vector, "body")));
        assert_eq!(fields, pairs(vector, "params"), "{id}");
        assert_eq!(takes(&vectors, &fields), vector["valid"] == true, "{id}");
        if vector["valid"] == true {
            assert_eq!(signed_text(&fields), text(vector, "string_to_sign"), "{id}");
        }
    }
    for vector in vectors.of("notify") {
        let id = text(vector, "id");
        let mut fields = Fields::new();
        strict_form(text(vector, "body").as_bytes(), &mut fields).unwrap();
        assert_eq!(fields, pairs(vector, "params"), "{id}");
        assert_eq!(takes(&vectors, &fields), vector["valid"] == true, "{id}");
    }
}

#[test]
fn certificates_and_sensitive_fields() {
    let vectors = vectors();
    for vector in vectors.of("cert_id") {
        let certificate = Certificate::from_pem(vectors.key(text(vector, "certificate"))).unwrap();
        assert_eq!(certificate.serial_decimal, text(vector, "expected"), "{}", vector["id"]);
    }
    let key = |vector| PrivateKey::from_pem(vectors.key(text(vector, "private_key"))).unwrap();
    for vector in vectors.of("sensitive_decrypt") {
        let plain = key(vector).decrypt_pkcs1(text(vector, "ciphertext")).unwrap();
        assert_eq!(
            String::from_utf8(plain).unwrap(),
            text(vector, "plaintext"),
            "{}",
            vector["id"]
        );
    }
    for vector in vectors.of("customer_info") {
        let id = text(vector, "id");
        let outer = BASE64_STANDARD.decode(text(vector, "customer_info")).unwrap();
        let outer = String::from_utf8(outer).unwrap();
        assert_eq!(outer, text(vector, "outer_text"), "{id}");
        let inner = outer.trim_start_matches('{').trim_end_matches('}');
        let split = |text: &str| -> Fields {
            let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap());
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let mut fields = split(inner);
        if let Some(sealed) = fields.remove("encryptedInfo") {
            let plain = key(vector).decrypt_pkcs1(&sealed).unwrap();
            fields.extend(split(&String::from_utf8(plain).unwrap()));
        }
        assert_eq!(fields, pairs(vector, "fields"), "{id}");
    }
}

/// The entries of an archive, in its order.
fn unzip(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let number = |at: usize, length: usize| {
        archive[at..at + length].iter().rev().fold(0usize, |n, byte| n << 8 | usize::from(*byte))
    };
    let mut entries = Vec::new();
    let end = archive.len() - 22;
    let (count, mut at) = (number(end + 10, 2), number(end + 16, 4));
    for _ in 0..count {
        let (packed, size, name_length) =
            (number(at + 20, 4), number(at + 24, 4), number(at + 28, 2));
        let skip = number(at + 30, 2) + number(at + 32, 2);
        let name = String::from_utf8(archive[at + 46..at + 46 + name_length].to_vec()).unwrap();
        let local = number(at + 42, 4);
        let start = local + 30 + number(local + 26, 2) + number(local + 28, 2);
        let data = &archive[start..start + packed];
        let mut plain = Vec::new();
        match number(at + 10, 2) {
            0 => plain.extend_from_slice(data),
            _ => assert_eq!(DeflateDecoder::new(data).read_to_end(&mut plain).unwrap(), size),
        }
        entries.push((name, plain));
        at += 46 + name_length + skip;
    }
    entries
}

#[test]
fn the_settlement_file_has_the_columns_that_we_write() {
    let vectors = vectors();
    for vector in vectors.of("settlement_file") {
        let packed = BASE64_STANDARD.decode(text(vector, "file_content")).unwrap();
        let mut archive = Vec::new();
        ZlibDecoder::new(packed.as_slice()).read_to_end(&mut archive).unwrap();
        let entries = unzip(&archive);
        let names: Vec<_> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(serde_json::json!(names), vector["entries"]);
        assert_eq!(serde_json::json!(super::file::WIDTHS.to_vec()), vector["widths"]);
        let lines = String::from_utf8(entries[0].1.clone()).unwrap();
        for (line, row) in lines.split_terminator("\r\n").zip(vector["rows"].as_array().unwrap()) {
            let mut at = 0;
            let cells: Vec<&str> = super::file::WIDTHS
                .iter()
                .map(|width| {
                    let cell = line[at..at + width].trim();
                    at += width + 1;
                    cell
                })
                .collect();
            assert_eq!(cells[9], text(row, "query_id"));
            assert_eq!(cells[11], text(row, "order_id"));
            assert_eq!(cells[4], text(row, "txn_time_mmddhhmmss"));
            assert_eq!(cells[6].parse::<i64>().unwrap(), row["amount_fen"]);
            assert_eq!(cells[19], text(row, "txn_type"));
            assert_eq!(cells[26], text(row, "original_query_id"));
            assert_eq!(cells[27], text(row, "merchant_id"));
        }
    }
}
