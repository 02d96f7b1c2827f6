//! UnionPay's side.

use std::collections::BTreeMap;

use providers::payment::{
    Mode, PaymentSettings, Presentation, Source, UnionPaySettings, UnionPaySigning,
};
use reqwest::header::HeaderMap;
use schemas::{Channel, Scene};

use super::{UNIONPAY, hex, joined, key, map, reach, rsa};
use crate::support::{
    Reply, Seen,
    desk::{Desk, KEY, Story},
};

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
            fee_basis_points: None,
            cards: false,
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
                pairs.extend([("respCode", "00"), ("queryId", "741126112411000054321")]);
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
        [(200, "ok"), (400, "fail")]
    }

    fn secrets(&self) -> Vec<String> {
        vec!["6216***********0018".to_owned()]
    }
}
