//! What the handlers of payments do alike.
//!
//! What must hold: a bill changes by guarded saves alone; a provider is never called about a trade
//! or refund that is not in the bill already; what a provider says goes into the bill before the
//! job ends; an answer that did not come is asked for, never guessed.

mod ask;
mod bills;
mod counters;
mod follow;
mod news;
mod wallet;

pub(crate) use ask::{
    Provider, ask_again, leave_to_operator, provider, question_failed, refund_ref, trade_ref,
};
pub(crate) use bills::{Step, change, load};
pub(crate) use counters::{begin as begin_counters, foreign_notice};
pub(crate) use follow::{close_among_checks, is_last_refund_look, look_at_refund, look_at_trade};
pub(crate) use news::{
    Heard, Standing, ask_for_trade, close, contradicted, hear_of_refund, pay, refund_detail,
    refused, take_in_refund, take_in_trade,
};
pub(crate) use wallet::{change_wallet, spend_code};
