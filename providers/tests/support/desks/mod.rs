//! The providers' side of each protocol, signing with the keys of the vectors. Nothing here is
//! shared with the code under test.

mod alipay;
mod unionpay;
mod wechat;

use std::collections::BTreeMap;

use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use base64::{Engine, engine::general_purpose::STANDARD};
use providers::payment::Reach;
use serde_json::Value;

use super::desk::Desk;

pub(crate) use self::{
    alipay::Alipay,
    unionpay::UnionPay,
    wechat::{WeChatV2, WeChatV3},
};

const V3: &str = include_str!("../../vectors/wechat_v3.json");
const ALIPAY: &str = include_str!("../../vectors/alipay.json");
const UNIONPAY: &str = include_str!("../../vectors/unionpay.json");

pub(crate) const PAYER: &str = "oPayerPayerPayer";
const API_KEY: &str = "1155eb4c0a85169fb61dae7c5d4bbe67";

/// Every protocol.
pub(crate) fn all() -> Vec<Box<dyn Desk>> {
    vec![Box::new(WeChatV2), Box::new(WeChatV3), Box::new(Alipay), Box::new(UnionPay)]
}

fn key(file: &str, name: &str) -> String {
    let file: Value = serde_json::from_str(file).unwrap();
    file["keys"][name].as_str().unwrap_or_else(|| panic!("{name}")).to_owned()
}

/// Signs as the holder of a PEM key.
pub(crate) fn rsa(pem: &str, text: &str) -> String {
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let pair = KeyPair::from_pkcs8(&STANDARD.decode(base64).unwrap()).unwrap();
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    STANDARD.encode(signature)
}

fn joined(fields: &BTreeMap<String, String>) -> String {
    let parts: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    parts.join("&")
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn reach(url: String) -> Reach {
    Reach { endpoint: Some(url), ..Reach::default() }
}
