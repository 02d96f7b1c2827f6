//! WeChat Pay's refunds of the XML protocol, before a server that asks for the merchant's
//! certificate.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use providers::payment::{
    Call, Gateway, Gateways, H5Site, Mode, Order, PaymentSettings, Presentation, ProviderError,
    Reach, RefundOrder, RefundRef, Source, TradeRef, V2SignType, WeChatPaySettings,
    WeChatV2Settings,
};
use schemas::{Channel, Fen, Scene, Timestamp};
use secrecy::ExposeSecret;
use sim::{Quotas, Running, Settings};
use tests::front::Front;

fn gateway(sim: &Running, front: &Front, with_certificate: bool) -> Gateway {
    let own = &sim.merchant().expect("a merchant").wechat;
    let key = own.private_key.expose_secret();
    let certificate = front.client(&own.mchid, key);
    let given = |text: &str| with_certificate.then(|| Source::inline(text));
    let app = WeChatPaySettings {
        name: "official_account".to_owned(),
        mode: Mode::Test,
        app_id: own.apps[0].clone(),
        merchant_id: own.mchid.clone(),
        reach: Reach {
            endpoint: Some(front.url.clone()),
            trust_roots: Some(Source::inline(&front.authority())),
            ..Reach::default()
        },
        v2: Some(WeChatV2Settings {
            api_key: Source::inline(own.api_key.expose_secret()),
            sign_type: V2SignType::Md5,
            client_certificate: given(&certificate),
            client_key: given(key),
        }),
        v3: None,
        create_with: None,
        app_secret: None,
        fee_basis_points: None,
        sign_in_endpoint: None,
        consent_endpoint: None,
        h5_site: Some(H5Site { name: "Shop".into(), url: "https://shop.example.test".into() }),
    };
    let settings = PaymentSettings { wechat_pay: vec![app], ..PaymentSettings::default() };
    let gateways = Gateways::open(&settings).expect("accounts");
    gateways.first(Channel::WeChatPay).expect("the account").clone()
}

fn order() -> Order {
    let now = Timestamp::now();
    Order {
        trade: TradeRef {
            key: "20261124000000000001".parse().expect("key"),
            begun_at: now,
            transaction_id: None,
            card: false,
        },
        scene: Scene::Native,
        presentation: Presentation::Code,
        amount: Fen::new(8_888).expect("sum"),
        subject: "tea".to_owned(),
        expires_at: now + Duration::from_mins(15),
        notify_url: "http://127.0.0.1:9/".to_owned(),
        return_url: None,
        payer_ip: None,
        payer: None,
        card: None,
    }
}

#[tokio::test]
async fn a_refund_shows_the_merchants_certificate_and_nothing_else_does() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut settings = Settings::fixture().expect("fixtures");
    settings.quotas = Quotas::unlimited();
    let sim = sim::start(settings).await.expect("simulators");
    let front = Front::start(sim.addresses()[0].to_string(), "/secapi/").await;
    let order = order();
    let shop = gateway(&sim, &front, true);
    let created = shop.create(&order, &mut Call::default()).await.expect("a trade");
    sim.approve(created.code.as_deref().expect("a code")).expect("the payer pays");
    assert!(front.shown().is_empty(), "orders are made without it");

    let refund = RefundOrder {
        refund: RefundRef {
            trade: order.trade.clone(),
            key: "20261124000000000001R1".parse().expect("key"),
            begun_at: Timestamp::now(),
        },
        paid: order.amount,
        amount: Fen::new(888).expect("sum"),
        reason: None,
        notify_url: None,
    };
    let without = gateway(&sim, &front, false);
    let refused = without.refund(&refund, &mut Call::default()).await;
    assert!(matches!(refused, Err(ProviderError::Misconfigured(_))), "{refused:?}");
    let mut call = Call::default();
    let taken = shop.refund(&refund, &mut call).await;
    assert!(taken.is_ok(), "{taken:?}: {:#?}", call.trail);

    assert_eq!((front.shown().len(), front.turned_away()), (1, 0));
    let moved = sim.ledger();
    let moved: Vec<_> = moved.of_key(refund.refund.key.as_str()).map(|one| one.amount).collect();
    assert_eq!(moved, [888]);
}
