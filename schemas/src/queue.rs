//! The queues, one for each area of risk, so that a slow provider cannot hold back other work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::payment::Channel;

/// Where jobs of one area wait for a worker.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Work on pictures: their files and variants.
    Images,
    /// Feat's own housekeeping.
    Maintenance,
    /// Work on bills that asks no provider: what providers have told.
    Payments,
    /// Calls to WeChat Pay.
    WechatPay,
    /// Calls to Alipay.
    Alipay,
    /// Calls to UnionPay.
    Unionpay,
    /// Calls to WeChat Pay that nobody waits for: looks at open trades and refunds, bill files, ends of
    /// bills that nobody paid.
    WechatPayChecks,
    /// The same to Alipay.
    AlipayChecks,
    /// The same to UnionPay.
    UnionpayChecks,
    /// Finding out who gets a push campaign.
    Push,
    /// Calls to Apple's push service.
    Apns,
    /// Registering devices for pushes, and removing them.
    PushTokens,
    /// Calls to the apps' back ends.
    Webhooks,
}

impl Queue {
    /// Every queue, in the order in which they are declared and listed.
    pub const ALL: [Self; 13] = [
        Self::Images,
        Self::Maintenance,
        Self::Payments,
        Self::WechatPay,
        Self::Alipay,
        Self::Unionpay,
        Self::WechatPayChecks,
        Self::AlipayChecks,
        Self::UnionpayChecks,
        Self::Push,
        Self::Apns,
        Self::PushTokens,
        Self::Webhooks,
    ];

    /// The queue of calls to the provider `channel`.
    #[must_use]
    pub const fn of_channel(channel: Channel) -> Self {
        match channel {
            Channel::UnionPay => Self::Unionpay,
            Channel::Alipay => Self::Alipay,
            Channel::WeChatPay => Self::WechatPay,
        }
    }

    /// The queue of calls to the provider `channel` that nobody waits for.
    #[must_use]
    pub const fn of_checks(channel: Channel) -> Self {
        match channel {
            Channel::UnionPay => Self::UnionpayChecks,
            Channel::Alipay => Self::AlipayChecks,
            Channel::WeChatPay => Self::WechatPayChecks,
        }
    }

    /// Whether somebody usually waits for its jobs: they are worked on without waiting for others
    /// to share the cost.
    #[must_use]
    pub const fn is_awaited(self) -> bool {
        match self {
            Self::Payments | Self::WechatPay | Self::Alipay | Self::Unionpay => true,
            Self::Images
            | Self::Maintenance
            | Self::WechatPayChecks
            | Self::AlipayChecks
            | Self::UnionpayChecks
            | Self::Push
            | Self::Apns
            | Self::PushTokens
            | Self::Webhooks => false,
        }
    }

    /// Name in configuration, metrics and the stored job.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Maintenance => "maintenance",
            Self::Payments => "payments",
            Self::WechatPay => "wechat_pay",
            Self::Alipay => "alipay",
            Self::Unionpay => "unionpay",
            Self::WechatPayChecks => "wechat_pay_checks",
            Self::AlipayChecks => "alipay_checks",
            Self::UnionpayChecks => "unionpay_checks",
            Self::Push => "push",
            Self::Apns => "apns",
            Self::PushTokens => "push_tokens",
            Self::Webhooks => "webhooks",
        }
    }

    /// Name at the broker. It carries a version, because a queue cannot be declared again with
    /// other arguments: changed arguments need a new name.
    #[must_use]
    pub const fn broker_name(self) -> &'static str {
        match self {
            Self::Images => "feat.images.v1",
            Self::Maintenance => "feat.maintenance.v1",
            Self::Payments => "feat.payments.v1",
            Self::WechatPay => "feat.wechat_pay.v1",
            Self::Alipay => "feat.alipay.v1",
            Self::Unionpay => "feat.unionpay.v1",
            Self::WechatPayChecks => "feat.wechat_pay_checks.v1",
            Self::AlipayChecks => "feat.alipay_checks.v1",
            Self::UnionpayChecks => "feat.unionpay_checks.v1",
            Self::Push => "feat.push.v1",
            Self::Apns => "feat.apns.v1",
            Self::PushTokens => "feat.push_tokens.v1",
            Self::Webhooks => "feat.webhooks.v1",
        }
    }

    /// Name at the broker of the queue that keeps what no worker could read, with the reason.
    #[must_use]
    pub const fn parked_name(self) -> &'static str {
        match self {
            Self::Images => "feat.images.v1.parked",
            Self::Maintenance => "feat.maintenance.v1.parked",
            Self::Payments => "feat.payments.v1.parked",
            Self::WechatPay => "feat.wechat_pay.v1.parked",
            Self::Alipay => "feat.alipay.v1.parked",
            Self::Unionpay => "feat.unionpay.v1.parked",
            Self::WechatPayChecks => "feat.wechat_pay_checks.v1.parked",
            Self::AlipayChecks => "feat.alipay_checks.v1.parked",
            Self::UnionpayChecks => "feat.unionpay_checks.v1.parked",
            Self::Push => "feat.push.v1.parked",
            Self::Apns => "feat.apns.v1.parked",
            Self::PushTokens => "feat.push_tokens.v1.parked",
            Self::Webhooks => "feat.webhooks.v1.parked",
        }
    }
}

impl std::fmt::Display for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_built_the_same_way() {
        for queue in Queue::ALL {
            assert_eq!(serde_json::json!(queue), queue.name());
            assert_eq!(queue.broker_name(), format!("feat.{queue}.v1"));
            assert_eq!(queue.parked_name(), format!("{}.parked", queue.broker_name()));
        }
        for channel in [Channel::UnionPay, Channel::Alipay, Channel::WeChatPay] {
            let (calls, checks) = (Queue::of_channel(channel), Queue::of_checks(channel));
            assert_eq!(checks.name(), format!("{calls}_checks"));
        }
    }
}
