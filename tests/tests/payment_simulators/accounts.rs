//! The settings of an account at a simulator, as an operator writes them.

use providers::payment::{
    AlipayCertificates, AlipaySettings, H5Site, Mode, PaymentSettings, Reach, Source,
    UnionPaySettings, UnionPaySigning, V2SignType, WeChatPaySettings, WeChatPublicKey,
    WeChatV2Settings, WeChatV3Settings,
};
use secrecy::{ExposeSecret, SecretString};
use sim::{Provider, Running};

use crate::shop::Way;

fn secret(text: &SecretString) -> Source {
    Source::inline(text.expose_secret())
}

/// What is in force and what follows, in one file.
fn both(now: &str, next: &str) -> Source {
    Source::inline(&format!("{}\n{next}", now.trim_end()))
}

/// The account of `way` at the simulators.
pub(crate) fn accounts(sim: &Running, way: Way) -> PaymentSettings {
    let url = sim.url().to_owned();
    let merchant = sim.merchant().unwrap();
    match way.provider() {
        Provider::Wechat => {
            PaymentSettings { wechat_pay: vec![wechat(url, merchant, way)], ..Default::default() }
        }
        Provider::Alipay => {
            PaymentSettings { alipay: vec![alipay(&url, merchant, way)], ..Default::default() }
        }
        Provider::UnionPay => {
            PaymentSettings { unionpay: vec![unionpay(url, merchant, way)], ..Default::default() }
        }
    }
}

fn wechat(url: String, merchant: &sim::Merchant, way: Way) -> WeChatPaySettings {
    let own = &merchant.wechat;
    let v2 = WeChatV2Settings {
        api_key: secret(&own.api_key),
        sign_type: if way == Way::WeChatV2Hmac { V2SignType::HmacSha256 } else { V2SignType::Md5 },
        client_certificate: None,
        client_key: None,
    };
    let public_key =
        WeChatPublicKey { id: own.public_key_id.clone(), key: Source::inline(&own.public_key) };
    let v3 = WeChatV3Settings {
        private_key: secret(&own.private_key),
        certificate_serial: own.serial_no.clone(),
        api_key: secret(&own.apiv3_key),
        public_key: (way != Way::WeChatV3Certificate).then_some(public_key),
        platform_certificates: (way == Way::WeChatV3Both).then_some(true),
    };
    let is_v2 = matches!(way, Way::WeChatV2 | Way::WeChatV2Hmac);
    WeChatPaySettings {
        name: "official_account".to_owned(),
        mode: Mode::Test,
        app_id: own.apps[0].clone(),
        merchant_id: own.mchid.clone(),
        reach: Reach { endpoint: Some(url), ..Reach::default() },
        v2: is_v2.then_some(v2),
        v3: (!is_v2).then_some(v3),
        create_with: None,
        app_secret: None,
        sign_in_endpoint: None,
        consent_endpoint: None,
        h5_site: Some(H5Site { name: "Shop".into(), url: "https://shop.example.test".into() }),
        fee_basis_points: None,
    }
}

fn alipay(url: &str, merchant: &sim::Merchant, way: Way) -> AlipaySettings {
    let own = &merchant.alipay;
    let certificates = AlipayCertificates {
        alipay_next: Some(Source::inline(&own.next_certificate)),
        app: Source::inline(&own.app_certificate),
        alipay: Source::inline(&own.alipay_certificate),
        root: Source::inline(&own.root_certificates),
    };
    let in_certificate_mode = way == Way::AlipayCertificate;
    AlipaySettings {
        name: "shop".to_owned(),
        mode: Mode::Test,
        app_id: own.app_id.clone(),
        seller_id: own.seller_id.clone(),
        reach: Reach { endpoint: Some(format!("{url}/gateway.do")), ..Reach::default() },
        private_key: secret(&own.private_key),
        alipay_public_key: (!in_certificate_mode).then(|| Source::inline(&own.alipay_public_key)),
        certificates: in_certificate_mode.then_some(certificates),
        consent_url: Some(format!("{url}/oauth2/publicAppAuthorize.htm")),
        content_key: None,
        bill_hosts: Vec::new(),
        fee_basis_points: None,
    }
}

fn unionpay(url: String, merchant: &sim::Merchant, way: Way) -> UnionPaySettings {
    let own = &merchant.unionpay;
    let key = secret(&own.secure_key);
    let signing = match way {
        Way::UnionPaySha256 => UnionPaySigning::Sha256 { key },
        Way::UnionPaySm3 => UnionPaySigning::Sm3 { key },
        _ => UnionPaySigning::Pem {
            private_key: secret(&own.private_key),
            certificate: Source::inline(&own.certificate),
        },
    };
    UnionPaySettings {
        name: "shop".to_owned(),
        mode: Mode::Test,
        merchant_id: own.mer_id.clone(),
        reach: Reach { endpoint: Some(url.clone()), ..Reach::default() },
        file_endpoint: Some(url),
        front_url: None,
        signing,
        root_certificate: Some(both(&own.root_certificate, &own.next_root_certificate)),
        middle_certificate: Some(both(&own.middle_certificate, &own.next_middle_certificate)),
        certificate_owner: None,
        fee_basis_points: None,
        cards: true,
    }
}
