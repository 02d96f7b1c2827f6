//! What Feat has to be told to be paid through the simulators.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::{
    AlipayKeys, AlipayMerchant, Running, UnionPayMerchant, WechatMerchant, merchant::ALIPAY_ROOTS,
};

/// What the simulators take for a payment, in hundredths of a percent.
const FEE_BASIS_POINTS: u32 = 60;

impl Running {
    /// The accounts of the first merchant, in the form of the section `payments` of Feat's settings;
    /// null without a merchant. Every key stands in it, because they are for simulators alone.
    ///
    /// WeChat Pay's apps are `official_account` and `feat_ios_app` (v2), and `official_account_v3`
    /// and `feat_ios_app_v3`; Alipay's is `web`, UnionPay's merchant `web`.
    #[must_use]
    pub fn payments(&self) -> Value {
        let Some(merchant) = self.merchant() else { return Value::Null };
        let url = self.url();
        let names = ["official_account", "feat_ios_app"];
        let apps = names.iter().zip(&merchant.wechat.apps);
        let v2 = apps.clone().map(|(name, app)| wechat(url, name, app, &merchant.wechat, "v2"));
        let v3 =
            apps.map(|(name, app)| wechat(url, &format!("{name}_v3"), app, &merchant.wechat, "v3"));
        json!({
            "wechat_pay": v2.chain(v3).collect::<Vec<_>>(),
            "alipay": [alipay(url, &merchant.alipay)],
            "unionpay": [unionpay(url, &merchant.unionpay)],
        })
    }
}

fn secret(text: &SecretString) -> Value {
    json!({ "value": text.expose_secret() })
}

fn plain(text: &str) -> Value {
    json!({ "value": text })
}

/// What is in force and what follows, in one text.
fn both(now: &str, next: &str) -> Value {
    plain(&format!("{}\n{next}", now.trim_end()))
}

/// The simulators speak without TLS. Naming a root spares every client the reading of the machine's own,
/// which takes longer than a payment.
fn reach(endpoint: &str) -> Value {
    json!({ "endpoint": endpoint, "trust_roots": plain(ALIPAY_ROOTS) })
}

fn wechat(url: &str, name: &str, app: &str, merchant: &WechatMerchant, with: &str) -> Value {
    json!({
        "name": name,
        "mode": "test",
        "app_id": app,
        "merchant_id": merchant.mchid,
        "reach": reach(url),
        "v2": {
            "api_key": secret(&merchant.api_key),
            "client_certificate": plain(&merchant.certificate),
            "client_key": secret(&merchant.private_key),
        },
        "v3": {
            "private_key": secret(&merchant.private_key),
            "certificate_serial": merchant.serial_no,
            "api_key": secret(&merchant.apiv3_key),
            "public_key": { "id": merchant.public_key_id, "key": plain(&merchant.public_key) },
            "platform_certificates": true,
        },
        "create_with": with,
        "app_secret": secret(&merchant.app_secret),
        "sign_in_endpoint": url,
        "consent_endpoint": url,
        "h5_site": { "name": "Feat", "url": "https://feat.example.com" },
        "fee_basis_points": FEE_BASIS_POINTS,
    })
}

fn alipay(url: &str, merchant: &AlipayMerchant) -> Value {
    let mut app = json!({
        "name": "web",
        "mode": "test",
        "app_id": merchant.app_id,
        "seller_id": merchant.seller_id,
        "reach": reach(&format!("{url}/gateway.do")),
        "private_key": secret(&merchant.private_key),
        "consent_url": format!("{url}/oauth2/publicAppAuthorize.htm"),
        "fee_basis_points": FEE_BASIS_POINTS,
    });
    match merchant.keys {
        AlipayKeys::PublicKey => app["alipay_public_key"] = plain(&merchant.alipay_public_key),
        AlipayKeys::Certificate => {
            app["certificates"] = json!({
                "app": plain(&merchant.app_certificate),
                "alipay": plain(&merchant.alipay_certificate),
                "alipay_next": plain(&merchant.next_certificate),
                "root": plain(&merchant.root_certificates),
            });
        }
    }
    app
}

fn unionpay(url: &str, merchant: &UnionPayMerchant) -> Value {
    json!({
        "name": "web",
        "mode": "test",
        "merchant_id": merchant.mer_id,
        "reach": reach(url),
        "file_endpoint": url,
        "signing": { "pem": {
            "private_key": secret(&merchant.private_key),
            "certificate": plain(&merchant.certificate),
        } },
        "root_certificate": both(&merchant.root_certificate, &merchant.next_root_certificate),
        "middle_certificate":
            both(&merchant.middle_certificate, &merchant.next_middle_certificate),
        "certificate_owner": merchant.owner,
        "fee_basis_points": FEE_BASIS_POINTS,
        "cards": true,
    })
}
