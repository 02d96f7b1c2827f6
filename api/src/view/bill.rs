//! The public form of a bill and of its refunds.

use poem_openapi::{Enum, Object};
use schemas::{
    BillRecord,
    bill::{Refund, RefundState},
};

use super::Moment;

/// Every bill is of this type.
const TYPE: i64 = 100;

/// One bill.
#[derive(Debug, Clone, Object)]
pub(crate) struct Bill {
    /// Its number, 27 digits.
    sn: String,
    /// The provider's number of the payment; null until it is paid.
    query_id: Option<String>,
    /// How it was paid, or is being paid: 0 UnionPay, 100 Alipay, 200 WeChat; null before that.
    pay_method: Option<i64>,
    /// `uid` of its owner.
    user: i64,
    /// Always 0.
    inbound: i64,
    /// Always 0.
    outbound: i64,
    /// Code of ISO 4217.
    currency: String,
    /// What is owed, in hundredths: 1250 is 12.50 CNY.
    amount: i64,
    /// Always 100.
    #[oai(rename = "type")]
    kind: i64,
    /// 0 made, 100 cancelled, 200 paid, 300 overtime, 400 refunding, 500 refunded.
    status: i64,
    /// When it was made.
    created_at: Moment,
    /// Always 0.
    fee: i64,
    /// What it is for.
    subject: String,
    /// The owner's own name for it.
    client_ref: Option<String>,
    /// What went back to the payer, in hundredths.
    refunded: i64,
    /// After this moment it cannot be paid.
    expires_at: Moment,
}

impl Bill {
    /// The view of `bill`.
    pub(crate) fn of(bill: &BillRecord) -> Self {
        let payment = bill.payment();
        let paid_by = payment.and_then(|payment| bill.attempt(payment.attempt));
        let attempt = paid_by.or(bill.attempts.last());
        Self {
            sn: bill.id.to_string(),
            query_id: payment.map(|payment| payment.transaction_id.clone()),
            pay_method: attempt.map(|attempt| attempt.channel.number()),
            user: bill.owner.get(),
            inbound: 0,
            outbound: 0,
            currency: bill.currency.code().to_owned(),
            amount: bill.amount.get(),
            kind: TYPE,
            status: bill.status.number(),
            created_at: Moment(bill.created_at),
            fee: 0,
            subject: bill.subject.clone(),
            client_ref: bill.client_ref.clone(),
            refunded: bill.refunded(),
            expires_at: Moment(bill.expires_at),
        }
    }
}

/// One refund of a bill.
#[derive(Debug, Clone, Object)]
pub(crate) struct BillRefund {
    /// Its number in the bill, from 1.
    refund: u32,
    /// Its number at the provider.
    refund_sn: String,
    /// The provider's own number of it, as soon as it is known.
    query_id: Option<String>,
    /// What goes back, in hundredths.
    amount: i64,
    /// What the payer is told.
    reason: String,
    /// Where it stands.
    status: RefundStatus,
    /// When it was asked for.
    created_at: Moment,
    /// When it ended.
    ended_at: Option<Moment>,
}

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    /// Waits for an operator's approval.
    Held,
    /// On its way to the provider.
    Sent,
    /// The provider has accepted it.
    Processing,
    /// The provider cannot deliver the money; an operator sees to it.
    Abnormal,
    /// The money went back.
    Succeeded,
    /// The provider refused; no money moved.
    Refused,
    /// An operator decided against it; no money moved.
    Dropped,
}

impl From<RefundState> for RefundStatus {
    fn from(state: RefundState) -> Self {
        match state {
            RefundState::Held => Self::Held,
            RefundState::Sent => Self::Sent,
            RefundState::Processing => Self::Processing,
            RefundState::Abnormal => Self::Abnormal,
            RefundState::Succeeded => Self::Succeeded,
            RefundState::Refused => Self::Refused,
            RefundState::Dropped => Self::Dropped,
        }
    }
}

impl BillRefund {
    /// The view of `refund`.
    pub(crate) fn of(refund: &Refund) -> Self {
        Self {
            refund: refund.number,
            refund_sn: refund.key.to_string(),
            query_id: refund.provider_id.clone(),
            amount: refund.amount.get(),
            reason: refund.reason.clone(),
            status: refund.state.into(),
            created_at: Moment(refund.opened_at),
            ended_at: refund.ended_at.map(Moment),
        }
    }
}
