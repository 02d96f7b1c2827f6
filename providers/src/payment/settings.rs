//! Who is paid: any number of accounts at each provider, with their keys.
//!
//! A secret comes from a file, the environment or (for simulators and tests) the settings
//! themselves. Live and test accounts never share one.

use std::{collections::BTreeSet, fmt, path::PathBuf, time::Duration};

use schemas::Channel;
use secrecy::SecretString;
use serde::Deserialize;

use super::secrets::Source;

/// Every account that Feat is paid through. Names are unique for each provider.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PaymentSettings {
    /// Apps at WeChat Pay; `extra_params.wx_app_type` names one.
    pub wechat_pay: Vec<WeChatPaySettings>,
    /// Apps at Alipay.
    pub alipay: Vec<AlipaySettings>,
    /// Merchants at UnionPay.
    pub unionpay: Vec<UnionPaySettings>,
}

impl PaymentSettings {
    /// Who is paid, where; each once.
    #[must_use]
    pub fn merchants(&self) -> BTreeSet<(Channel, String)> {
        let wechat_pay = self.wechat_pay.iter().map(|one| (Channel::WeChatPay, &one.merchant_id));
        let alipay = self.alipay.iter().map(|one| (Channel::Alipay, &one.seller_id));
        let unionpay = self.unionpay.iter().map(|one| (Channel::UnionPay, &one.merchant_id));
        let all = wechat_pay.chain(alipay).chain(unionpay);
        all.map(|(channel, merchant)| (channel, merchant.clone())).collect()
    }
}

/// Whether money is real. An account says it, because no key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Real money, over TLS, to the provider's own address.
    Live,
    /// A sandbox or a simulator. Without TLS only on this machine.
    Test,
}

/// How an account's provider is reached; the defaults are the provider's own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reach {
    /// Begin of the provider's addresses, without a slash at the end. `http` only for a loopback
    /// address and only in test mode.
    pub endpoint: Option<String>,
    /// Certificates (PEM) that prove the provider's server, in place of the system's.
    pub trust_roots: Option<Source>,
    /// Calls that may be under way at a time.
    pub concurrency: usize,
    /// How long a call waits for its turn before it is given up unsent, in milliseconds. As long as
    /// a call may take: beside a provider that hangs, waiting costs nothing, and coming back later
    /// costs the store a few writes for each job.
    pub queue_ms: u64,
}

impl Default for Reach {
    fn default() -> Self {
        Self { endpoint: None, trust_roots: None, concurrency: 64, queue_ms: 5_000 }
    }
}

impl Reach {
    /// How long a call waits for its turn.
    #[must_use]
    pub const fn queue(&self) -> Duration {
        Duration::from_millis(self.queue_ms)
    }
}

/// One app at WeChat Pay: an app id with the merchant that is paid.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeChatPaySettings {
    /// Name in addresses and in `wx_app_type`, such as `official_account`.
    pub name: String,
    /// Real money or not.
    pub mode: Mode,
    /// The app id.
    pub app_id: String,
    /// The merchant number, bound to the app id.
    pub merchant_id: String,
    /// How WeChat Pay is reached.
    #[serde(default)]
    pub reach: Reach,
    /// Keys of the XML protocol.
    pub v2: Option<WeChatV2Settings>,
    /// Keys of the JSON protocol. With both, `create_with` chooses.
    pub v3: Option<WeChatV3Settings>,
    /// Protocol of new trades and of everything that is asked; by default v2 when it has keys.
    /// Notices of either protocol are understood as far as its keys are there.
    pub create_with: Option<Generation>,
    /// Secret of the app, for signing people in.
    pub app_secret: Option<Source>,
    /// Begin of the addresses that exchange codes of people who sign in.
    pub sign_in_endpoint: Option<String>,
    /// Begin of the address where people consent.
    pub consent_endpoint: Option<String>,
    /// The registered page that H5 payments start from.
    pub h5_site: Option<H5Site>,
    /// The provider's fee for a payment that was agreed on, in hundredths of a percent (60 for
    /// 0.60 %). Bills are compared with it; without it fees are not judged.
    pub fee_basis_points: Option<u32>,
}

/// One of the two protocols of WeChat Pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generation {
    /// XML.
    V2,
    /// JSON.
    V3,
}

/// The page that H5 payments start from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct H5Site {
    /// Its name.
    pub name: String,
    /// Its address.
    pub url: String,
}

/// Keys of WeChat Pay's XML protocol.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeChatV2Settings {
    /// The API key, 32 characters.
    pub api_key: Source,
    /// How messages are signed.
    #[serde(default)]
    pub sign_type: V2SignType,
    /// The merchant's client certificate, which refunds need: PEM, or PKCS#12 with the merchant
    /// number as its password.
    pub client_certificate: Option<Source>,
    /// The key of that certificate (PEM), when the certificate file does not hold it.
    pub client_key: Option<Source>,
}

/// How messages of WeChat Pay's XML protocol are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum V2SignType {
    /// MD5 with the API key behind the text; what the documented replies show.
    #[default]
    #[serde(rename = "MD5")]
    Md5,
    /// HMAC-SHA256 with the API key.
    #[serde(rename = "HMAC-SHA256")]
    HmacSha256,
}

/// Keys of WeChat Pay's JSON protocol.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeChatV3Settings {
    /// The merchant's private key (PEM).
    pub private_key: Source,
    /// Serial number of the merchant's certificate, 40 hex digits in upper case.
    pub certificate_serial: String,
    /// The key of the JSON protocol (`APIv3` key), 32 characters.
    pub api_key: Source,
    /// WeChat Pay's public key, in public-key mode. May be set beside certificates while a
    /// merchant migrates.
    pub public_key: Option<WeChatPublicKey>,
    /// Whether platform certificates are fetched; by default when there is no public key.
    pub platform_certificates: Option<bool>,
}

/// WeChat Pay's public key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeChatPublicKey {
    /// Its id, `PUB_KEY_ID_` with digits.
    pub id: String,
    /// The key (PEM).
    pub key: Source,
}

/// One app at Alipay.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlipaySettings {
    /// Name in addresses.
    pub name: String,
    /// Real money or not.
    pub mode: Mode,
    /// The app id.
    pub app_id: String,
    /// The seller's number (2088…), compared with every notice.
    pub seller_id: String,
    /// How Alipay is reached; the endpoint is the whole address of the gateway.
    #[serde(default)]
    pub reach: Reach,
    /// The app's private key: PKCS#8 or PKCS#1, with or without PEM lines.
    pub private_key: Source,
    /// Alipay's public key for this app, in public-key mode.
    pub alipay_public_key: Option<Source>,
    /// Certificates, in certificate mode.
    pub certificates: Option<AlipayCertificates>,
    /// Whole address of the page where people consent.
    pub consent_url: Option<String>,
    /// Key of content encryption (base64 of 128 bits), when the app has switched it on.
    pub content_key: Option<Source>,
    /// Hosts besides the gateway's own that bill files may be fetched from.
    #[serde(default)]
    pub bill_hosts: Vec<String>,
    /// The provider's fee for a payment that was agreed on, in hundredths of a percent (60 for
    /// 0.60 %). Bills are compared with it; without it fees are not judged.
    pub fee_basis_points: Option<u32>,
}

/// Certificates of an app in certificate mode.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlipayCertificates {
    /// The app's certificate.
    pub app: Source,
    /// Alipay's certificate.
    pub alipay: Source,
    /// The certificate that Alipay changes to: both count while it is named.
    pub alipay_next: Option<Source>,
    /// Alipay's root certificates, several in one file.
    pub root: Source,
}

/// One merchant at UnionPay.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnionPaySettings {
    /// Name in addresses.
    pub name: String,
    /// Real money or not.
    pub mode: Mode,
    /// The merchant number, 15 characters.
    pub merchant_id: String,
    /// How UnionPay is reached.
    #[serde(default)]
    pub reach: Reach,
    /// Begin of the address that bill files come from.
    pub file_endpoint: Option<String>,
    /// Where UnionPay's page sends the browser afterwards, when an order does not say it.
    pub front_url: Option<String>,
    /// How requests are signed.
    pub signing: UnionPaySigning,
    /// UnionPay's root certificate; while it changes, both in one file.
    pub root_certificate: Option<Source>,
    /// UnionPay's middle certificate; while it changes, both in one file.
    pub middle_certificate: Option<Source>,
    /// Owner that UnionPay's signing certificate must name; by default UnionPay itself in live
    /// mode. Only a test account may name another.
    pub certificate_owner: Option<String>,
    /// The provider's fee for a payment that was agreed on, in hundredths of a percent (60 for
    /// 0.60 %). Bills are compared with it; without it fees are not judged.
    pub fee_basis_points: Option<u32>,
    /// Whether cards are charged without UnionPay's page: only with its contract and its right to
    /// encrypt sensitive fields.
    #[serde(default)]
    pub cards: bool,
}

/// How requests to UnionPay are signed, and answers judged.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum UnionPaySigning {
    /// With a PKCS#12 file and its password.
    Pfx {
        /// The file; inline or from the environment as base64.
        file: Source,
        /// Its password.
        password: Source,
    },
    /// With a key and its certificate, both PEM.
    Pem {
        /// The private key.
        private_key: Source,
        /// The certificate.
        certificate: Source,
    },
    /// With SHA-256 and a shared key.
    Sha256 {
        /// The key.
        key: Source,
    },
    /// With SM3 and a shared key.
    Sm3 {
        /// The key.
        key: Source,
    },
}

impl WeChatPaySettings {
    /// Where its keys and certificates come from.
    pub(super) fn sources(&self) -> Vec<&Source> {
        let v2 = self.v2.iter().flat_map(|keys| {
            [Some(&keys.api_key), keys.client_certificate.as_ref(), keys.client_key.as_ref()]
        });
        let v3 = self.v3.iter().flat_map(|keys| {
            let public = keys.public_key.as_ref().map(|public| &public.key);
            [Some(&keys.private_key), Some(&keys.api_key), public]
        });
        v2.chain(v3).chain([self.app_secret.as_ref()]).flatten().collect()
    }
}

impl AlipaySettings {
    /// Where its keys and certificates come from.
    pub(super) fn sources(&self) -> Vec<&Source> {
        let certificates = self.certificates.iter().flat_map(|certificates| {
            let next = certificates.alipay_next.as_ref();
            [Some(&certificates.app), Some(&certificates.alipay), Some(&certificates.root), next]
        });
        let keys =
            [Some(&self.private_key), self.alipay_public_key.as_ref(), self.content_key.as_ref()];
        keys.into_iter().chain(certificates).flatten().collect()
    }
}

impl UnionPaySettings {
    /// Where its keys and certificates come from.
    pub(super) fn sources(&self) -> Vec<&Source> {
        let signing = match &self.signing {
            UnionPaySigning::Pfx { file, password } => [Some(file), Some(password)],
            UnionPaySigning::Pem { private_key, certificate } => {
                [Some(private_key), Some(certificate)]
            }
            UnionPaySigning::Sha256 { key } | UnionPaySigning::Sm3 { key } => [Some(key), None],
        };
        let chain = [self.root_certificate.as_ref(), self.middle_certificate.as_ref()];
        signing.into_iter().chain(chain).flatten().collect()
    }
}

impl Source {
    /// The content of the file `path`, which is read again when it changes.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    /// `text` itself, for simulators and tests.
    #[must_use]
    pub fn inline(text: &str) -> Self {
        Self::Value(SecretString::from(text))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Test => "test",
        })
    }
}
