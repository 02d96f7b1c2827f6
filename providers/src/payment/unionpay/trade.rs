//! Trades and refunds at UnionPay.

use schemas::{Fen, Timestamp};

use super::{BACK, QUERY, UnionPay, card::CARD_BUSINESS, outcome::of_code};
use crate::payment::{
    Call, Payment, ProviderError, Refund, RefundOrder, RefundRef, RefundState, TradeRef,
    TradeState, beijing,
    fields::Fields,
    operation::{Operation, Outcome},
};

impl UnionPay {
    pub(in crate::payment) async fn query(
        &self,
        trade: &TradeRef,
        call: &mut Call,
    ) -> Result<TradeState, ProviderError> {
        match self.look_up(Operation::Query, trade, call).await {
            Ok(answer) => trade_state(&answer),
            Err(Outcome::NotFound) => Ok(TradeState::NotFound),
            Err(other) => Err(other.into_error()),
        }
    }

    async fn look_up(
        &self,
        operation: Operation,
        trade: &TradeRef,
        call: &mut Call,
    ) -> Result<Fields, Outcome> {
        let business = if trade.card { CARD_BUSINESS } else { "000000" };
        let fields = self.common(&trade.key, trade.begun_at, ("00", "00", business));
        self.ask((operation, QUERY, &trade.key), fields, call).await
    }

    /// UnionPay's refund names the original by its `queryId` and must be of the same business, so
    /// the original is looked up first.
    pub(in crate::payment) async fn refund(
        &self,
        order: &RefundOrder,
        call: &mut Call,
    ) -> Result<Refund, ProviderError> {
        let original = self.look_up(Operation::Query, &order.refund.trade, call).await;
        let original = original.map_err(Outcome::into_error)?;
        let TradeState::Paid(paid) = trade_state(&original)? else {
            return Err(ProviderError::Conflict("not_paid".to_owned()));
        };
        if paid.amount != order.paid {
            return Err(ProviderError::Conflict("other_amount".to_owned()));
        }
        let business = original.get("bizType").unwrap_or("000000");
        let refund = &order.refund;
        let mut fields = self.common(&refund.key, refund.begun_at, ("04", "00", business));
        fields.set("channelType", "07");
        fields.set("txnAmt", &order.amount.to_string());
        fields.set("currencyCode", "156");
        fields.set("origQryId", &paid.transaction_id);
        fields.set("backUrl", order.notify_url.as_deref().unwrap_or_default());
        let asked = (Operation::Refund, BACK, &refund.key);
        let answer = self.ask(asked, fields, call).await.map_err(Outcome::into_error)?;
        let refund_id = answer.get("queryId").map(str::to_owned);
        // Success means accepted; its own query tells when it is done.
        Ok(Refund { state: RefundState::Processing, refund_id })
    }

    pub(in crate::payment) async fn query_refund(
        &self,
        refund: &RefundRef,
        call: &mut Call,
    ) -> Result<Refund, ProviderError> {
        let itself = TradeRef {
            key: refund.key.clone(),
            begun_at: refund.begun_at,
            transaction_id: None,
            card: refund.trade.card,
        };
        match self.look_up(Operation::QueryRefund, &itself, call).await {
            Ok(answer) => {
                let state = refund_state(answer.need("origRespCode")?, &answer)?;
                Ok(Refund { state, refund_id: answer.get("queryId").map(str::to_owned) })
            }
            Err(Outcome::NotFound) => Ok(Refund { state: RefundState::NotFound, refund_id: None }),
            Err(other) => Err(other.into_error()),
        }
    }
}

/// `respCode` was about the question; `origRespCode` is about the trade.
fn trade_state(answer: &Fields) -> Result<TradeState, ProviderError> {
    Ok(match answer.need("origRespCode")? {
        "00" | "A6" => TradeState::Paid(payment(answer)?),
        "03" | "04" | "05" => TradeState::Paying,
        // A card was charged by one call of the merchant's, and nobody can try again.
        code if answer.is("bizType", CARD_BUSINESS) && is_refusal(code) => TradeState::Closed,
        // Whatever else it says is provisional until the trade expires.
        _ => TradeState::NotPaid,
    })
}

/// Whether the code of a card's own call is its last word.
pub(super) fn is_refusal(code: &str) -> bool {
    let outcome = of_code(Operation::Create, code);
    matches!(outcome, Outcome::Failed(ProviderError::Refused(_)))
}

/// The payment of which a signed message speaks.
pub(super) fn payment(fields: &Fields) -> Result<Payment, ProviderError> {
    let amount = amount(fields.need("txnAmt")?)?;
    let domestic = |name: &str| fields.get(name).is_none_or(|currency| currency == "156");
    if !domestic("currencyCode") || !domestic("settleCurrencyCode") {
        return Err(ProviderError::unknown("other_currency"));
    }
    let settled = fields.get("settleAmt").map(self::amount).transpose()?;
    if settled.is_some_and(|settled| settled != amount) {
        return Err(ProviderError::unknown("settled_amount"));
    }
    let id = fields.need("queryId")?;
    if id.len() > 32 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ProviderError::unknown("query_id"));
    }
    let payment =
        Payment { transaction_id: id.to_owned(), amount, paid_at: paid_at(fields), payer: None };
    Ok(payment)
}

/// When the payer paid: `traceTime`, which has no year. `txnTime` is the time of the order, which may
/// be days earlier; it says the year, and stands in when there is nothing better.
fn paid_at(fields: &Fields) -> Option<Timestamp> {
    let ordered = beijing::read(fields.get("txnTime")?, beijing::COMPACT)?;
    let traced = fields.get("traceTime").and_then(|time| beijing::read_near(time, ordered));
    Some(traced.unwrap_or(ordered))
}

/// How a refund stands whose own code is `code`.
pub(super) fn refund_state(code: &str, fields: &Fields) -> Result<RefundState, ProviderError> {
    Ok(match code {
        "00" | "A6" => {
            RefundState::Done { amount: fields.get("txnAmt").map(amount).transpose()?, at: None }
        }
        _ => match of_code(Operation::Refund, code) {
            Outcome::Failed(ProviderError::Refused(_) | ProviderError::Misconfigured(_)) => {
                RefundState::Closed
            }
            _ => RefundState::Processing,
        },
    })
}

fn amount(text: &str) -> Result<Fen, ProviderError> {
    let amount = text.parse().ok().and_then(Fen::new);
    amount.ok_or_else(|| ProviderError::unknown("amount"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_charge_is_final_and_a_page_is_not() {
        let cases = [
            ("card, wrong code", "000301", "71", TradeState::Closed),
            ("card, no balance", "000301", "64", TradeState::Closed),
            ("card, under way", "000301", "05", TradeState::Paying),
            ("card, not decided", "000301", "01", TradeState::NotPaid),
            ("card, another number", "000301", "12", TradeState::NotPaid),
            ("page, the payer may try again", "000201", "64", TradeState::NotPaid),
        ];
        for (name, business, code, expected) in cases {
            let answer = Fields::of([("bizType", business), ("origRespCode", code)]);
            assert_eq!(trade_state(&answer), Ok(expected), "{name}");
        }
    }

    #[test]
    fn a_payment_is_dated_when_it_was_made_and_not_when_it_was_ordered() {
        let cases = [
            (Some("1125083000"), "20261125083000"),
            (None, "20261123101530"),
            (Some("9999999999"), "20261123101530"),
        ];
        for (traced, expected) in cases {
            let mut fields = Fields::default();
            fields.set("queryId", "741126112310153012345");
            fields.set("txnAmt", "8888");
            fields.set("txnTime", "20261123101530");
            if let Some(traced) = traced {
                fields.set("traceTime", traced);
            }
            let state = payment(&fields);
            let at = state.ok().and_then(|payment| payment.paid_at);
            let at = at.map(|at| beijing::write(at, beijing::COMPACT));
            assert_eq!(at.as_deref(), Some(expected), "{traced:?}");
        }
    }
}
