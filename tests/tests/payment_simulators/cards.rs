//! UnionPay's cards without its page.

use std::time::Duration;

use providers::payment::{
    Call, Card, CardAsk, CardState, Charge, Gateways, News, Order, Presentation, ProviderError,
    RawNotify, TradeState,
};
use schemas::{Channel, Scene, card::CardNumber};
use sim::{Act, Fault, Provider, TEST_CARDS, TEST_CODE, TestCard};
use tests::eventually;

use crate::{
    accounts::accounts,
    shop::{Shop, Way},
};

/// UnionPay signs to merchants in three ways, and encrypts for those with certificates alone.
const WAYS: [Way; 3] = [Way::UnionPayCertificate, Way::UnionPaySha256, Way::UnionPaySm3];

fn card(test: &TestCard) -> Card {
    Card::new(CardNumber::read(test.number).unwrap(), Some(test.phone.into()))
}

fn open() -> &'static TestCard {
    TEST_CARDS.iter().find(|card| card.opened && card.declines_with.is_none()).unwrap()
}

impl Shop {
    async fn look_at(&self, key: &str, test: &TestCard) -> Result<CardState, ProviderError> {
        let asked = CardAsk { key: key.parse().unwrap(), at: self.now(), card: card(test) };
        self.gateway.look_at_card(&asked, &mut Call::default()).await
    }

    /// Has a code sent for a new order.
    async fn with_code(&self, key: &str, test: &TestCard) -> Order {
        let order = self.order(key, Scene::Native, Presentation::Page);
        let mut order = Order { card: Some(card(test)), ..order };
        order.trade.card = true;
        let created = self.create(&order).await;
        assert_eq!(created.client["payment"]["id"], key);
        order
    }

    async fn charge(
        &self,
        order: &Order,
        test: &TestCard,
        code: &str,
    ) -> Result<(), ProviderError> {
        let charge = Charge {
            trade: order.trade.clone(),
            amount: order.amount,
            notify_url: order.notify_url.clone(),
            card: card(test),
            code: code.into(),
        };
        self.gateway.charge(&charge, &mut Call::default()).await
    }
}

#[tokio::test]
async fn a_card_is_charged_once_however_its_merchant_signs() {
    for way in WAYS {
        println!("{way:?}");
        let shop = Shop::open(way).await;
        let standing = shop.look_at("20261124000000000010", open()).await.unwrap();
        assert_eq!(standing, CardState::Open(Some("135****5506".to_owned())));
        let closed = TEST_CARDS.iter().find(|card| !card.opened).unwrap();
        let standing = shop.look_at("20261124000000000011", closed).await.unwrap();
        assert_eq!(standing, CardState::NotOpen);

        let order = shop.with_code("20261124000000000001", open()).await;
        assert_eq!(shop.state(&order).await, TradeState::NotFound, "a code is no trade");
        shop.charge(&order, open(), TEST_CODE).await.unwrap();
        let again = shop.charge(&order, open(), TEST_CODE).await;
        assert_eq!(again, Err(ProviderError::Conflict("12".to_owned())));
        let TradeState::Paid(payment) = shop.state(&order).await else { panic!("not paid") };
        assert_eq!(payment.amount, order.amount);
        assert_eq!(shop.moved(way), (8_888, 0));

        let refund = shop.refund_order(&order, "20261124000000000001R1", 888);
        shop.gateway.refund(&refund, &mut Call::default()).await.unwrap();
        assert_eq!(shop.refund_done(&refund.refund).await, Some(888));
    }
}

#[tokio::test]
async fn what_a_refused_charge_was_is_told_by_answer_notice_and_question() {
    let shop = Shop::open(Way::UnionPayCertificate).await;
    let poor = TEST_CARDS.iter().find(|card| card.declines_with == Some("64")).unwrap();
    let cases = [
        ("20261124000000000001", open(), "654321", "71"),
        ("20261124000000000002", poor, TEST_CODE, "64"),
    ];
    for (key, test, code, refusal) in cases {
        let order = shop.with_code(key, test).await;
        let refused = shop.charge(&order, test, code).await;
        assert_eq!(refused, Err(ProviderError::Refused(refusal.to_owned())));
        assert_eq!(shop.state(&order).await, TradeState::Closed, "{refusal}");
        let told = eventually("a notice of the failure", Duration::from_secs(30), async || {
            let all = shop.inbox.arrived();
            all.into_iter().find(|one| String::from_utf8_lossy(&one.body).contains(key))
        })
        .await;
        let raw = RawNotify { headers: &told.headers, body: &told.body };
        let notice = shop.gateway.read_notify(raw).await.unwrap();
        let about = order.trade.key.clone();
        assert_eq!(notice.news, News::Trade { key: about, state: TradeState::NotPaid });
        assert!(notice.confirm_by_query, "{refusal}");
    }
    assert_eq!(shop.moved(Way::UnionPayCertificate), (0, 0));
}

#[tokio::test]
async fn without_a_certificate_to_encrypt_with_nothing_is_sent() {
    for act in [Act::ErrorBefore, Act::DropAfter, Act::BadSignature, Act::Garbage] {
        let shop = Shop::open(Way::UnionPayCertificate).await;
        let name = format!("{act:?}");
        shop.sim.fault(Fault::once("unionpay.back.certificate", act)).unwrap();
        let order = shop.order("20261124000000000001", Scene::Native, Presentation::Page);
        let order = Order { card: Some(card(open())), ..order };
        let mut call = Call::default();
        let lost = shop.gateway.create(&order, &mut call).await;
        let reason = "encryption_certificate";
        assert!(
            matches!(lost, Err(ProviderError::NotSent { reason: why, .. }) if why == reason),
            "{name}: {lost:?}"
        );
        assert_eq!(call.trail.exchanges.len(), 1, "{name}: only the certificate was asked for");
        // The same call later is safe.
        shop.create(&order).await;
        shop.charge(&order, open(), TEST_CODE).await.unwrap();
        assert_eq!(shop.moved(Way::UnionPayCertificate), (8_888, 0), "{name}");
    }
}

#[tokio::test]
async fn the_certificate_before_encrypts_while_unionpay_changes_it() {
    let shop = Shop::open(Way::UnionPayCertificate).await;
    let order = shop.with_code("20261124000000000001", open()).await;
    shop.sim.rotate_keys(Provider::UnionPay);
    shop.charge(&order, open(), TEST_CODE).await.unwrap();

    // Who begins after the change gets the new one.
    let gateways = Gateways::open(&accounts(&shop.sim, Way::UnionPayCertificate)).unwrap();
    let fresh = gateways.first(Channel::UnionPay).unwrap();
    let key = "20261124000000000012".parse().unwrap();
    let asked = CardAsk { key, at: shop.now(), card: card(open()) };
    assert!(fresh.look_at_card(&asked, &mut Call::default()).await.is_ok());
}

#[tokio::test]
async fn an_account_that_takes_no_cards_sends_nothing_about_one() {
    let shop = Shop::open(Way::AlipayPublicKey).await;
    assert!(!shop.gateway.takes_cards());
    let refusal = ProviderError::Refused("cards_not_offered".to_owned());
    let looked = shop.look_at("20261124000000000010", open()).await;
    assert_eq!(looked, Err(refusal.clone()));
    let order = shop.order("20261124000000000001", Scene::Native, Presentation::Code);
    let order = Order { card: Some(card(open())), ..order };
    let mut call = Call::default();
    assert_eq!(shop.gateway.create(&order, &mut call).await, Err(refusal.clone()));
    assert_eq!(shop.charge(&order, open(), TEST_CODE).await, Err(refusal));
    assert_eq!(call.trail.exchanges, [], "nothing was sent");
}
