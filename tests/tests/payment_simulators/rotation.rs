//! Providers change the keys that they sign with.

use std::time::Duration;

use providers::payment::{Call, Gateways, ProviderError, RawNotify, Source, TradeState};
use sim::Provider;
use tests::eventually;

use crate::{
    accounts::accounts,
    shop::{Shop, Way},
};

#[tokio::test]
async fn a_changed_platform_certificate_is_fetched() {
    let shop = Shop::open(Way::WeChatV3Certificate).await;
    let order = shop.paid("20261124000000000001").await;
    shop.sim.rotate_keys(Provider::Wechat);
    // The new serial is looked up once; until the pause between two looks is over the answer is
    // not believed, and asking again is safe.
    let state = eventually("the new key is known", Duration::from_mins(1), async || {
        shop.gateway.query(&order.trade, &mut Call::default()).await.ok()
    })
    .await;
    assert!(matches!(state, TradeState::Paid(_)));
}

#[tokio::test]
async fn a_certificate_that_follows_is_believed_beside_the_one_in_force() {
    for way in [Way::AlipayCertificate, Way::UnionPayCertificate] {
        println!("{way:?}");
        let shop = Shop::open(way).await;
        let order = shop.paid("20261124000000000001").await;
        let mut alone = accounts(&shop.sim, way);
        for app in &mut alone.alipay {
            app.certificates.as_mut().unwrap().alipay_next = None;
        }
        let own = &shop.sim.merchant().unwrap().unionpay;
        for merchant in &mut alone.unionpay {
            merchant.root_certificate = Some(Source::inline(&own.root_certificate));
            merchant.middle_certificate = Some(Source::inline(&own.middle_certificate));
        }
        let alone = Gateways::open(&alone).unwrap();
        let alone = alone.first(way.channel()).unwrap();
        assert!(alone.query(&order.trade, &mut Call::default()).await.is_ok());

        shop.sim.rotate_keys(way.provider());
        assert!(matches!(shop.state(&order).await, TradeState::Paid(_)));
        let lost = alone.query(&order.trade, &mut Call::default()).await;
        assert!(matches!(lost, Err(ProviderError::OutcomeUnknown(_))), "{lost:?}");
        let number = shop.paid("20261124000000000002").await.trade.key;
        let told = eventually("a notice by the new key", Duration::from_secs(30), async || {
            let all = shop.inbox.arrived();
            all.into_iter().find(|one| String::from_utf8_lossy(&one.body).contains(number.as_str()))
        })
        .await;
        let raw = RawNotify { headers: &told.headers, body: &told.body };
        assert!(shop.gateway.read_notify(raw).await.is_ok());
        assert!(alone.read_notify(raw).await.is_err(), "it does not know that key");

        shop.sim.rotate_keys(way.provider());
        assert!(matches!(shop.state(&order).await, TradeState::Paid(_)), "and back");
    }
}
