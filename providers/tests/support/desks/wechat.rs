//! WeChat Pay's side of both protocols.

use std::str::FromStr;

use base64::{Engine, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use providers::payment::{
    H5Site, Mode, PaymentSettings, Presentation, Source, V2SignType, WeChatPaySettings,
    WeChatPublicKey, WeChatV2Settings, WeChatV3Settings,
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use schemas::{Channel, Scene, Timestamp};
use serde_json::{Value, json};

use super::{API_KEY, PAYER, V3, hex, joined, key, map, reach, rsa};
use crate::support::{
    Reply, Seen,
    desk::{Desk, FEN, KEY, REFUND_FEN, REFUND_KEY, Story},
};

pub(crate) struct WeChatV2;

impl WeChatV2 {
    fn xml(pairs: &[(&str, &str)], forged: bool) -> String {
        let mut fields = map(pairs);
        fields.entry("mch_id".to_owned()).or_insert("1900000109".to_owned());
        fields.extend(map(&[
            ("return_code", "SUCCESS"),
            ("appid", "wxd678efh567hg6787"),
            ("nonce_str", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"),
        ]));
        fields.entry("result_code".to_owned()).or_insert("SUCCESS".to_owned());
        let text = format!("{}&key={API_KEY}", joined(&fields));
        let mut sign = hex(&Md5::digest(text.as_bytes())).to_uppercase();
        if forged {
            sign = "0".repeat(32);
        }
        fields.insert("sign".to_owned(), sign);
        let elements = fields.iter().map(|(n, v)| format!("<{n}><![CDATA[{v}]]></{n}>"));
        format!("<xml>{}</xml>", elements.collect::<Vec<_>>().concat())
    }

    fn paid(key: &str, merchant: &str, forged: bool) -> String {
        let pairs = [
            ("mch_id", merchant),
            ("trade_state", "SUCCESS"),
            ("openid", PAYER),
            ("total_fee", "8888"),
            ("fee_type", "CNY"),
            ("transaction_id", "4200002026112400001234567890"),
            ("out_trade_no", key),
            ("time_end", "20261124101600"),
        ];
        Self::xml(&pairs, forged)
    }
}

impl Desk for WeChatV2 {
    fn name(&self) -> &'static str {
        "wechat_pay v2"
    }

    fn channel(&self) -> Channel {
        Channel::WeChatPay
    }

    fn settings(&self, url: &str) -> PaymentSettings {
        let v2 = WeChatV2Settings {
            api_key: Source::inline(API_KEY),
            sign_type: V2SignType::Md5,
            client_certificate: None,
            client_key: None,
        };
        PaymentSettings { wechat_pay: vec![wechat(url, Some(v2), None)], ..Default::default() }
    }

    fn asked_scene(&self) -> (Scene, Presentation) {
        (Scene::Native, Presentation::Code)
    }

    fn answer(&self, story: Story, _: &Seen) -> Reply {
        let failed = |code| Self::xml(&[("result_code", "FAIL"), ("err_code", code)], false);
        let text = match story {
            Story::Created => Self::xml(
                &[
                    ("trade_type", "NATIVE"),
                    ("prepay_id", "wx20141027200939"),
                    ("code_url", "weixin://wxpay/bizpayurl?pr=A1b2C3"),
                    ("mweb_url", "https://wx.tenpay.com/h5?prepay_id=wx20141027200939"),
                ],
                false,
            ),
            Story::NotPaid => Self::xml(&[("trade_state", "NOTPAY"), ("out_trade_no", KEY)], false),
            Story::Paid => Self::paid(KEY, "1900000109", false),
            Story::OtherTrade => Self::paid("20261124000000000002", "1900000109", false),
            Story::Forged => Self::paid(KEY, "1900000109", true),
            Story::Missing => failed("ORDERNOTEXIST"),
            Story::RefundMissing => failed("REFUNDNOTEXIST"),
            Story::NotEnough => failed("NOTENOUGH"),
            Story::RefundTaken => Self::xml(
                &[("out_refund_no", REFUND_KEY), ("refund_id", "50000001"), ("refund_fee", "888")],
                false,
            ),
            Story::RefundDone => Self::xml(
                &[
                    ("refund_count", "1"),
                    ("out_refund_no_0", REFUND_KEY),
                    ("refund_id_0", "50000001"),
                    ("refund_fee_0", "888"),
                    ("refund_status_0", "SUCCESS"),
                    ("refund_success_time_0", "2026-11-24 11:00:00"),
                ],
                false,
            ),
        };
        Reply::text(200, &text)
    }

    fn notice(&self, merchant: Option<&str>) -> (HeaderMap, Vec<u8>) {
        let body = Self::paid(KEY, merchant.unwrap_or("1900000109"), false);
        (HeaderMap::new(), body.into_bytes())
    }

    fn acknowledgements(&self) -> [(u16, &'static str); 2] {
        [
            (
                200,
                "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>",
            ),
            (
                200,
                "<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[REFUSED]]></return_msg></xml>",
            ),
        ]
    }

    fn secrets(&self) -> Vec<String> {
        vec![API_KEY.to_owned(), PAYER.to_owned()]
    }
}

fn wechat(
    url: &str,
    v2: Option<WeChatV2Settings>,
    v3: Option<WeChatV3Settings>,
) -> WeChatPaySettings {
    WeChatPaySettings {
        name: "shop".to_owned(),
        mode: Mode::Test,
        app_id: "wxd678efh567hg6787".to_owned(),
        merchant_id: "1900000109".to_owned(),
        reach: reach(url.to_owned()),
        v2,
        v3,
        create_with: None,
        app_secret: Some(Source::inline("app-secret-app-secret")),
        sign_in_endpoint: Some(url.to_owned()),
        consent_endpoint: None,
        h5_site: Some(H5Site { name: "Shop".into(), url: "https://shop.example.test".into() }),
        fee_basis_points: None,
    }
}

pub(crate) struct WeChatV3;

impl WeChatV3 {
    /// An account that trusts the public key, or with `false` the platform certificates.
    pub(crate) fn account(url: &str, with_public_key: bool) -> PaymentSettings {
        let public_key = WeChatPublicKey {
            id: key(V3, "wechatpay_public_key_id"),
            key: Source::inline(&key(V3, "wechatpay_public_key")),
        };
        let v3 = WeChatV3Settings {
            private_key: Source::inline(&key(V3, "merchant_private_key")),
            certificate_serial: key(V3, "merchant_serial_no"),
            api_key: Source::inline(&key(V3, "apiv3_key")),
            public_key: with_public_key.then_some(public_key),
            platform_certificates: None,
        };
        PaymentSettings { wechat_pay: vec![wechat(url, None, Some(v3))], ..Default::default() }
    }

    /// An answer that platform certificate 0 signs.
    pub(crate) fn with_certificate(status: u16, body: &str) -> Reply {
        let file: Value = serde_json::from_str(V3).unwrap();
        let first = &file["keys"]["platform_certificates"][0];
        let text = |name: &str| first[name].as_str().unwrap();
        Self::sealed(status, body, text("serial_no"), text("private_key"))
    }

    fn with_public_key(status: u16, body: &str, forged: bool) -> Reply {
        let name = if forged { "stranger_private_key" } else { "wechatpay_private_key" };
        Self::sealed(status, body, &key(V3, "wechatpay_public_key_id"), &key(V3, name))
    }

    fn sealed(status: u16, body: &str, serial: &str, private: &str) -> Reply {
        let seconds = Timestamp::now().as_secs().to_string();
        let signature = rsa(private, &format!("{seconds}\nnonce\n{body}\n"));
        let headers = [
            ("Wechatpay-Timestamp", seconds.as_str()),
            ("Wechatpay-Nonce", "nonce"),
            ("Wechatpay-Serial", serial),
            ("Wechatpay-Signature", &signature),
            ("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Reply::Answer { status, headers, body: body.as_bytes().to_vec() }
    }

    fn transaction(trade: &str, state: &str, merchant: &str) -> Value {
        let mut told = json!({ "appid": "wxd678efh567hg6787", "mchid": merchant,
            "out_trade_no": trade, "trade_state": state, "trade_state_desc": "x" });
        if state == "SUCCESS" {
            told["transaction_id"] = json!("4200002026112400001234567890");
            told["success_time"] = json!("2026-11-24T10:16:00+08:00");
            told["payer"] = json!({ "openid": PAYER });
            told["amount"] = json!({ "total": FEN, "payer_total": FEN, "currency": "CNY" });
        }
        told
    }
}

impl Desk for WeChatV3 {
    fn name(&self) -> &'static str {
        "wechat_pay v3"
    }

    fn channel(&self) -> Channel {
        Channel::WeChatPay
    }

    fn settings(&self, url: &str) -> PaymentSettings {
        Self::account(url, true)
    }

    fn asked_scene(&self) -> (Scene, Presentation) {
        (Scene::Native, Presentation::Code)
    }

    fn answer(&self, story: Story, request: &Seen) -> Reply {
        if story == Story::Created && request.path.ends_with("/close") {
            return Self::with_public_key(204, "", false);
        }
        let failed = |status, code| {
            Reply::text(status, &json!({ "code": code, "message": "x" }).to_string())
        };
        let refund = |status: &str| {
            json!({ "refund_id": "50000001", "out_refund_no": REFUND_KEY, "out_trade_no": KEY,
                "status": status, "success_time": "2026-11-24T11:00:00+08:00",
                "amount": { "total": FEN, "refund": REFUND_FEN, "currency": "CNY" } })
        };
        let told = match story {
            Story::Created => json!({ "code_url": "weixin://wxpay/bizpayurl?pr=A1b2C3",
                "prepay_id": "wx20141027200939", "h5_url": "https://wx.tenpay.com/h5?a=1" }),
            Story::NotPaid => Self::transaction(KEY, "NOTPAY", "1900000109"),
            Story::Paid | Story::Forged => Self::transaction(KEY, "SUCCESS", "1900000109"),
            Story::OtherTrade => Self::transaction("20261124000000000002", "SUCCESS", "1900000109"),
            Story::Missing => return failed(404, "ORDER_NOT_EXIST"),
            Story::RefundMissing => return failed(404, "RESOURCE_NOT_EXISTS"),
            Story::NotEnough => return failed(403, "NOT_ENOUGH"),
            Story::RefundTaken => refund("PROCESSING"),
            Story::RefundDone => refund("SUCCESS"),
        };
        Self::with_public_key(200, &told.to_string(), story == Story::Forged)
    }

    fn notice(&self, merchant: Option<&str>) -> (HeaderMap, Vec<u8>) {
        use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
        let told = Self::transaction(KEY, "SUCCESS", merchant.unwrap_or("1900000109"));
        let mut sealed = told.to_string().into_bytes();
        let api_key = UnboundKey::new(&AES_256_GCM, key(V3, "apiv3_key").as_bytes()).unwrap();
        let nonce = Nonce::try_assume_unique_for_key(b"0123456789ab").unwrap();
        LessSafeKey::new(api_key)
            .seal_in_place_append_tag(nonce, Aad::from(b"transaction"), &mut sealed)
            .unwrap();
        let body = json!({ "id": "EV-1", "event_type": "TRANSACTION.SUCCESS",
            "resource_type": "encrypt-resource",
            "resource": { "algorithm": "AEAD_AES_256_GCM", "original_type": "transaction",
                "associated_data": "transaction", "nonce": "0123456789ab",
                "ciphertext": STANDARD.encode(sealed) } });
        let Reply::Answer { headers, body, .. } =
            Self::with_public_key(200, &body.to_string(), false)
        else {
            panic!("no answer")
        };
        let pair = |(name, value): (String, String)| {
            (HeaderName::from_str(&name).unwrap(), HeaderValue::from_str(&value).unwrap())
        };
        (headers.into_iter().map(pair).collect(), body)
    }

    fn acknowledgements(&self) -> [(u16, &'static str); 2] {
        [(204, ""), (400, "{\"code\":\"FAIL\",\"message\":\"refused\"}")]
    }

    fn secrets(&self) -> Vec<String> {
        vec![key(V3, "apiv3_key"), PAYER.to_owned()]
    }
}
