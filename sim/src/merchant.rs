//! What a client has to be configured with so that the simulators know it.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::crypto::{Certificate, PrivateKey, Unusable};

/// One merchant, known to all three providers.
///
/// Both sides can be configured from it: the simulators keep what the provider would keep, a client
/// takes what the provider would have handed out.
#[derive(Debug, Clone)]
pub struct Merchant {
    /// Its account at WeChat Pay.
    pub wechat: WechatMerchant,
    /// Its application at Alipay.
    pub alipay: AlipayMerchant,
    /// Its account at UnionPay.
    pub unionpay: UnionPayMerchant,
}

/// With which keys WeChat Pay signs what it sends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WechatKeys {
    /// With the platform certificate.
    Certificate,
    /// With the WeChat Pay public key; there are no certificates to download.
    PublicKey,
    /// Now with one, now with the other, as while a merchant migrates.
    Both,
}

/// A merchant account at WeChat Pay.
#[derive(Debug, Clone)]
pub struct WechatMerchant {
    /// Merchant number.
    pub mchid: String,
    /// Applications bound to it: the official account, then the mobile app.
    pub apps: Vec<String>,
    /// Secret of the applications, for signing people in; one for all of them.
    pub app_secret: SecretString,
    /// Key of v2 signatures, 32 characters.
    pub api_key: SecretString,
    /// Key of v3 resources, 32 bytes.
    pub apiv3_key: SecretString,
    /// The merchant's private key, PEM.
    pub private_key: SecretString,
    /// The merchant's certificate, PEM.
    pub certificate: String,
    /// Serial number of that certificate, upper-case hex.
    pub serial_no: String,
    /// The platform certificate that is active at the start, PEM.
    pub platform_certificate: String,
    /// Name of the WeChat Pay public key, `PUB_KEY_ID_…`.
    pub public_key_id: String,
    /// The WeChat Pay public key, PEM.
    pub public_key: String,
    /// With which of them notifications are signed.
    pub keys: WechatKeys,
}

/// How an application and Alipay know each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlipayKeys {
    /// By bare public keys.
    PublicKey,
    /// By certificates.
    Certificate,
}

/// An application at Alipay.
#[derive(Debug, Clone)]
pub struct AlipayMerchant {
    /// Application number.
    pub app_id: String,
    /// The seller that its trades pay.
    pub seller_id: String,
    /// The application's private key, PEM in PKCS#8.
    pub private_key: SecretString,
    /// The application's certificate, PEM.
    pub app_certificate: String,
    /// Alipay's public key for this application, PEM.
    pub alipay_public_key: String,
    /// Alipay's certificate, PEM.
    pub alipay_certificate: String,
    /// The one that Alipay changes to, PEM.
    pub next_certificate: String,
    /// Alipay's root certificates, PEM.
    pub root_certificates: String,
    /// Which of the two modes is in force.
    pub keys: AlipayKeys,
    /// Where the consent page may return to: addresses, or prefixes that end in `/`. Loopback
    /// addresses are always allowed.
    pub redirect_uris: Vec<String>,
}

/// How a merchant and UnionPay sign to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnionPayKeys {
    /// With RSA and certificates, `signMethod` 01.
    Certificate,
    /// With a shared key and SHA-256, `signMethod` 11.
    Sha256,
    /// With a shared key and SM3, `signMethod` 12.
    Sm3,
}

/// A merchant account at UnionPay.
#[derive(Debug, Clone)]
pub struct UnionPayMerchant {
    /// Merchant number, 15 digits.
    pub mer_id: String,
    /// The merchant's private key, PEM.
    pub private_key: SecretString,
    /// The merchant's certificate, PEM.
    pub certificate: String,
    /// Decimal serial number of that certificate.
    pub cert_id: String,
    /// Root of UnionPay's certificates, PEM.
    pub root_certificate: String,
    /// The certificate between root and signing certificate, PEM.
    pub middle_certificate: String,
    /// The root of the chain that UnionPay changes to, PEM.
    pub next_root_certificate: String,
    /// The certificate between it and the signing certificate, PEM.
    pub next_middle_certificate: String,
    /// The certificate that sensitive fields are encrypted with, PEM.
    pub encrypt_certificate: String,
    /// The one that UnionPay changes to, PEM.
    pub next_encrypt_certificate: String,
    /// Who must own the signing certificate: the third part of its common name.
    pub owner: String,
    /// The shared key of the other two forms of signature.
    pub secure_key: SecretString,
    /// Which form is in force.
    pub keys: UnionPayKeys,
}

pub(crate) const PLATFORM_A: &str = include_str!("../fixtures/wechat_platform_a.crt.pem");
pub(crate) const PLATFORM_A_KEY: &str = include_str!("../fixtures/wechat_platform_a.key.pem");
pub(crate) const PLATFORM_B: &str = include_str!("../fixtures/wechat_platform_b.crt.pem");
pub(crate) const PLATFORM_B_KEY: &str = include_str!("../fixtures/wechat_platform_b.key.pem");
pub(crate) const WECHAT_PUBLIC_KEY: &str = include_str!("../fixtures/wechat_public.key.pem");
pub(crate) const ALIPAY: &str = include_str!("../fixtures/alipay.crt.pem");
pub(crate) const ALIPAY_KEY: &str = include_str!("../fixtures/alipay.key.pem");
pub(crate) const ALIPAY_ROOTS: &str = include_str!("../fixtures/alipay_root.crt.pem");
pub(crate) const ALIPAY_B: &str = include_str!("../fixtures/alipay_b.crt.pem");
pub(crate) const ALIPAY_B_KEY: &str = include_str!("../fixtures/alipay_b.key.pem");
pub(crate) const UNIONPAY_B: &str = include_str!("../fixtures/unionpay_sign_b.crt.pem");
pub(crate) const UNIONPAY_B_KEY: &str = include_str!("../fixtures/unionpay_sign_b.key.pem");
pub(crate) const UNIONPAY: &str = include_str!("../fixtures/unionpay_sign.crt.pem");
pub(crate) const UNIONPAY_KEY: &str = include_str!("../fixtures/unionpay_sign.key.pem");
pub(crate) const UNIONPAY_ENCRYPT_KEY: &str = include_str!("../fixtures/unionpay_encrypt.key.pem");
pub(crate) const UNIONPAY_ENCRYPT_B_KEY: &str =
    include_str!("../fixtures/unionpay_encrypt_b.key.pem");
pub(crate) const UNIONPAY_EXPIRED: &str = include_str!("../fixtures/unionpay_sign_expired.crt.pem");
pub(crate) const UNIONPAY_STRANGER: &str = include_str!("../fixtures/unionpay_wrong_owner.crt.pem");
pub(crate) const UNIONPAY_SELF_SIGNED: &str =
    include_str!("../fixtures/unionpay_self_signed.crt.pem");

const WECHAT_MERCHANT: &str = include_str!("../fixtures/wechat_merchant.crt.pem");
const UNIONPAY_MERCHANT: &str = include_str!("../fixtures/unionpay_merchant.crt.pem");

impl Merchant {
    /// The merchant whose throw-away keys come with the simulators.
    ///
    /// # Errors
    ///
    /// [`Unfit`] when the fixtures of this build are damaged.
    pub fn fixture() -> Result<Self, Unfit> {
        let wechat_key = PrivateKey::from_pem(WECHAT_PUBLIC_KEY)?;
        let alipay_key = PrivateKey::from_pem(ALIPAY_KEY)?;
        Ok(Self {
            wechat: WechatMerchant {
                mchid: "1900000109".to_owned(),
                apps: vec!["wx2421b1c4370ec43b".to_owned(), "wx8888888888888888".to_owned()],
                app_secret: "0c79e1fa963cd80cc0be99b20a18faeb".into(),
                api_key: "5a1f0c7d9e3b4a268d71c0e4f9b2a6d3".into(),
                apiv3_key: "9d3c6b1e0f7a42c5b8e2d4f6a1c30957".into(),
                private_key: include_str!("../fixtures/wechat_merchant.key.pem").into(),
                certificate: WECHAT_MERCHANT.to_owned(),
                serial_no: Certificate::from_pem(WECHAT_MERCHANT)?.serial_hex,
                platform_certificate: PLATFORM_A.to_owned(),
                public_key_id: "PUB_KEY_ID_0119000001092026112400310000".to_owned(),
                public_key: wechat_key.public_pem()?,
                keys: WechatKeys::Both,
            },
            alipay: AlipayMerchant {
                app_id: "2021000100000001".to_owned(),
                seller_id: "2088101100000009".to_owned(),
                private_key: include_str!("../fixtures/alipay_app.key.pem").into(),
                app_certificate: include_str!("../fixtures/alipay_app.crt.pem").to_owned(),
                alipay_public_key: alipay_key.public_pem()?,
                alipay_certificate: ALIPAY.to_owned(),
                next_certificate: ALIPAY_B.to_owned(),
                root_certificates: ALIPAY_ROOTS.to_owned(),
                keys: AlipayKeys::PublicKey,
                redirect_uris: Vec::new(),
            },
            unionpay: UnionPayMerchant {
                mer_id: "777290058110048".to_owned(),
                private_key: include_str!("../fixtures/unionpay_merchant.key.pem").into(),
                certificate: UNIONPAY_MERCHANT.to_owned(),
                cert_id: Certificate::from_pem(UNIONPAY_MERCHANT)?.serial_decimal,
                root_certificate: include_str!("../fixtures/unionpay_root.crt.pem").to_owned(),
                middle_certificate: include_str!("../fixtures/unionpay_middle.crt.pem").to_owned(),
                next_root_certificate: include_str!("../fixtures/unionpay_root_b.crt.pem")
                    .to_owned(),
                next_middle_certificate: include_str!("../fixtures/unionpay_middle_b.crt.pem")
                    .to_owned(),
                encrypt_certificate: include_str!("../fixtures/unionpay_encrypt.crt.pem")
                    .to_owned(),
                next_encrypt_certificate: include_str!("../fixtures/unionpay_encrypt_b.crt.pem")
                    .to_owned(),
                owner: "中国银联股份有限公司".to_owned(),
                secure_key: "c1d6a0b94e7f42538a6d1b3c5e7f9024".into(),
                keys: UnionPayKeys::Certificate,
            },
        })
    }

    /// Everything of it, its throw-away keys included, as `GET /_sim/merchant` shows it.
    pub(crate) fn to_json(&self) -> Value {
        let Self { wechat, alipay, unionpay } = self;
        json!({
            "wechat": {
                "mchid": wechat.mchid,
                "apps": wechat.apps,
                "app_secret": wechat.app_secret.expose_secret(),
                "api_key": wechat.api_key.expose_secret(),
                "apiv3_key": wechat.apiv3_key.expose_secret(),
                "private_key": wechat.private_key.expose_secret(),
                "certificate": wechat.certificate,
                "serial_no": wechat.serial_no,
                "platform_certificate": wechat.platform_certificate,
                "public_key_id": wechat.public_key_id,
                "public_key": wechat.public_key,
            },
            "alipay": {
                "app_id": alipay.app_id,
                "seller_id": alipay.seller_id,
                "private_key": alipay.private_key.expose_secret(),
                "app_certificate": alipay.app_certificate,
                "alipay_public_key": alipay.alipay_public_key,
                "alipay_certificate": alipay.alipay_certificate,
                "next_certificate": alipay.next_certificate,
                "root_certificates": alipay.root_certificates,
            },
            "unionpay": {
                "mer_id": unionpay.mer_id,
                "private_key": unionpay.private_key.expose_secret(),
                "certificate": unionpay.certificate,
                "cert_id": unionpay.cert_id,
                "root_certificate": unionpay.root_certificate,
                "middle_certificate": unionpay.middle_certificate,
                "next_root_certificate": unionpay.next_root_certificate,
                "next_middle_certificate": unionpay.next_middle_certificate,
                "encrypt_certificate": unionpay.encrypt_certificate,
                "next_encrypt_certificate": unionpay.next_encrypt_certificate,
                "owner": unionpay.owner,
                "secure_key": unionpay.secure_key.expose_secret(),
            },
        })
    }
}

/// Keys or certificates that the simulators cannot use.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfit(Unusable);

impl From<Unusable> for Unfit {
    fn from(unusable: Unusable) -> Self {
        Self(unusable)
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the simulators cannot use this key material: {}", self.0)
    }
}

impl std::error::Error for Unfit {}
