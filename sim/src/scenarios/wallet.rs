//! The shop's side of cards without redirect: what it encrypts, and its requests.

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{Fields, World, fields, shop::Heard};
use crate::{
    TestCard,
    clock::digits,
    crypto::{Certificate, PublicKey},
};

pub(super) const BACK: &str = "/gateway/api/backTransReq.do";
pub(super) const FRONT: &str = "/gateway/api/frontTransReq.do";
pub(super) const QUERY: &str = "/gateway/api/queryTrans.do";

/// The test cards by what they are for.
pub(super) const DEBIT: TestCard = crate::TEST_CARDS[0];
pub(super) const CREDIT: TestCard = crate::TEST_CARDS[1];
pub(super) const POOR: TestCard = crate::TEST_CARDS[2];
pub(super) const DECLINED: TestCard = crate::TEST_CARDS[3];

/// An encryption certificate.
pub(super) struct Sealer {
    pub(super) key: PublicKey,
    pub(super) id: String,
}

impl Sealer {
    pub(super) fn of(pem: &str) -> Self {
        let certificate = Certificate::from_pem(pem).unwrap();
        Self { key: certificate.key, id: certificate.serial_decimal }
    }

    pub(super) fn seal(&self, plain: &str) -> String {
        self.key.encrypt_pkcs1(plain.as_bytes()).unwrap()
    }

    /// `customerInfo` with these names in plain and those encrypted.
    pub(super) fn holder(&self, plain: &[(&str, &str)], secret: &[(&str, &str)]) -> String {
        let mut pairs = joined(plain);
        if !secret.is_empty() {
            pairs.push(format!("encryptedInfo={}", self.seal(&joined(secret).join("&"))));
        }
        packed(&pairs.join("&"))
    }
}

fn joined(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// A group as `customerInfo`.
pub(super) fn packed(group: &str) -> String {
    BASE64_STANDARD.encode(format!("{{{group}}}"))
}

/// The fields of a notification.
pub(super) fn notice(heard: &Heard) -> Fields {
    form_urlencoded::parse(heard.body.as_bytes()).into_owned().collect()
}

impl World {
    /// The encryption certificate of the start.
    pub(super) fn sealer(&self) -> Sealer {
        Sealer::of(&self.shop.merchant.unionpay.encrypt_certificate)
    }

    /// What every request with a card has.
    pub(super) fn card(&self, kind: &str, sub: &str, order: &str, card: &TestCard) -> Fields {
        let sealer = self.sealer();
        fields([
            ("txnType", kind),
            ("txnSubType", sub),
            ("bizType", "000301"),
            ("channelType", "07"),
            ("orderId", order),
            ("txnTime", &digits(self.sim.now())),
            ("encryptCertId", &sealer.id),
            ("accNo", &sealer.seal(card.number)),
        ])
    }

    /// A text message for a payment.
    pub(super) fn card_text(&self, order: &str, card: &TestCard, fen: &str) -> Fields {
        let mut request = self.card("77", "02", order, card);
        let holder = self.sealer().holder(&[], &[("phoneNo", card.phone)]);
        let more = [("customerInfo", holder.as_str()), ("txnAmt", fen), ("currencyCode", "156")];
        request.extend(fields(more));
        request
    }

    /// A payment with the code of the message before.
    pub(super) fn card_pay(&self, order: &str, card: &TestCard, fen: &str) -> Fields {
        let mut request = self.card("01", "01", order, card);
        let holder = packed("smsCode=111111");
        request.extend(fields([
            ("customerInfo", holder.as_str()),
            ("txnAmt", fen),
            ("currencyCode", "156"),
            ("backUrl", &self.shop.url("unionpay")),
        ]));
        request
    }

    /// The answer to a back transaction.
    pub(super) async fn back(&self, request: &Fields) -> Fields {
        self.unionpay(BACK, request.clone()).await
    }

    /// Sends the message for `payment` and pays.
    pub(super) async fn text_and_pay(&self, order: &str, card: &TestCard, fen: &str) -> Fields {
        let sent = self.back(&self.card_text(order, card, fen)).await;
        assert_eq!(sent["respCode"], "00", "{sent:?}");
        self.back(&self.card_pay(order, card, fen)).await
    }

    /// What a query tells of the transaction that `request` was.
    pub(super) async fn told(&self, request: &Fields) -> Fields {
        let (order, time) = (request["orderId"].as_str(), request["txnTime"].as_str());
        let question = fields([
            ("txnType", "00"),
            ("txnSubType", "00"),
            ("bizType", "000301"),
            ("orderId", order),
            ("txnTime", time),
        ]);
        self.unionpay(QUERY, question).await
    }
}
