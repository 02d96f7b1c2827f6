//! Every payment protocol against the strict simulators, which share no code with it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod accounts;
mod bills;
mod cards;
mod rotation;
mod shop;

use std::time::Duration;

use providers::payment::{
    Call, News, Presentation, ProviderError, RawNotify, RefundState, TradeState,
};
use schemas::Scene;
use sim::{Act, Fault};
use tests::eventually;

use self::shop::{Shop, WAYS, Way};

#[tokio::test]
async fn a_trade_is_paid_and_partly_returned_in_every_protocol() {
    for way in WAYS {
        println!("{way:?}");
        let shop = Shop::open(way).await;
        let order = shop.order("20261124000000000001", Scene::Native, Presentation::Code);
        let created = shop.create(&order).await;
        let before = shop.state(&order).await;
        assert!(
            matches!(before, TradeState::NotPaid | TradeState::NotFound | TradeState::Paying),
            "{before:?}"
        );

        shop.sim.approve(created.code.as_deref().unwrap()).unwrap();
        let TradeState::Paid(payment) = shop.state(&order).await else { panic!("not paid") };
        assert_eq!(payment.amount, order.amount);

        let arrived = eventually("a notice", Duration::from_secs(30), async || {
            shop.inbox.arrived().first().cloned()
        })
        .await;
        let raw = RawNotify { headers: &arrived.headers, body: &arrived.body };
        let notice = shop.gateway.read_notify(raw).await.unwrap();
        let News::Trade { key, state: TradeState::Paid(told) } = notice.news else {
            panic!("{notice:?}")
        };
        assert_eq!((&key, &told.transaction_id), (&order.trade.key, &payment.transaction_id));

        let refund = shop.refund_order(&order, "20261124000000000001R1", 888);
        for _ in 0..2 {
            let mut call = Call::default();
            match shop.gateway.refund(&refund, &mut call).await {
                // UnionPay says that it has the number already.
                Ok(_) | Err(ProviderError::Conflict(_)) => {}
                Err(error) => panic!("{error}: {:#?}", call.trail),
            }
        }
        assert_eq!(shop.refund_done(&refund.refund).await, Some(888));
        assert_eq!(shop.moved(way), (8_888, 888));
    }
}

#[tokio::test]
async fn what_a_client_app_is_given_is_signed_as_the_provider_wants_it() {
    let scenes = [
        (Way::WeChatV2, Scene::App),
        (Way::WeChatV2, Scene::Jsapi),
        (Way::WeChatV3Certificate, Scene::App),
        (Way::WeChatV3Certificate, Scene::Jsapi),
        (Way::AlipayPublicKey, Scene::App),
        (Way::AlipayCertificate, Scene::App),
        (Way::UnionPayCertificate, Scene::App),
    ];
    for (way, scene) in scenes {
        println!("{way:?} {scene:?}");
        let shop = Shop::open(way).await;
        let order = shop.order("20261124000000000001", scene, Presentation::Page);
        let created = shop.create(&order).await;
        let mut client = created.client.clone();
        // The simulators' library takes the order string under this name.
        if let Some(text) = client.get("order_string").cloned() {
            client = text;
        }
        let paid = shop.sim.pay_in_app(way.provider(), &client);
        assert!(paid.is_ok(), "{paid:?}");
        assert!(matches!(shop.state(&order).await, TradeState::Paid(_)));
    }
}

#[tokio::test]
async fn a_lost_answer_moves_money_once() {
    for way in WAYS {
        for act in [Act::DropAfter, Act::ErrorAfter, Act::BadSignature, Act::Garbage] {
            println!("{way:?} {act:?}");
            let shop = Shop::open(way).await;
            let order = shop.paid("20261124000000000001").await;
            let refund = shop.refund_order(&order, "20261124000000000001R1", 888);
            shop.sim.fault(Fault::once(way.refund_call(), act)).unwrap();
            let lost = shop.gateway.refund(&refund, &mut Call::default()).await;
            assert!(matches!(lost, Err(ProviderError::OutcomeUnknown(_))), "{lost:?}");

            assert_eq!(shop.refund_done(&refund.refund).await, Some(888));
            assert_eq!(shop.moved(way), (8_888, 888));
        }
    }
}

#[tokio::test]
async fn a_request_that_was_lost_on_its_way_is_not_found() {
    for way in WAYS {
        println!("{way:?}");
        let shop = Shop::open(way).await;
        let order = shop.paid("20261124000000000001").await;
        let refund = shop.refund_order(&order, "20261124000000000001R1", 888);
        shop.sim.fault(Fault::once(way.refund_call(), Act::DropBefore)).unwrap();
        let lost = shop.gateway.refund(&refund, &mut Call::default()).await;
        assert!(matches!(lost, Err(ProviderError::OutcomeUnknown(_))), "{lost:?}");

        let asked = shop.gateway.query_refund(&refund.refund, &mut Call::default()).await;
        assert_eq!(asked.unwrap().state, RefundState::NotFound);
        assert_eq!(shop.moved(way), (8_888, 0));
    }
}
