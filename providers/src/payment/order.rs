//! What a caller asks of a provider, and what the payer's client gets.
//!
//! Every number that a provider sees is the caller's: it is stored before the call and the same
//! on every retry. Nothing here makes one.

use std::net::IpAddr;

use schemas::{Fen, ProviderKey, Scene, Timestamp};
use serde_json::{Value, json};

use super::{Card, Payer};

/// Names one trade at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeRef {
    /// `out_trade_no`, or UnionPay's `orderId`.
    pub key: ProviderKey,
    /// When the attempt was first recorded; UnionPay's `txnTime` is made of it, so it must be the
    /// same in every call about this trade.
    pub begun_at: Timestamp,
    /// The provider's own number, as soon as a query or a notice told it. UnionPay needs it to
    /// refund; the others prefer it.
    pub transaction_id: Option<String>,
    /// Whether a card was charged without the provider's page: UnionPay keeps those apart.
    pub card: bool,
}

/// Names one refund at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRef {
    /// The trade that was paid.
    pub trade: TradeRef,
    /// `out_refund_no`, `out_request_no`, or the `orderId` of UnionPay's refund.
    pub key: ProviderKey,
    /// When the refund was first recorded; as [`TradeRef::begun_at`].
    pub begun_at: Timestamp,
}

/// How a payer before a screen is served, where a provider offers both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Presentation {
    /// A page of the provider, as a form or an address.
    #[default]
    Page,
    /// A text to be drawn as a QR code.
    Code,
}

/// A trade to be made at a provider.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its number and beginning.
    pub trade: TradeRef,
    /// Where the payer is.
    pub scene: Scene,
    /// Page or code, for [`Scene::Native`] with Alipay and UnionPay; WeChat Pay has only the code.
    pub presentation: Presentation,
    /// What is to be paid.
    pub amount: Fen,
    /// What the payer reads; cut and cleaned to what the provider takes.
    pub subject: String,
    /// After this moment the trade cannot be paid any more.
    pub expires_at: Timestamp,
    /// Absolute address of the notices about this trade, without a query string.
    pub notify_url: String,
    /// Where the provider's page sends the browser afterwards. It proves nothing.
    pub return_url: Option<String>,
    /// Address of the payer's device; WeChat Pay requires it for H5.
    pub payer_ip: Option<IpAddr>,
    /// The payer's id under the app of the gateway; required for [`Scene::Jsapi`].
    pub payer: Option<Payer>,
    /// The card that is to be charged without the provider's page; its holder gets a code.
    pub card: Option<Card>,
}

/// A refund to be made at a provider.
#[derive(Debug, Clone)]
pub struct RefundOrder {
    /// Its number, beginning and trade.
    pub refund: RefundRef,
    /// What was paid in all.
    pub paid: Fen,
    /// What is to be returned; at most `paid`.
    pub amount: Fen,
    /// What the payer reads; cut and cleaned to what the provider takes.
    pub reason: Option<String>,
    /// Absolute address of the notices about this refund.
    pub notify_url: Option<String>,
}

/// A trade that the provider knows now, or that the payer's client will make known to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    /// What the client app needs, with the documented field names and types.
    pub client: Value,
    /// Whether the documented reply wraps it in `data`.
    pub wrapped: bool,
    /// Text to be drawn as a QR code, when the scene has one.
    pub code: Option<String>,
    /// The provider's reference of the prepared trade (`prepay_id`, `tn`, `trade_no`), if it gave one.
    pub reference: Option<String>,
}

impl Created {
    /// The whole documented reply.
    #[must_use]
    pub fn body(&self) -> Value {
        if self.wrapped { json!({ "data": self.client }) } else { self.client.clone() }
    }

    /// A reply that is wrapped in `data` and has no code and no reference.
    pub(crate) const fn wrapped(client: Value) -> Self {
        Self { client, wrapped: true, code: None, reference: None }
    }
}
