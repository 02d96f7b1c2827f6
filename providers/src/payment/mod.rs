//! Payments: one port over WeChat Pay, Alipay and UnionPay.
//!
//! A [`Gateway`] is one account at one provider. It builds, signs and sends requests, verifies
//! answers and notices, and sorts what can go wrong by what the caller may do next
//! ([`ProviderError`]). What must hold:
//!
//! - nothing is believed that the provider did not sign, except that nothing happened;
//! - a call whose request may have left and whose answer is not usable is *unknown*, never failed;
//! - the numbers that a provider sees are the caller's, so a repeated call has one effect;
//! - secrets, personal ids and card data reach no log, error text or trail.
//!
//! The providers are a closed list behind one type, as the engines of the file store are: each
//! match is total, so a new provider cannot forget an operation.

mod alipay;
mod archive;
mod beijing;
mod call;
mod card;
mod crypto;
mod error;
mod fields;
mod gateway;
mod kept;
mod notice;
mod operation;
mod order;
mod secrets;
mod separation;
mod settings;
mod trade;
mod transport;
mod unionpay;
#[cfg(test)]
mod vectors;
mod wechat_pay;

pub use self::{
    call::{Call, DEFAULT_TIMEOUT, Exchange, Field, MAX_EXCHANGES, Purpose, Trail},
    card::{Card, CardAsk, CardProof, CardState, Charge, ProofState},
    error::ProviderError,
    gateway::{Gateway, Gateways},
    notice::{MAX_NOTICE_BYTES, Notice, NoticeAnswer, NotifyError, RawNotify, RawReply},
    order::{Created, Order, Presentation, RefundOrder, RefundRef, TradeRef},
    secrets::Source,
    settings::{
        AlipayCertificates, AlipaySettings, Generation, H5Site, Mode, PaymentSettings, Reach,
        UnionPaySettings, UnionPaySigning, V2SignType, WeChatPaySettings, WeChatPublicKey,
        WeChatV2Settings, WeChatV3Settings,
    },
    trade::{
        BillLine, BillLineKind, BoundAccount, DayBill, News, Payer, Payment, Refund, RefundState,
        TradeState,
    },
};
