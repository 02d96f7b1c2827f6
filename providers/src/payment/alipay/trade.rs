//! Trades and refunds at Alipay.

use schemas::{Fen, ProviderKey};
use serde_json::{Value, json};

use super::{Alipay, UNWANTED, answer::text_of, sign::Asked};
use crate::payment::{
    Call, Payer, Payment, ProviderError, Refund, RefundOrder, RefundRef, RefundState, TradeRef,
    TradeState, beijing,
    fields::cut,
    operation::{Operation, Outcome},
};

impl Alipay {
    pub(in crate::payment) async fn query(
        &self,
        trade: &TradeRef,
        call: &mut Call,
    ) -> Result<TradeState, ProviderError> {
        let content = json!({ "out_trade_no": trade.key });
        let asked = Asked::plain("alipay.trade.query", content);
        match self.ask(Operation::Query, &asked, call).await {
            Ok(node) => {
                same_trade(&node, &trade.key)?;
                trade_state(&node)
            }
            Err(Outcome::NotFound) => Ok(TradeState::NotFound),
            Err(other) => Err(other.into_error()),
        }
    }

    pub(in crate::payment) async fn close(
        &self,
        trade: &TradeRef,
        call: &mut Call,
    ) -> Result<(), ProviderError> {
        let content = json!({ "out_trade_no": trade.key });
        let asked = Asked::plain("alipay.trade.close", content);
        match self.ask(Operation::Close, &asked, call).await {
            Ok(_) | Err(Outcome::AlreadySo) => Ok(()),
            Err(other) => Err(other.into_error()),
        }
    }

    pub(in crate::payment) async fn refund(
        &self,
        order: &RefundOrder,
        call: &mut Call,
    ) -> Result<Refund, ProviderError> {
        let mut content = json!({
            "out_trade_no": order.refund.trade.key,
            "out_request_no": order.refund.key,
            "refund_amount": order.amount.to_yuan(),
        });
        if let Some(reason) = &order.reason {
            content["refund_reason"] = json!(cut(reason, 256, UNWANTED));
        }
        let asked = Asked::plain("alipay.trade.refund", content);
        let node = self.ask(Operation::Refund, &asked, call).await;
        let node = node.map_err(Outcome::into_error)?;
        same_trade(&node, &order.refund.trade.key)?;
        // The success alone proves nothing; the sum in the answer is of all refunds so far.
        let state = match text_of(&node, "fund_change") {
            Some("Y") => RefundState::Done {
                amount: Some(order.amount),
                at: text_of(&node, "gmt_refund_pay")
                    .and_then(|at| beijing::read(at, beijing::SPACED)),
            },
            _ => RefundState::Processing,
        };
        Ok(Refund { state, refund_id: None })
    }

    pub(in crate::payment) async fn query_refund(
        &self,
        refund: &RefundRef,
        call: &mut Call,
    ) -> Result<Refund, ProviderError> {
        let content = json!({
            "out_trade_no": refund.trade.key,
            "out_request_no": refund.key,
            "query_options": ["gmt_refund_pay"],
        });
        let asked = Asked::plain("alipay.trade.fastpay.refund.query", content);
        let state = match self.ask(Operation::QueryRefund, &asked, call).await {
            Ok(node) => refund_state(&node, refund)?,
            Err(Outcome::NotFound) => RefundState::NotFound,
            Err(other) => return Err(other.into_error()),
        };
        Ok(Refund { state, refund_id: None })
    }
}

/// Refuses an answer about another trade.
pub(super) fn same_trade(node: &Value, key: &ProviderKey) -> Result<(), ProviderError> {
    let same = text_of(node, "out_trade_no") == Some(key.as_str());
    if same { Ok(()) } else { Err(ProviderError::unknown("other_trade")) }
}

fn trade_state(node: &Value) -> Result<TradeState, ProviderError> {
    Ok(match text_of(node, "trade_status") {
        Some("WAIT_BUYER_PAY") => TradeState::NotPaid,
        Some("TRADE_SUCCESS" | "TRADE_FINISHED") => TradeState::Paid(payment(node)?),
        // A payment behind it means that all of it was returned.
        Some("TRADE_CLOSED") if text_of(node, "send_pay_date").is_some() => {
            TradeState::Refunded(payment(node)?)
        }
        Some("TRADE_CLOSED") => TradeState::Closed,
        _ => return Err(ProviderError::unknown("trade_status")),
    })
}

fn payment(node: &Value) -> Result<Payment, ProviderError> {
    let amount = text_of(node, "total_amount").and_then(|text| Fen::from_yuan(text).ok());
    let id = text_of(node, "trade_no").filter(|id| id.len() <= 64);
    let payer = text_of(node, "buyer_open_id").or_else(|| text_of(node, "buyer_user_id"));
    Ok(Payment {
        transaction_id: id.ok_or_else(|| ProviderError::unknown("trade_no"))?.to_owned(),
        amount: amount.ok_or_else(|| ProviderError::unknown("total_amount"))?,
        paid_at: text_of(node, "send_pay_date").and_then(|at| beijing::read(at, beijing::SPACED)),
        payer: payer.and_then(Payer::new),
    })
}

/// A refund that Alipay does not know answers success without the fields of a refund.
fn refund_state(node: &Value, asked: &RefundRef) -> Result<RefundState, ProviderError> {
    match text_of(node, "refund_status") {
        None => Ok(RefundState::NotFound),
        Some("REFUND_SUCCESS") => {
            same_trade(node, &asked.trade.key)?;
            if text_of(node, "out_request_no") != Some(asked.key.as_str()) {
                return Err(ProviderError::unknown("other_refund"));
            }
            let amount = text_of(node, "refund_amount").and_then(|text| Fen::from_yuan(text).ok());
            let at = text_of(node, "gmt_refund_pay");
            let at = at.and_then(|at| beijing::read(at, beijing::SPACED));
            Ok(RefundState::Done { amount, at })
        }
        Some("REFUND_PROCESSING") => Ok(RefundState::Processing),
        Some(_) => Err(ProviderError::unknown("refund_status")),
    }
}
