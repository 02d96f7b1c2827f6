//! How the simulators are started.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::{Clock, Merchant, Unfit};

/// What the simulators are started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addresses to listen on; port 0 takes a free one. Each serves every provider.
    pub listen: Vec<SocketAddr>,
    /// The merchants that the providers know.
    pub merchants: Vec<Merchant>,
    /// The clock they live by.
    pub clock: Clock,
    /// How much they let through.
    pub quotas: Quotas,
    /// How long an accepted refund is under way before it is paid back.
    pub refund_takes: Duration,
    /// Most trades they keep, all providers together; then new ones are refused as overload.
    pub most_trades: usize,
}

impl Settings {
    /// The fixture merchant, the machine's clock, the documented quotas, a free port on loopback.
    ///
    /// # Errors
    ///
    /// [`Unfit`] when the fixtures of this build are damaged.
    pub fn fixture() -> Result<Self, Unfit> {
        Ok(Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            merchants: vec![Merchant::fixture()?],
            clock: Clock::System,
            quotas: Quotas::default(),
            refund_takes: Duration::from_secs(3),
            most_trades: 1_000_000,
        })
    }
}

/// How much the providers let through. All of it is measured on the simulators' own clock: under a
/// clock that stands, a second lasts until the clock is moved.
#[derive(Debug, Clone)]
pub struct Quotas {
    /// WeChat Pay: accepted refunds per second and merchant.
    pub wechat_refunds: u32,
    /// WeChat Pay: refused refunds per second and merchant; beyond it every refund is throttled.
    pub wechat_failing_refunds: u32,
    /// WeChat Pay: refund queries per second and merchant.
    pub wechat_refund_queries: u32,
    /// WeChat Pay: JSAPI orders per second and merchant.
    pub wechat_jsapi: u32,
    /// WeChat Pay: fund bills per second and merchant.
    pub wechat_fund_bills: u32,
    /// WeChat Pay: least time between two refunds of one order.
    pub wechat_refund_gap: Duration,
    /// WeChat Pay: most partial refunds of one order.
    pub wechat_partial_refunds: usize,
    /// WeChat Pay v2: least time between creating and closing an order; the provider asks for five
    /// minutes but does not insist, so zero.
    pub wechat_close_gap: Duration,
    /// Alipay: least time between two refunds of one trade.
    pub alipay_refund_gap: Duration,
    /// Alipay: calls per second and application.
    pub alipay_calls: u32,
    /// UnionPay: back requests per second and merchant.
    pub unionpay_calls: u32,
    /// UnionPay: text messages per minute, merchant and card.
    pub unionpay_texts: u32,
}

impl Default for Quotas {
    /// The documented ones; where no figure is published, one that only a loop reaches.
    fn default() -> Self {
        Self {
            wechat_refunds: 150,
            wechat_failing_refunds: 6,
            wechat_refund_queries: 300,
            wechat_jsapi: 500,
            wechat_fund_bills: 3,
            wechat_refund_gap: Duration::from_mins(1),
            wechat_partial_refunds: 50,
            wechat_close_gap: Duration::ZERO,
            alipay_refund_gap: Duration::from_secs(3),
            alipay_calls: 2000,
            unionpay_calls: 2000,
            unionpay_texts: 60,
        }
    }
}

impl Quotas {
    /// No limits in time, for measuring throughput. Counts per order stay.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            wechat_refunds: u32::MAX,
            wechat_failing_refunds: u32::MAX,
            wechat_refund_queries: u32::MAX,
            wechat_jsapi: u32::MAX,
            wechat_fund_bills: u32::MAX,
            wechat_refund_gap: Duration::ZERO,
            alipay_refund_gap: Duration::ZERO,
            alipay_calls: u32::MAX,
            unionpay_calls: u32::MAX,
            unionpay_texts: u32::MAX,
            ..Self::default()
        }
    }
}
