//! Every payment protocol against the strict simulators, which share no code with it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use providers::payment::{
    AlipayCertificates, AlipaySettings, BillLineKind, Call, DayBill, Gateway, Gateways, H5Site,
    Mode, News, Order, Payer, PaymentSettings, Presentation, ProviderError, RawNotify, Reach,
    RefundOrder, RefundRef, RefundState, Source, TradeRef, TradeState, UnionPaySettings,
    UnionPaySigning, V2SignType, WeChatPaySettings, WeChatPublicKey, WeChatV2Settings,
    WeChatV3Settings,
};
use schemas::{Channel, Fen, Scene, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use sim::{
    Act, AlipayKeys, Clock, Fault, Provider, Quotas, Running, Settings, UnionPayKeys, WechatKeys,
};
use tests::{eventually, notified::Inbox};

/// One protocol with one kind of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    WeChatV2,
    WeChatV2Hmac,
    WeChatV3Certificate,
    WeChatV3PublicKey,
    WeChatV3Both,
    AlipayPublicKey,
    AlipayCertificate,
    UnionPayCertificate,
    UnionPaySha256,
    UnionPaySm3,
}

const WAYS: [Way; 10] = [
    Way::WeChatV2,
    Way::WeChatV2Hmac,
    Way::WeChatV3Certificate,
    Way::WeChatV3PublicKey,
    Way::WeChatV3Both,
    Way::AlipayPublicKey,
    Way::AlipayCertificate,
    Way::UnionPayCertificate,
    Way::UnionPaySha256,
    Way::UnionPaySm3,
];

impl Way {
    const fn provider(self) -> Provider {
        match self {
            Self::WeChatV2
            | Self::WeChatV2Hmac
            | Self::WeChatV3Certificate
            | Self::WeChatV3PublicKey
            | Self::WeChatV3Both => Provider::Wechat,
            Self::AlipayPublicKey | Self::AlipayCertificate => Provider::Alipay,
            Self::UnionPayCertificate | Self::UnionPaySha256 | Self::UnionPaySm3 => {
                Provider::UnionPay
            }
        }
    }

    const fn channel(self) -> Channel {
        match self.provider() {
            Provider::Wechat => Channel::WeChatPay,
            Provider::Alipay => Channel::Alipay,
            Provider::UnionPay => Channel::UnionPay,
        }
    }

    /// The simulators' name for what refunds of this way.
    const fn refund_call(self) -> &'static str {
        match self {
            Self::WeChatV2 | Self::WeChatV2Hmac => "wechat.v2.refund",
            Self::WeChatV3Certificate | Self::WeChatV3PublicKey | Self::WeChatV3Both => {
                "wechat.v3.refund"
            }
            Self::AlipayPublicKey | Self::AlipayCertificate => "alipay.trade.refund",
            Self::UnionPayCertificate | Self::UnionPaySha256 | Self::UnionPaySm3 => {
                "unionpay.back.refund"
            }
        }
    }
}

/// The simulators, and an account at one of them.
struct Shop {
    sim: Running,
    gateway: Gateway,
    inbox: Inbox,
}

impl Shop {
    async fn open(way: Way) -> Self {
        Self::with(way, Clock::System).await
    }

    async fn with(way: Way, clock: Clock) -> Self {
        let mut settings = Settings::fixture().unwrap();
        settings.clock = clock;
        settings.quotas = Quotas::unlimited();
        settings.refund_takes = Duration::ZERO;
        let merchant = &mut settings.merchants[0];
        merchant.wechat.keys = match way {
            Way::WeChatV3PublicKey => WechatKeys::PublicKey,
            Way::WeChatV3Both => WechatKeys::Both,
            _ => WechatKeys::Certificate,
        };
        merchant.alipay.keys = match way {
            Way::AlipayCertificate => AlipayKeys::Certificate,
            _ => AlipayKeys::PublicKey,
        };
        merchant.unionpay.keys = match way {
            Way::UnionPaySha256 => UnionPayKeys::Sha256,
            Way::UnionPaySm3 => UnionPayKeys::Sm3,
            _ => UnionPayKeys::Certificate,
        };
        let sim = sim::start(settings).await.unwrap();
        let gateways = Gateways::open(&accounts(&sim, way)).unwrap_or_else(|e| panic!("{e:?}"));
        let gateway = gateways.first(way.channel()).unwrap().clone();
        let inbox = Inbox::start(Arc::new(Mutex::new(Some(gateway.clone())))).await;
        Self { sim, gateway, inbox }
    }

    /// The simulators' time.
    fn now(&self) -> Timestamp {
        Timestamp::from(self.sim.now())
    }

    fn order(&self, key: &str, scene: Scene, presentation: Presentation) -> Order {
        Order {
            trade: TradeRef {
                key: key.parse().unwrap(),
                begun_at: self.now(),
                transaction_id: None,
            },
            scene,
            presentation,
            amount: Fen::new(8_888).unwrap(),
            subject: "会员 12 个月".to_owned(),
            expires_at: self.now() + Duration::from_mins(15),
            notify_url: self.inbox.url.clone(),
            return_url: Some("https://shop.example.test/back".to_owned()),
            payer_ip: Some("192.0.2.7".parse().unwrap()),
            payer: Payer::new("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"),
        }
    }

    async fn create(&self, order: &Order) -> providers::payment::Created {
        let mut call = Call::default();
        let created = self.gateway.create(order, &mut call).await;
        created.unwrap_or_else(|error| panic!("{error}: {:#?}", call.trail))
    }

    async fn state(&self, order: &Order) -> TradeState {
        let mut call = Call::default();
        let state = self.gateway.query(&order.trade, &mut call).await;
        state.unwrap_or_else(|error| panic!("{error}: {:#?}", call.trail))
    }

    /// Makes a trade by a QR code, and pays it.
    async fn paid(&self, key: &str) -> Order {
        let order = self.order(key, Scene::Native, Presentation::Code);
        let created = self.create(&order).await;
        self.sim.approve(created.code.as_deref().unwrap()).unwrap();
        order
    }

    fn refund_order(&self, order: &Order, key: &str, fen: i64) -> RefundOrder {
        RefundOrder {
            refund: RefundRef {
                trade: order.trade.clone(),
                key: key.parse().unwrap(),
                begun_at: self.now(),
            },
            paid: order.amount,
            amount: Fen::new(fen).unwrap(),
            reason: Some("returned".to_owned()),
            notify_url: Some(self.inbox.url.clone()),
        }
    }

    async fn refund_done(&self, refund: &RefundRef) -> Option<i64> {
        eventually("the refund is done", Duration::from_secs(30), async || {
            let mut call = Call::default();
            let refund = self.gateway.query_refund(refund, &mut call).await;
            let refund = refund.unwrap_or_else(|error| panic!("{error}: {:#?}", call.trail));
            match refund.state {
                RefundState::Done { amount, .. } => Some(amount.map(Fen::get)),
                _ => None,
            }
        })
        .await
    }

    /// What the merchant was paid and paid back, by the simulators' own ledger.
    fn moved(&self, way: Way) -> (i64, i64) {
        let ledger = self.sim.ledger();
        let sums = ledger.totals.iter().filter(|(name, _)| name.contains(way.provider().name()));
        sums.fold((0, 0), |sum, (_, one)| (sum.0 + one.paid, sum.1 + one.refunded))
    }
}

fn secret(text: &SecretString) -> Source {
    Source::inline(text.expose_secret())
}

fn accounts(sim: &Running, way: Way) -> PaymentSettings {
    let url = sim.url().to_owned();
    let merchant = sim.merchant().unwrap();
    match way.provider() {
        Provider::Wechat => {
            PaymentSettings { wechat_pay: vec![wechat(url, merchant, way)], ..Default::default() }
        }
        Provider::Alipay => {
            PaymentSettings { alipay: vec![alipay(&url, merchant, way)], ..Default::default() }
        }
        Provider::UnionPay => {
            PaymentSettings { unionpay: vec![unionpay(url, merchant, way)], ..Default::default() }
        }
    }
}

fn wechat(url: String, merchant: &sim::Merchant, way: Way) -> WeChatPaySettings {
    let own = &merchant.wechat;
    let v2 = WeChatV2Settings {
        api_key: secret(&own.api_key),
        sign_type: if way == Way::WeChatV2Hmac { V2SignType::HmacSha256 } else { V2SignType::Md5 },
        client_certificate: None,
        client_key: None,
    };
    let public_key =
        WeChatPublicKey { id: own.public_key_id.clone(), key: Source::inline(&own.public_key) };
    let v3 = WeChatV3Settings {
        private_key: secret(&own.private_key),
        certificate_serial: own.serial_no.clone(),
        api_key: secret(&own.apiv3_key),
        public_key: (way != Way::WeChatV3Certificate).then_some(public_key),
        platform_certificates: (way == Way::WeChatV3Both).then_some(true),
    };
    let is_v2 = matches!(way, Way::WeChatV2 | Way::WeChatV2Hmac);
    WeChatPaySettings {
        name: "official_account".to_owned(),
        mode: Mode::Test,
        app_id: own.apps[0].clone(),
        merchant_id: own.mchid.clone(),
        reach: Reach { endpoint: Some(url), ..Reach::default() },
        v2: is_v2.then_some(v2),
        v3: (!is_v2).then_some(v3),
        create_with: None,
        app_secret: None,
        sign_in_endpoint: None,
        consent_endpoint: None,
        h5_site: Some(H5Site { name: "Shop".into(), url: "https://shop.example.test".into() }),
        fee_basis_points: None,
    }
}

fn alipay(url: &str, merchant: &sim::Merchant, way: Way) -> AlipaySettings {
    let own = &merchant.alipay;
    let certificates = AlipayCertificates {
        app: Source::inline(&own.app_certificate),
        alipay: Source::inline(&own.alipay_certificate),
        root: Source::inline(&own.root_certificates),
    };
    let in_certificate_mode = way == Way::AlipayCertificate;
    AlipaySettings {
        name: "shop".to_owned(),
        mode: Mode::Test,
        app_id: own.app_id.clone(),
        seller_id: own.seller_id.clone(),
        reach: Reach { endpoint: Some(format!("{url}/gateway.do")), ..Reach::default() },
        private_key: secret(&own.private_key),
        alipay_public_key: (!in_certificate_mode).then(|| Source::inline(&own.alipay_public_key)),
        certificates: in_certificate_mode.then_some(certificates),
        consent_url: Some(format!("{url}/oauth2/publicAppAuthorize.htm")),
        content_key: None,
        bill_hosts: Vec::new(),
        fee_basis_points: None,
    }
}

fn unionpay(url: String, merchant: &sim::Merchant, way: Way) -> UnionPaySettings {
    let own = &merchant.unionpay;
    let key = secret(&own.secure_key);
    let signing = match way {
        Way::UnionPaySha256 => UnionPaySigning::Sha256 { key },
        Way::UnionPaySm3 => UnionPaySigning::Sm3 { key },
        _ => UnionPaySigning::Pem {
            private_key: secret(&own.private_key),
            certificate: Source::inline(&own.certificate),
        },
    };
    UnionPaySettings {
        name: "shop".to_owned(),
        mode: Mode::Test,
        merchant_id: own.mer_id.clone(),
        reach: Reach { endpoint: Some(url.clone()), ..Reach::default() },
        file_endpoint: Some(url),
        front_url: None,
        signing,
        root_certificate: Some(Source::inline(&own.root_certificate)),
        middle_certificate: Some(Source::inline(&own.middle_certificate)),
        certificate_owner: None,
        fee_basis_points: None,
    }
}

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

#[tokio::test]
async fn a_changed_platform_certificate_is_fetched() {
    let shop = Shop::open(Way::WeChatV3Certificate).await;
    let order = shop.paid("20261124000000000001").await;
    shop.sim.rotate_keys();
    // The new serial is looked up once; until the pause between two looks is over the answer is
    // not believed, and asking again is safe.
    let state = eventually("the new key is known", Duration::from_mins(1), async || {
        shop.gateway.query(&order.trade, &mut Call::default()).await.ok()
    })
    .await;
    assert!(matches!(state, TradeState::Paid(_)));
}

#[tokio::test]
async fn bills_list_what_was_paid_and_returned() {
    // WeChat Pay's JSON protocol refuses requests from another day, so it is not here; its file has
    // the same form.
    for way in [Way::WeChatV2, Way::AlipayPublicKey, Way::UnionPayCertificate] {
        println!("{way:?}");
        let begin = chrono::Utc::now() - Duration::from_hours(48);
        let shop = Shop::with(way, Clock::manual(begin)).await;
        let order = shop.paid("20261124000000000001").await;
        let refund = shop.refund_order(&order, "20261124000000000001R1", 888);
        shop.gateway.refund(&refund, &mut Call::default()).await.unwrap();
        shop.sim.advance(Duration::from_hours(48)).await.unwrap();

        // Beijing is 8 hours ahead, and UnionPay's day begins an hour early.
        let ahead = if way.provider() == Provider::UnionPay { 9 } else { 8 };
        let day = (begin + Duration::from_hours(ahead)).date_naive();
        let mut call = Call::default();
        let bill = shop.gateway.bill(day, &mut call).await;
        let bill = bill.unwrap_or_else(|error| panic!("{error}: {:#?}", call.trail));
        let DayBill::Lines(lines) = bill else { panic!("{bill:?}") };
        let seen: Vec<_> = lines.iter().map(|line| (line.kind, line.amount_fen)).collect();
        assert_eq!(seen, [(BillLineKind::Payment, 8_888), (BillLineKind::Refund, 888)]);
        assert_eq!(lines[0].key, order.trade.key.as_str());
        assert_eq!(lines[1].refund_key.as_deref(), Some(refund.refund.key.as_str()));
        assert_eq!(lines[0].transaction_id, lines[1].transaction_id);
    }
}

#[tokio::test]
async fn a_day_without_trades_has_no_lines() {
    for way in WAYS {
        println!("{way:?}");
        let shop = Shop::open(way).await;
        let day = (chrono::Utc::now() - Duration::from_hours(72)).date_naive();
        let mut call = Call::default();
        let bill = shop.gateway.bill(day, &mut call).await;
        let bill = bill.unwrap_or_else(|error| panic!("{error}: {:#?}", call.trail));
        let as_it_should = match way.provider() {
            // It does not say whether the day was without trades or its file is late.
            Provider::UnionPay => matches!(bill, DayBill::Absent),
            Provider::Alipay | Provider::Wechat => matches!(bill, DayBill::Empty),
        };
        assert!(as_it_should, "{way:?}: {bill:?}");
    }
}
