//! Sensitive fields: which certificate they are encrypted with, and opening them.

use chrono::TimeDelta;

use super::card::Number;
use crate::{
    crypto::PrivateKey,
    ledger::Provider,
    unionpay::{Call, Done, message::Fail},
};

/// How long the certificate before the present one still decrypts.
const OVERLAP: TimeDelta = TimeDelta::days(31);

/// The certificate that sensitive fields are encrypted with.
pub(in crate::unionpay) fn certificate(call: &Call<'_>) -> Result<Done, Fail> {
    if !call.is("95", "00", &["000000"]) {
        return Err(Fail::new("14", "Invalid transaction type[txnType]"));
    }
    if call.required("certType")? != "01" {
        return Err(Fail::field("certType"));
    }
    let merchant = &call.account.merchant;
    let [first, second] = &call.account.encrypt_cert_ids;
    let (id, certificate) = if call.sim.is_rotated(Provider::UnionPay) {
        (second, &merchant.next_encrypt_certificate)
    } else {
        (first, &merchant.encrypt_certificate)
    };
    let fields = [
        ("certType", "01".to_owned()),
        ("encryptCertId", id.clone()),
        ("encryptPubKeyCert", certificate.trim_end().to_owned()),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
    Ok(Done { fields, trade: None })
}

/// The key of the certificate that the merchant says it encrypted with.
pub(super) fn key<'a>(call: &Call<'a>) -> Result<&'a PrivateKey, Fail> {
    let id = call.required("encryptCertId")?;
    let [first, second] = &call.account.encrypt_cert_ids;
    let keys = &call.sim.keys;
    let (mut now, mut before) = ((first, &keys.encrypt), (second, &keys.encrypt_b));
    if call.sim.is_rotated(Provider::UnionPay) {
        (now, before) = (before, now);
    }
    let overlaps = call.sim.turned().is_some_and(|at| call.sim.now() - at < OVERLAP);
    match id {
        id if id == now.0 => Ok(now.1),
        id if id == before.0 && overlaps => Ok(before.1),
        _ => Err(Fail::new("10", "Invalid field: no certificate in force[encryptCertId]")),
    }
}

/// What `field` says once it is decrypted; who sends it in plain is told which field it is.
pub(super) fn open(call: &Call<'_>, field: &str, sealed: &str) -> Result<String, Fail> {
    let plain = key(call)?.decrypt_pkcs1(sealed).map_err(|_| Fail::field(field))?;
    String::from_utf8(plain).map_err(|_| Fail::field(field))
}

/// The card number, which has to be there.
pub(super) fn number(call: &Call<'_>) -> Result<Number, Fail> {
    let sealed = call.required("accNo")?;
    Number::new(open(call, "accNo", sealed)?).ok_or_else(|| Fail::field("accNo"))
}
