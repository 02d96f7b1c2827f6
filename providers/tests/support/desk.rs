//! What a test needs of a provider's side: its account, its signed answers and its notices.

use providers::payment::{
    Gateway, Gateways, Order, PaymentSettings, Presentation, RefundOrder, RefundRef, TradeRef,
};
use reqwest::header::HeaderMap;
use schemas::{Channel, Fen, Scene, Timestamp};
use std::time::Duration;

use super::{Reply, Seen};

/// What the provider says to whatever it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Story {
    /// The trade was made (or closed, when that is asked).
    Created,
    /// The trade waits.
    NotPaid,
    /// The trade is paid.
    Paid,
    /// There is no such trade.
    Missing,
    /// The trade is paid, and the refund was taken.
    RefundTaken,
    /// The refund is done.
    RefundDone,
    /// There is no such refund.
    RefundMissing,
    /// As paid, about another trade.
    OtherTrade,
    /// As paid, and the signature is wrong.
    Forged,
    /// The merchant's balance is too low for the refund.
    NotEnough,
}

/// One provider, in one of its protocols.
pub(crate) trait Desk: Send + Sync {
    /// Name in messages of failed tests.
    fn name(&self) -> &'static str;
    /// Its account, reached at `url`.
    fn settings(&self, url: &str) -> PaymentSettings;
    fn channel(&self) -> Channel;
    /// A scene in which the provider is asked to make the trade.
    fn asked_scene(&self) -> (Scene, Presentation);
    /// Its answer to `request`.
    fn answer(&self, story: Story, request: &Seen) -> Reply;
    /// A notice of a payment, for `merchant` (its own when `None`).
    fn notice(&self, merchant: Option<&str>) -> (HeaderMap, Vec<u8>);
    /// The answers to a notice that was taken, and to one that was refused.
    fn acknowledgements(&self) -> [(u16, &'static str); 2];
    /// Secrets and personal ids that must not be shown anywhere.
    fn secrets(&self) -> Vec<String>;

    fn gateway(&self, url: &str) -> Gateway {
        let gateways = Gateways::open(&self.settings(url)).unwrap_or_else(|e| panic!("{e:?}"));
        gateways.get(self.channel(), "shop").unwrap().clone()
    }
}

pub(crate) const KEY: &str = "20261124000000000001";
pub(crate) const REFUND_KEY: &str = "20261124000000000001R1";
pub(crate) const FEN: i64 = 8_888;
pub(crate) const REFUND_FEN: i64 = 888;

/// The time of the trade: 2026-11-24 10:15:30 in Beijing.
pub(crate) fn begun_at() -> Timestamp {
    "2026-11-24T10:15:30+08:00".parse().unwrap()
}

pub(crate) fn trade() -> TradeRef {
    TradeRef { key: KEY.parse().unwrap(), begun_at: begun_at(), transaction_id: None, card: false }
}

pub(crate) fn order(scene: Scene, presentation: Presentation) -> Order {
    Order {
        trade: trade(),
        scene,
        presentation,
        amount: Fen::new(FEN).unwrap(),
        subject: "会员 12 个月".to_owned(),
        expires_at: begun_at() + Duration::from_mins(15),
        notify_url: "https://pay.example.test/notify".to_owned(),
        return_url: Some("https://shop.example.test/back?a=1".to_owned()),
        payer_ip: Some("192.0.2.7".parse().unwrap()),
        payer: providers::payment::Payer::new("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"),
        card: None,
    }
}

pub(crate) fn refund_ref() -> RefundRef {
    RefundRef { trade: trade(), key: REFUND_KEY.parse().unwrap(), begun_at: begun_at() }
}

pub(crate) fn refund_order() -> RefundOrder {
    RefundOrder {
        refund: refund_ref(),
        paid: Fen::new(FEN).unwrap(),
        amount: Fen::new(REFUND_FEN).unwrap(),
        reason: Some("returned".to_owned()),
        notify_url: Some("https://pay.example.test/notify".to_owned()),
    }
}
