//! What UnionPay sends by itself, and what the browser brings back.

use super::{
    Fields,
    message::{sign, wording},
    query::{given_back, settled, unsettled},
};
use crate::{
    book::{End, Refund, Trade},
    crypto::Unusable,
    fault::Act,
    http::write_form,
    ledger::Provider,
    outbox::{Content, Parcel, Sealed},
    sim::Sim,
};

/// What is told of a transaction: what is kept of its request, `more`, and how it ended.
pub(super) fn told(facts: &Fields, mut more: Fields, code: &str) -> Fields {
    more.extend(facts.clone());
    more.remove("channelType");
    more.insert("respCode".to_owned(), code.to_owned());
    more.insert("respMsg".to_owned(), wording(code).to_owned());
    more.retain(|_, value| !value.is_empty());
    more
}

/// What is told about a paid order.
pub(super) fn paid(trade: &Trade) -> Option<Fields> {
    let at = trade.paid_at()?;
    Some(told(&trade.facts, settled(&trade.number, trade.amount, at), "00"))
}

fn refused(trade: &Trade) -> Option<Fields> {
    Some(told(&trade.facts, unsettled(trade), trade.refused?))
}

/// The notification of a payment, or of one that was refused for good.
pub(crate) fn payment_parcel(trade: &Trade) -> Option<Parcel> {
    Some(Parcel {
        provider: Provider::UnionPay,
        call: "unionpay.notify.pay",
        event: format!("{}-pay", trade.number),
        trade: trade.key.clone(),
        url: trade.notify_url.clone()?,
        content: Content::UnionPay { fields: paid(trade).or_else(|| refused(trade))? },
    })
}

/// The notification of a refund's or a cancellation's end, which may be a failure.
pub(crate) fn refund_parcel(trade: &Trade, refund: &Refund) -> Option<Parcel> {
    let code = match refund.end {
        End::Success => "00",
        End::Closed | End::Abnormal => "01",
    };
    let mut more = given_back(trade, refund);
    more.insert("origQryId".to_owned(), trade.number.clone());
    Some(Parcel {
        provider: Provider::UnionPay,
        call: "unionpay.notify.refund",
        event: format!("{}-refund", refund.id),
        trade: trade.key.clone(),
        url: refund.notify_url.clone()?,
        content: Content::UnionPay { fields: told(&refund.facts, more, code) },
    })
}

/// Signs a notification.
pub(crate) fn seal_notify(
    sim: &Sim,
    mut fields: Fields,
    act: Option<&Act>,
) -> Result<Sealed, Unusable> {
    match act {
        Some(Act::Foreign) => {
            fields.insert("merId".to_owned(), "777290058999999".to_owned());
        }
        Some(Act::ExtraField) => {
            fields.insert("newField".to_owned(), "1".to_owned());
        }
        Some(Act::RotateKeys) => sim.rotate_keys(Provider::UnionPay),
        Some(Act::Defective) => {
            fields.insert("respCode".to_owned(), "A6".to_owned());
        }
        _ => {}
    }
    sign(sim, &mut fields, act)?;
    if act == Some(&Act::Tamper) {
        fields.insert("settleAmt".to_owned(), "99999999".to_owned());
        fields.insert("txnAmt".to_owned(), "99999999".to_owned());
    }
    let body = if act == Some(&Act::Garbage) {
        "%%%".to_owned()
    } else {
        write_form(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    };
    let content_type = "application/x-www-form-urlencoded;charset=UTF-8";
    Ok(Sealed { content_type, headers: Vec::new(), body })
}
