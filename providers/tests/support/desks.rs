//! The providers' side of each protocol, signing with the keys of the vectors. Nothing here is
//! shared with the code under test.

use aws_lc_rs::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use base64::{Engine, engine::general_purpose::STANDARD};
use md5::{Digest as _, Md5};
use providers::payment::{
    AlipaySettings, H5Site, Mode, PaymentSettings, Presentation, Reach, Source, UnionPaySettings,
    UnionPaySigning, V2SignType, WeChatPaySettings, WeChatPublicKey, WeChatV2Settings,
    WeChatV3Settings,
};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use schemas::{Channel, Scene, Timestamp};
use serde_json::{Value, json};
use std::{collections::BTreeMap, str::FromStr};

use super::{
    Reply, Seen,
    desk::{Desk, FEN, KEY, REFUND_FEN, REFUND_KEY, Story},
};

const V2: &str = include_str!("../vectors/wechat_v2.json");
const V3: &str = include_str!("../vectors/wechat_v3.json");
const ALIPAY: &str = include_str!("../vectors/alipay.json");
const UNIONPAY: &str = include_str!("../vectors/unionpay.json");

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

pub(crate) struct WeChatV2;

impl WeChatV2 {
    fn xml(&self, pairs: &[(&str, &str)], forged: bool) -> String {
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

    fn paid(&self, key: &str, merchant: &str, forged: bool) -> String {
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
        self.xml(&pairs, forged)
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
        let failed = |code| self.xml(&[("result_code", "FAIL"), ("err_code", code)], false);
        let text = match story {
            Story::Created => self.xml(
                &[
                    ("trade_type", "NATIVE"),
                    ("prepay_id", "wx20141027200939"),
                    ("code_url", "weixin://wxpay/bizpayurl?pr=A1b2C3"),
                    ("mweb_url", "https://wx.tenpay.com/h5?prepay_id=wx20141027200939"),
                ],
                false,
            ),
            Story::NotPaid => self.xml(&[("trade_state", "NOTPAY"), ("out_trade_no", KEY)], false),
            Story::Paid => self.paid(KEY, "1900000109", false),
            Story::OtherTrade => self.paid("20261124000000000002", "1900000109", false),
            Story::Forged => self.paid(KEY, "1900000109", true),
            Story::Missing => failed("ORDERNOTEXIST"),
            Story::RefundMissing => failed("REFUNDNOTEXIST"),
            Story::NotEnough => failed("NOTENOUGH"),
            Story::RefundTaken => self.xml(
                &[("out_refund_no", REFUND_KEY), ("refund_id", "50000001"), ("refund_fee", "888")],
                false,
            ),
            Story::RefundDone => self.xml(
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
        let body = self.paid(KEY, merchant.unwrap_or("1900000109"), false);
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
        [(204, ""), (500, "{\"code\":\"FAIL\",\"message\":\"refused\"}")]
    }

    fn secrets(&self) -> Vec<String> {
        vec![key(V3, "apiv3_key"), PAYER.to_owned()]
    }
}

pub(crate) struct Alipay;

impl Alipay {
    fn node(request: &Seen, told: &Value, forged: bool) -> Reply {
        let method = form_urlencoded::parse(request.body.as_bytes())
            .find(|(name, _)| name == "method")
            .map(|(_, value)| value.into_owned())
            .unwrap();
        // As the real one does now and then: other bytes than a printer of JSON would make.
        let text = told.to_string().replace('/', "\\/");
        let name = if forged { "stranger_private_key" } else { "alipay_private_key" };
        let signature = rsa(&key(ALIPAY, name), &text);
        let node = method.replace('.', "_");
        Reply::text(200, &format!("{{\"{node}_response\":{text},\"sign\":\"{signature}\"}}"))
    }

    fn trade(trade: &str, state: &str) -> Value {
        let mut told = json!({ "code": "10000", "msg": "Success", "out_trade_no": trade, "trade_status": state });
        if state == "TRADE_SUCCESS" {
            told["trade_no"] = json!("2026112422001434940500000001");
            told["total_amount"] = json!("88.88");
            told["send_pay_date"] = json!("2026-11-24 10:16:00");
            told["buyer_open_id"] = json!(PAYER);
        }
        told
    }
}

impl Desk for Alipay {
    fn name(&self) -> &'static str {
        "alipay"
    }

    fn channel(&self) -> Channel {
        Channel::Alipay
    }

    fn settings(&self, url: &str) -> PaymentSettings {
        let alipay = AlipaySettings {
            name: "shop".to_owned(),
            mode: Mode::Test,
            app_id: key(ALIPAY, "app_id"),
            seller_id: key(ALIPAY, "seller_id"),
            reach: reach(format!("{url}/gateway.do")),
            private_key: Source::inline(&key(ALIPAY, "app_private_key_pkcs8")),
            alipay_public_key: Some(Source::inline(&key(ALIPAY, "alipay_public_key"))),
            certificates: None,
            consent_url: None,
            content_key: None,
            bill_hosts: Vec::new(),
        };
        PaymentSettings { alipay: vec![alipay], ..Default::default() }
    }

    fn asked_scene(&self) -> (Scene, Presentation) {
        (Scene::Native, Presentation::Code)
    }

    fn answer(&self, story: Story, request: &Seen) -> Reply {
        let failed =
            |code| json!({ "code": "40004", "msg": "x", "sub_code": code, "sub_msg": "x" });
        let told = match story {
            Story::Created => json!({ "code": "10000", "out_trade_no": KEY,
                "trade_no": "2026112422001434940500000001",
                "qr_code": "https://qr.alipay.com/bavh4wjlxf12tper3a" }),
            Story::NotPaid => Self::trade(KEY, "WAIT_BUYER_PAY"),
            Story::Paid | Story::Forged => Self::trade(KEY, "TRADE_SUCCESS"),
            Story::OtherTrade => Self::trade("20261124000000000002", "TRADE_SUCCESS"),
            Story::Missing => failed("ACQ.TRADE_NOT_EXIST"),
            Story::NotEnough => failed("ACQ.SELLER_BALANCE_NOT_ENOUGH"),
            Story::RefundMissing => json!({ "code": "10000", "msg": "Success" }),
            Story::RefundTaken => json!({ "code": "10000", "out_trade_no": KEY,
                "fund_change": "N", "refund_fee": "8.88" }),
            Story::RefundDone => json!({ "code": "10000", "out_trade_no": KEY,
                "out_request_no": REFUND_KEY, "refund_status": "REFUND_SUCCESS",
                "refund_amount": "8.88", "gmt_refund_pay": "2026-11-24 11:00:00" }),
        };
        Self::node(request, &told, story == Story::Forged)
    }

    fn notice(&self, merchant: Option<&str>) -> (HeaderMap, Vec<u8>) {
        let seller = key(ALIPAY, "seller_id");
        let app = key(ALIPAY, "app_id");
        let mut fields = map(&[
            ("notify_id", "2026112400222101601034940500000001"),
            ("app_id", &app),
            ("seller_id", merchant.unwrap_or(&seller)),
            ("out_trade_no", KEY),
            ("trade_no", "2026112422001434940500000001"),
            ("trade_status", "TRADE_SUCCESS"),
            ("total_amount", "88.88"),
            ("gmt_payment", "2026-11-24 10:16:00"),
            ("buyer_open_id", PAYER),
            ("charset", "utf-8"),
        ]);
        let signature = rsa(&key(ALIPAY, "alipay_private_key"), &joined(&fields));
        fields.extend(map(&[("sign", &signature), ("sign_type", "RSA2")]));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
        (HeaderMap::new(), body.into_bytes())
    }

    fn acknowledgements(&self) -> [(u16, &'static str); 2] {
        [(200, "success"), (200, "fail")]
    }

    fn secrets(&self) -> Vec<String> {
        vec![PAYER.to_owned()]
    }
}

pub(crate) struct UnionPay;

impl UnionPay {
    fn signed(pairs: &[(&str, &str)], forged: bool) -> BTreeMap<String, String> {
        let mut fields = map(pairs);
        let certificate = key(UNIONPAY, "unionpay_sign_certificate");
        fields.extend(map(&[
            ("version", "5.1.0"),
            ("encoding", "UTF-8"),
            ("signMethod", "01"),
            ("signPubKeyCert", &certificate),
        ]));
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, joined(&fields).as_bytes());
        let name = if forged { "self_signed_private_key" } else { "unionpay_sign_private_key" };
        let signature = rsa(&key(UNIONPAY, name), &hex(digest.as_ref()));
        fields.insert("signature".to_owned(), signature);
        fields
    }
}

impl Desk for UnionPay {
    fn name(&self) -> &'static str {
        "unionpay"
    }

    fn channel(&self) -> Channel {
        Channel::UnionPay
    }

    fn settings(&self, url: &str) -> PaymentSettings {
        let source = |name: &str| Source::inline(&key(UNIONPAY, name));
        let unionpay = UnionPaySettings {
            name: "shop".to_owned(),
            mode: Mode::Test,
            merchant_id: key(UNIONPAY, "merchant_id"),
            reach: reach(url.to_owned()),
            file_endpoint: Some(url.to_owned()),
            front_url: None,
            signing: UnionPaySigning::Pfx {
                file: source("merchant_pfx_base64"),
                password: source("merchant_pfx_password"),
            },
            root_certificate: Some(source("root_certificate")),
            middle_certificate: Some(source("middle_certificate")),
            certificate_owner: None,
        };
        PaymentSettings { unionpay: vec![unionpay], ..Default::default() }
    }

    fn asked_scene(&self) -> (Scene, Presentation) {
        (Scene::App, Presentation::Page)
    }

    fn answer(&self, story: Story, request: &Seen) -> Reply {
        let sent: BTreeMap<_, _> =
            form_urlencoded::parse(request.body.as_bytes()).into_owned().collect();
        let echo = |name: &str| sent.get(name).map(String::as_str).unwrap_or_default();
        let is_query = request.path.ends_with("/queryTrans.do");
        let mut pairs = vec![
            ("merId", echo("merId")),
            ("orderId", echo("orderId")),
            ("txnTime", echo("txnTime")),
            ("respMsg", "成功[0000000]"),
        ];
        let paid = [
            ("respCode", "00"),
            ("origRespCode", "00"),
            ("bizType", "000201"),
            ("queryId", "741126112410153012345"),
            ("txnAmt", "8888"),
            ("currencyCode", "156"),
            ("accNo", "6216***********0018"),
        ];
        let refunded = [
            ("respCode", "00"),
            ("origRespCode", "00"),
            ("txnAmt", "888"),
            ("queryId", "741126112411000054321"),
        ];
        match story {
            Story::Created => pairs.extend([
                ("respCode", "00"),
                ("tn", "741126112410153000001"),
                ("qrCode", "https://qr.95516.com/00010000/6221"),
            ]),
            Story::NotPaid => pairs.extend([("respCode", "00"), ("origRespCode", "77")]),
            Story::Paid | Story::Forged => pairs.extend(paid),
            Story::OtherTrade => {
                pairs.retain(|(name, _)| *name != "orderId");
                pairs.push(("orderId", "20261124000000000002"));
                pairs.extend(paid);
            }
            Story::Missing | Story::RefundMissing => pairs.push(("respCode", "34")),
            Story::RefundTaken | Story::NotEnough if is_query => pairs.extend(paid),
            Story::RefundTaken => {
                pairs.extend([("respCode", "00"), ("queryId", "741126112411000054321")])
            }
            Story::NotEnough => pairs.push(("respCode", "06")),
            Story::RefundDone => pairs.extend(refunded),
        }
        Reply::text(200, &joined(&Self::signed(&pairs, story == Story::Forged)))
    }

    fn notice(&self, merchant: Option<&str>) -> (HeaderMap, Vec<u8>) {
        let own = key(UNIONPAY, "merchant_id");
        let fields = Self::signed(
            &[
                ("merId", merchant.unwrap_or(&own)),
                ("orderId", KEY),
                ("txnTime", "20261124101530"),
                ("txnType", "01"),
                ("respCode", "00"),
                ("queryId", "741126112410153012345"),
                ("txnAmt", "8888"),
                ("currencyCode", "156"),
                ("settleAmt", "8888"),
                ("settleCurrencyCode", "156"),
            ],
            false,
        );
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
        (HeaderMap::new(), body.into_bytes())
    }

    fn acknowledgements(&self) -> [(u16, &'static str); 2] {
        [(200, "ok"), (500, "fail")]
    }

    fn secrets(&self) -> Vec<String> {
        vec!["6216***********0018".to_owned()]
    }
}
