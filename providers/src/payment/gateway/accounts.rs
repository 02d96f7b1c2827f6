//! Every account that is configured.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use schemas::Channel;

use super::{Engine, Gateway};
use crate::{
    Finding,
    payment::{
        PaymentSettings, alipay::Alipay, separation, unionpay::UnionPay, wechat_pay::WeChatPay,
    },
};

/// Every account that is configured. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gateways {
    all: Arc<[Gateway]>,
}

impl Gateways {
    /// Reads every key and certificate and makes the gateways. Nothing is sent.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the settings, at once; no text holds a secret.
    pub fn open(settings: &PaymentSettings) -> Result<Self, Vec<Finding>> {
        let mut problems = separation::check(settings);
        let mut all = Vec::new();
        let mut add = |channel: Channel, name: &str, opened: Result<Engine, String>| {
            let what = format!("payments: {channel} {name}");
            match opened {
                Ok(engine) if fee_is_odd(&engine) => {
                    let problem = "fee_basis_points: expected at most 10000".to_owned();
                    problems.push(Finding { what, problem: Some(problem) });
                }
                Ok(engine) => all.push(Gateway { engine }),
                Err(problem) => problems.push(Finding { what, problem: Some(problem) }),
            }
        };
        for one in &settings.wechat_pay {
            let opened = WeChatPay::open(one).map(|one| Engine::WeChatPay(Arc::new(one)));
            add(Channel::WeChatPay, &one.name, opened);
        }
        for one in &settings.alipay {
            let opened = Alipay::open(one).map(|one| Engine::Alipay(Arc::new(one)));
            add(Channel::Alipay, &one.name, opened);
        }
        for one in &settings.unionpay {
            let opened = UnionPay::open(one).map(|one| Engine::UnionPay(Arc::new(one)));
            add(Channel::UnionPay, &one.name, opened);
        }
        if problems.is_empty() { Ok(Self { all: all.into() }) } else { Err(problems) }
    }

    /// The account `name` at `channel`.
    #[must_use]
    pub fn get(&self, channel: Channel, name: &str) -> Option<&Gateway> {
        self.all.iter().find(|gateway| gateway.channel() == channel && gateway.name() == name)
    }

    /// The first account at `channel`, for callers that name none.
    #[must_use]
    pub fn first(&self, channel: Channel) -> Option<&Gateway> {
        self.all.iter().find(|gateway| gateway.channel() == channel)
    }

    /// The accounts whose bills together tell of a merchant's day: one for each app at Alipay, which
    /// makes a file for each, and one elsewhere. Empty when the merchant is not configured.
    #[must_use]
    pub fn bill_accounts(&self, channel: Channel, merchant: &str) -> Vec<&Gateway> {
        let mut found: Vec<&Gateway> = Vec::new();
        for gateway in self.all.iter() {
            if gateway.channel() != channel || gateway.merchant_id() != merchant {
                continue;
            }
            let covered = found
                .iter()
                .any(|other| channel != Channel::Alipay || other.app_id() == gateway.app_id());
            if !covered {
                found.push(gateway);
            }
        }
        found
    }

    /// Every merchant, once, with its provider.
    #[must_use]
    pub fn merchants(&self) -> BTreeSet<(Channel, String)> {
        let merchant = |one: &Gateway| (one.channel(), one.merchant_id().to_owned());
        self.all.iter().map(merchant).collect()
    }

    /// All accounts, in the order of the settings.
    pub fn iter(&self) -> impl Iterator<Item = &Gateway> {
        self.all.iter()
    }

    /// Whether keys are readable, belong together and are still valid, for every account.
    #[must_use]
    pub fn check(&self) -> Vec<Finding> {
        self.all.iter().flat_map(Gateway::check).collect()
    }

    /// Reads again every file of keys that has changed. What cannot be read or does not fit leaves
    /// the last good keys in force, says so in the log and in metric
    /// `feat_payment_keys_stale{channel,account}`. Blocks on the disk for a moment.
    pub fn reload(&self) {
        self.all.iter().for_each(Gateway::reload);
    }

    /// Does [`Self::reload`] every `every`, beside the runtime's own threads, for as long as it is
    /// polled. It never ends by itself.
    pub async fn watch(&self, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let gateways = self.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || gateways.reload()).await {
                tracing::error!(%error, "payment keys could not be looked at");
            }
        }
    }
}

/// Whether the agreed fee would be more than the payment.
fn fee_is_odd(engine: &Engine) -> bool {
    let gateway = Gateway { engine: engine.clone() };
    gateway.fee_basis_points().is_some_and(|fee| fee > 10_000)
}
