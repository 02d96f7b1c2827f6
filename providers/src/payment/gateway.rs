//! The port: every account that is configured, and what can be asked of one.

use std::sync::Arc;

use chrono::NaiveDate;
use schemas::{Channel, Scene};

use super::{
    BoundAccount, Call, Created, DayBill, Notice, NoticeAnswer, NotifyError, Order,
    PaymentSettings, ProviderError, RawNotify, RawReply, Refund, RefundOrder, RefundRef, TradeRef,
    TradeState,
};
use crate::Finding;

/// Every account that is configured. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gateways {
    all: Arc<[Gateway]>,
}

/// One account at one provider. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gateway {
    engine: Engine,
}

#[derive(Debug, Clone)]
enum Engine {}

impl Gateways {
    /// Reads every key and certificate and makes the gateways. Nothing is sent.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the settings, at once; no text holds a secret.
    pub fn open(settings: &PaymentSettings) -> Result<Self, Vec<Finding>> {
        let PaymentSettings { wechat_pay, alipay, unionpay } = settings;
        if wechat_pay.is_empty() && alipay.is_empty() && unionpay.is_empty() {
            return Ok(Self { all: Arc::new([]) });
        }
        let problem = Some("this build speaks to no payment provider".to_owned());
        Err(vec![Finding { what: "payments".to_owned(), problem }])
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
}

impl Gateway {
    /// Its provider.
    #[must_use]
    pub fn channel(&self) -> Channel {
        match self.engine {}
    }

    /// Its name in the settings and in addresses.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.engine {}
    }

    /// Its number at the provider: merchant, or seller.
    #[must_use]
    pub fn merchant_id(&self) -> &str {
        match self.engine {}
    }

    /// The provider's id of the app, where the provider has apps.
    #[must_use]
    pub fn app_id(&self) -> Option<&str> {
        match self.engine {}
    }

    /// Whether `scene` can be paid through this account.
    #[must_use]
    pub fn supports(&self, scene: Scene) -> bool {
        let _ = scene;
        match self.engine {}
    }

    /// Makes a trade, or prepares what the payer's client needs to make it.
    ///
    /// Repeating a call with the same order makes one trade. Alipay's app and page scenes and
    /// UnionPay's front page send nothing: the trade begins when the payer opens it.
    ///
    /// # Errors
    ///
    /// After [`ProviderError::Conflict`] and [`ProviderError::OutcomeUnknown`] only
    /// [`Self::query`] can tell; after [`ProviderError::Refused`] this trade cannot be made.
    pub async fn create(&self, order: &Order, call: &mut Call) -> Result<Created, ProviderError> {
        let _ = (order, call);
        match self.engine {}
    }

    /// How the trade stands. Safe at any time.
    ///
    /// # Errors
    ///
    /// No error says anything about the trade.
    pub async fn query(
        &self,
        trade: &TradeRef,
        call: &mut Call,
    ) -> Result<TradeState, ProviderError> {
        let _ = (trade, call);
        match self.engine {}
    }

    /// Closes an unpaid trade, so that it cannot be paid any more. Again is safe. UnionPay has no
    /// such call: there the answer is always a refusal, and the trade ends at its expiry.
    ///
    /// # Errors
    ///
    /// [`ProviderError::Conflict`] when it may be paid: query it and settle.
    pub async fn close(&self, trade: &TradeRef, call: &mut Call) -> Result<(), ProviderError> {
        let _ = (trade, call);
        match self.engine {}
    }

    /// Asks the provider to return `order.amount` to the payer.
    ///
    /// Repeating a call with the same number returns money once. Success means that it was
    /// accepted; [`Refund::state`] says whether it is done.
    ///
    /// # Errors
    ///
    /// After [`ProviderError::OutcomeUnknown`] and [`ProviderError::Conflict`] only
    /// [`Self::query_refund`] can tell; all others mean that no money moved.
    pub async fn refund(
        &self,
        order: &RefundOrder,
        call: &mut Call,
    ) -> Result<Refund, ProviderError> {
        let _ = (order, call);
        match self.engine {}
    }

    /// How the refund stands. Safe at any time.
    pub async fn query_refund(
        &self,
        refund: &RefundRef,
        call: &mut Call,
    ) -> Result<Refund, ProviderError> {
        let _ = (refund, call);
        match self.engine {}
    }

    /// Verifies a notice and reads it: signature, app and merchant. The amount is the caller's to
    /// compare. May fetch the provider's certificates once when the notice names a new one.
    ///
    /// # Errors
    ///
    /// See [`NotifyError`]; for each of them nothing may change.
    pub async fn read_notify(&self, raw: RawNotify<'_>) -> Result<Notice, NotifyError> {
        let _ = raw;
        match self.engine {}
    }

    /// The answer to `raw` in the provider's exact form.
    #[must_use]
    pub fn acknowledge(&self, raw: RawNotify<'_>, answer: NoticeAnswer) -> RawReply {
        let _ = (raw, answer);
        match self.engine {}
    }

    /// The provider's bill of one day (Beijing time; UnionPay: the settlement day).
    ///
    /// # Errors
    ///
    /// Nothing changes by this call, so every error may be followed by the same call later.
    pub async fn bill(&self, day: NaiveDate, call: &mut Call) -> Result<DayBill, ProviderError> {
        let _ = (day, call);
        match self.engine {}
    }

    /// Where a person consents to bind an account; the provider then sends the browser to
    /// `return_url` with a code. `None` when the account cannot bind people.
    ///
    /// `state` comes back unchanged; bind it to the browser. Without it the address has exactly
    /// the documented parameters.
    #[must_use]
    pub fn consent_url(&self, return_url: &str, state: Option<&str>) -> Option<String> {
        let _ = (return_url, state);
        match self.engine {}
    }

    /// Exchanges the code of a person who consented; a code works once.
    ///
    /// # Errors
    ///
    /// [`ProviderError::Refused`] for a code that is unknown, used or expired: start again.
    pub async fn exchange_code(
        &self,
        code: &str,
        call: &mut Call,
    ) -> Result<BoundAccount, ProviderError> {
        let _ = (code, call);
        match self.engine {}
    }

    /// Whether its keys are readable, belong together and are still valid.
    #[must_use]
    pub fn check(&self) -> Vec<Finding> {
        match self.engine {}
    }

    fn reload(&self) {
        match self.engine {}
    }
}
