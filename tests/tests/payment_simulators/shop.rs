//! One account at one simulator.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use providers::payment::{
    Call, Gateway, Gateways, Order, Payer, Presentation, RefundOrder, RefundRef, RefundState,
    TradeRef, TradeState,
};
use schemas::{Channel, Fen, Scene, Timestamp};
use sim::{AlipayKeys, Clock, Provider, Quotas, Running, Settings, UnionPayKeys, WechatKeys};
use tests::{eventually, notified::Inbox};

use crate::accounts::accounts;

/// One protocol with one kind of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
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

pub(crate) const WAYS: [Way; 10] = [
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
    pub(crate) const fn provider(self) -> Provider {
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

    pub(crate) const fn channel(self) -> Channel {
        match self.provider() {
            Provider::Wechat => Channel::WeChatPay,
            Provider::Alipay => Channel::Alipay,
            Provider::UnionPay => Channel::UnionPay,
        }
    }

    /// The simulators' name for what refunds of this way.
    pub(crate) const fn refund_call(self) -> &'static str {
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
pub(crate) struct Shop {
    pub(crate) sim: Running,
    pub(crate) gateway: Gateway,
    pub(crate) inbox: Inbox,
}

impl Shop {
    pub(crate) async fn open(way: Way) -> Self {
        Self::with(way, Clock::System).await
    }

    pub(crate) async fn with(way: Way, clock: Clock) -> Self {
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
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from(self.sim.now())
    }

    pub(crate) fn order(&self, key: &str, scene: Scene, presentation: Presentation) -> Order {
        Order {
            trade: TradeRef {
                key: key.parse().unwrap(),
                begun_at: self.now(),
                transaction_id: None,
                card: false,
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
            card: None,
        }
    }

    pub(crate) async fn create(&self, order: &Order) -> providers::payment::Created {
        let mut call = Call::default();
        let created = self.gateway.create(order, &mut call).await;
        created.unwrap_or_else(|error| panic!("{error}: {:#?}", call.trail))
    }

    pub(crate) async fn state(&self, order: &Order) -> TradeState {
        let mut call = Call::default();
        let state = self.gateway.query(&order.trade, &mut call).await;
        state.unwrap_or_else(|error| panic!("{error}: {:#?}", call.trail))
    }

    /// Makes a trade by a QR code, and pays it.
    pub(crate) async fn paid(&self, key: &str) -> Order {
        let order = self.order(key, Scene::Native, Presentation::Code);
        let created = self.create(&order).await;
        self.sim.approve(created.code.as_deref().unwrap()).unwrap();
        order
    }

    pub(crate) fn refund_order(&self, order: &Order, key: &str, fen: i64) -> RefundOrder {
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

    pub(crate) async fn refund_done(&self, refund: &RefundRef) -> Option<i64> {
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
    pub(crate) fn moved(&self, way: Way) -> (i64, i64) {
        let ledger = self.sim.ledger();
        let sums = ledger.totals.iter().filter(|(name, _)| name.contains(way.provider().name()));
        sums.fold((0, 0), |sum, (_, one)| (sum.0 + one.paid, sum.1 + one.refunded))
    }
}
