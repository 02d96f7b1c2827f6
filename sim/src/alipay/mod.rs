//! Alipay: the gateway, its trades, the test cashier, account binding.

mod bill;
mod gateway;
mod notify;
mod oauth;
mod page;
mod params;
mod refund;
mod trade;

#[cfg(test)]
mod vectors;

use secrecy::ExposeSecret;

pub(crate) use self::{
    notify::{payment_parcel, seal_notify},
    oauth::Grants,
    page::{cashier_of, consent, pay_in_app, return_address},
};
use crate::{
    crypto::{Certificate, PrivateKey, PublicKey, Unusable},
    fault::Act,
    http::{Reply, Request},
    ledger::Provider,
    merchant::{AlipayKeys, AlipayMerchant},
    sim::Sim,
};

/// An application as Alipay keeps it.
#[derive(Debug)]
pub(crate) struct AlipayAccount {
    merchant: AlipayMerchant,
    key: PublicKey,
    app_cert_sn: String,
    root_cert_sn: String,
    alipay_cert_sn: String,
    next_cert_sn: String,
}

impl AlipayAccount {
    pub(crate) fn new(merchant: &AlipayMerchant) -> Result<Self, Unusable> {
        let certificate = Certificate::from_pem(&merchant.app_certificate)?;
        let private = PrivateKey::from_pem(merchant.private_key.expose_secret())?;
        if !private.belongs_to(&certificate.key) {
            return Err(Unusable("pair of Alipay application key and certificate"));
        }
        let roots = Certificate::bundle(&merchant.root_certificates)?;
        Ok(Self {
            app_cert_sn: certificate.alipay_sn(),
            root_cert_sn: Certificate::alipay_root_sn(&roots),
            alipay_cert_sn: Certificate::from_pem(&merchant.alipay_certificate)?.alipay_sn(),
            next_cert_sn: Certificate::from_pem(&merchant.next_certificate)?.alipay_sn(),
            key: certificate.key,
            merchant: merchant.clone(),
        })
    }

    /// Alipay's key for this application at the moment, and the fingerprint of its certificate.
    fn signs_with<'a>(&'a self, sim: &'a Sim) -> (&'a PrivateKey, &'a str) {
        let changed = sim.is_rotated(Provider::Alipay);
        if changed && self.merchant.keys == AlipayKeys::Certificate {
            return (&sim.keys.alipay_b, &self.next_cert_sn);
        }
        (&sim.keys.alipay, &self.alipay_cert_sn)
    }

    fn app_id(&self) -> &str {
        &self.merchant.app_id
    }
}

/// The name of the call that `request` makes, when its path is one of Alipay's.
pub(crate) fn call(request: &Request) -> Option<String> {
    match request.path.as_str() {
        "/gateway.do" => Some(gateway::method(request)),
        "/oauth2/publicAppAuthorize.htm" => Some("alipay.consent".to_owned()),
        path if path.starts_with("/alipay-bill/") => Some("alipay.bill.file".to_owned()),
        _ => None,
    }
}

/// Answers a request whose path is one of Alipay's.
pub(crate) fn answer(sim: &Sim, request: &Request, call: &str, act: Option<&Act>) -> Reply {
    match call {
        "alipay.consent" => page::consent_page(sim, request),
        "alipay.bill.file" => bill::file(sim, request, act),
        _ => gateway::answer(sim, request, act),
    }
}

/// The answer that leaves the outcome open.
pub(crate) fn system_error(sim: &Sim, request: &Request) -> Reply {
    gateway::unknown_error(sim, request)
}
