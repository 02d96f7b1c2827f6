//! Alipay's side.

use providers::payment::{AlipaySettings, Mode, PaymentSettings, Presentation, Source};
use reqwest::header::HeaderMap;
use schemas::{Channel, Scene};
use serde_json::{Value, json};

use super::{ALIPAY, PAYER, joined, key, map, reach, rsa};
use crate::support::{
    Reply, Seen,
    desk::{Desk, KEY, REFUND_KEY, Story},
};

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
            fee_basis_points: None,
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
