//! The port: what can be asked of an account at a provider.

mod accounts;
mod cards;

use std::sync::Arc;

use chrono::NaiveDate;
use schemas::{Channel, Scene};

pub use self::accounts::Gateways;
use super::{
    BoundAccount, Call, Created, DayBill, MAX_NOTICE_BYTES, Notice, NoticeAnswer, NotifyError,
    Order, ProviderError, Purpose, RawNotify, RawReply, Refund, RefundOrder, RefundRef, TradeRef,
    TradeState, alipay::Alipay, unionpay::UnionPay, wechat_pay::WeChatPay,
};
use crate::Finding;

/// One account at one provider. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gateway {
    engine: Engine,
}

/// The providers: a closed list, so that every match below is total.
#[derive(Debug, Clone)]
enum Engine {
    WeChatPay(Arc<WeChatPay>),
    Alipay(Arc<Alipay>),
    UnionPay(Arc<UnionPay>),
}

impl Gateway {
    /// Its provider.
    #[must_use]
    pub fn channel(&self) -> Channel {
        match &self.engine {
            Engine::WeChatPay(_) => Channel::WeChatPay,
            Engine::Alipay(_) => Channel::Alipay,
            Engine::UnionPay(_) => Channel::UnionPay,
        }
    }

    /// Its name in the settings and in addresses.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.engine {
            Engine::WeChatPay(app) => app.name(),
            Engine::Alipay(app) => app.name(),
            Engine::UnionPay(app) => app.name(),
        }
    }

    /// Its number at the provider: merchant, or seller.
    #[must_use]
    pub fn merchant_id(&self) -> &str {
        match &self.engine {
            Engine::WeChatPay(app) => app.merchant_id(),
            Engine::Alipay(app) => app.merchant_id(),
            Engine::UnionPay(app) => app.merchant_id(),
        }
    }

    /// The provider's id of the app, where the provider has apps.
    #[must_use]
    pub fn app_id(&self) -> Option<&str> {
        match &self.engine {
            Engine::WeChatPay(app) => Some(app.app_id()),
            Engine::Alipay(app) => Some(app.app_id()),
            Engine::UnionPay(_) => None,
        }
    }

    /// The fee for a payment that was agreed on with the provider, in hundredths of a percent, if
    /// the settings say it.
    #[must_use]
    pub fn fee_basis_points(&self) -> Option<u32> {
        match &self.engine {
            Engine::WeChatPay(app) => app.fee_basis_points(),
            Engine::Alipay(app) => app.fee_basis_points(),
            Engine::UnionPay(app) => app.fee_basis_points(),
        }
    }

    /// Whether `scene` can be paid through this account.
    #[must_use]
    pub fn supports(&self, scene: Scene) -> bool {
        match &self.engine {
            Engine::WeChatPay(app) => app.supports(scene),
            Engine::Alipay(_) => true,
            Engine::UnionPay(_) => scene != Scene::Jsapi,
        }
    }

    /// Makes a trade, or prepares what the payer's client needs to make it.
    ///
    /// Repeating a call with the same order makes one trade. Alipay's app and page scenes and
    /// UnionPay's front page send nothing: the trade begins when the payer opens it. With a card its
    /// holder is sent a code, and the trade begins with [`Self::charge`].
    ///
    /// # Errors
    ///
    /// After [`ProviderError::Conflict`] and [`ProviderError::OutcomeUnknown`] only
    /// [`Self::query`] can tell; after [`ProviderError::Refused`] this trade cannot be made.
    pub async fn create(&self, order: &Order, call: &mut Call) -> Result<Created, ProviderError> {
        if order.card.is_some() && !self.takes_cards() {
            return Err(cards::not_taken());
        }
        match &self.engine {
            Engine::WeChatPay(app) => app.create(order, call).await,
            Engine::Alipay(app) => app.create(order, call).await,
            Engine::UnionPay(app) => app.create(order, call).await,
        }
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
        match &self.engine {
            Engine::WeChatPay(app) => app.query(trade, call).await,
            Engine::Alipay(app) => app.query(trade, call).await,
            Engine::UnionPay(app) => app.query(trade, call).await,
        }
    }

    /// Closes an unpaid trade, so that it cannot be paid any more. Again is safe. UnionPay has no
    /// such call: there the answer is always a refusal, and the trade ends at its expiry.
    ///
    /// # Errors
    ///
    /// [`ProviderError::Conflict`] when it may be paid: query it and settle.
    /// [`ProviderError::Refused`] when there is nothing to close, which at Alipay is so until the
    /// payer has opened the trade: it can be paid until its expiry.
    pub async fn close(&self, trade: &TradeRef, call: &mut Call) -> Result<(), ProviderError> {
        match &self.engine {
            Engine::WeChatPay(app) => app.close(trade, call).await,
            Engine::Alipay(app) => app.close(trade, call).await,
            Engine::UnionPay(_) => Err(ProviderError::Refused("close_not_offered".to_owned())),
        }
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
        match &self.engine {
            Engine::WeChatPay(app) => app.refund(order, call).await,
            Engine::Alipay(app) => app.refund(order, call).await,
            Engine::UnionPay(app) => app.refund(order, call).await,
        }
    }

    /// How the refund stands. Safe at any time.
    pub async fn query_refund(
        &self,
        refund: &RefundRef,
        call: &mut Call,
    ) -> Result<Refund, ProviderError> {
        match &self.engine {
            Engine::WeChatPay(app) => app.query_refund(refund, call).await,
            Engine::Alipay(app) => app.query_refund(refund, call).await,
            Engine::UnionPay(app) => app.query_refund(refund, call).await,
        }
    }

    /// Verifies a notice and reads it: signature, app and merchant. The amount is the caller's to
    /// compare. May fetch the provider's certificates once when the notice names a new one.
    ///
    /// # Errors
    ///
    /// See [`NotifyError`]; for each of them nothing may change.
    pub async fn read_notify(&self, raw: RawNotify<'_>) -> Result<Notice, NotifyError> {
        if raw.body.len() > MAX_NOTICE_BYTES {
            return Err(NotifyError::Malformed("too large"));
        }
        match &self.engine {
            Engine::WeChatPay(app) => app.read_notify(raw).await,
            Engine::Alipay(app) => app.read_notify(raw.body),
            Engine::UnionPay(app) => app.read_notify(raw.body),
        }
    }

    /// The answer to `raw` in the provider's exact form.
    #[must_use]
    pub fn acknowledge(&self, raw: RawNotify<'_>, answer: NoticeAnswer) -> RawReply {
        match &self.engine {
            Engine::WeChatPay(_) => WeChatPay::acknowledge(raw, answer),
            Engine::Alipay(_) => Alipay::acknowledge(answer),
            Engine::UnionPay(_) => UnionPay::acknowledge(answer),
        }
    }

    /// The provider's bill of one day (Beijing time; UnionPay: the settlement day). However many
    /// of these calls fail, no payment is held up by them: `call` gets [`Purpose::Bill`].
    ///
    /// # Errors
    ///
    /// Nothing changes by this call, so every error may be followed by the same call later.
    pub async fn bill(&self, day: NaiveDate, call: &mut Call) -> Result<DayBill, ProviderError> {
        call.purpose = Purpose::Bill;
        match &self.engine {
            Engine::WeChatPay(app) => app.bill(day, call).await,
            Engine::Alipay(app) => app.bill(day, call).await,
            Engine::UnionPay(app) => app.bill(day, call).await,
        }
    }

    /// Where a person consents to bind an account; the provider then sends the browser to
    /// `return_url` with a code. `None` when the account cannot bind people.
    ///
    /// `state` comes back unchanged; bind it to the browser. Without it the address has exactly
    /// the documented parameters.
    #[must_use]
    pub fn consent_url(&self, return_url: &str, state: Option<&str>) -> Option<String> {
        match &self.engine {
            Engine::WeChatPay(app) => app.consent_url(return_url, state),
            Engine::Alipay(app) => Some(app.consent_url(return_url, state)),
            Engine::UnionPay(_) => None,
        }
    }

    /// The text with which an app on the phone asks a person for consent through Alipay's library;
    /// `target` (at most 32 characters) comes back. `None` for the other providers.
    ///
    /// # Errors
    ///
    /// Only when no signature can be made.
    #[must_use]
    pub fn app_consent(&self, target: &str) -> Option<Result<String, ProviderError>> {
        match &self.engine {
            Engine::Alipay(app) => Some(app.app_consent(target)),
            Engine::WeChatPay(_) | Engine::UnionPay(_) => None,
        }
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
        match &self.engine {
            Engine::WeChatPay(app) => app.exchange_code(code, call).await,
            Engine::Alipay(app) => app.exchange_code(code, call).await,
            Engine::UnionPay(_) => Err(ProviderError::Refused("sign_in_not_offered".to_owned())),
        }
    }

    /// Whether its keys are readable, belong together and are still valid.
    #[must_use]
    pub fn check(&self) -> Vec<Finding> {
        match &self.engine {
            Engine::WeChatPay(app) => app.check(),
            Engine::Alipay(app) => app.check(),
            Engine::UnionPay(app) => app.check(),
        }
    }

    fn reload(&self) {
        match &self.engine {
            Engine::WeChatPay(app) => app.reload(),
            Engine::Alipay(app) => app.reload(),
            Engine::UnionPay(app) => app.reload(),
        }
    }
}
