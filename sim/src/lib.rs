//! Strict simulators of WeChat Pay (v2 and v3), Alipay, UnionPay, and of Apple's push service
//! ([`apns`], which has its own account of itself).
//!
//! They are written from the providers' documents alone and share no code with `providers`: a
//! simulator has to catch Feat's mistakes. Each checks signatures, fields and state as strictly as
//! the real one, answers in the provider's own form, and says in `X-Sim-Reason` and the log what
//! exactly is wrong. They keep trades, refunds and balances; send signed notifications on the real
//! schedules; serve certificates and bills; and write every movement of money into one [`Ledger`].
//!
//! - [`start`] runs them; [`Running`] is a test's handle; the same is under `/_sim` over HTTP.
//! - [`Merchant::fixture`] is what both sides are configured with.
//! - [`Fault`] scripts say what goes wrong with which calls.
//! - [`Clock::manual`] stands until [`Running::advance`] moves it.
//! - [`TEST_CARDS`] are the cards that pay at UnionPay without redirect, with [`TEST_CODE`].
//!
//! Modules: `book` (trades and the moves that are legal), `outbox` (what is still to happen), one
//! module per provider, `page` (where a person pays), `control` (`/_sim`), `server` (HTTP).
//!
//! They speak plain HTTP for loopback. Where a provider needs a client certificate (WeChat Pay's v2
//! refund), the connection alone stands for it.

mod alipay;
pub mod apns;
mod book;
mod client;
mod clock;
mod control;
mod crypto;
mod fault;
mod http;
mod ledger;
mod merchant;
mod outbox;
mod page;
mod running;
mod server;
mod settings;
mod sim;
mod statement;
mod unionpay;
mod wechat;
mod zip;

#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod testing;

pub use crate::{
    clock::{Clock, ManualClock},
    control::{PayError, RefundView, TradeView},
    fault::{Act, BadScript, Fault, Script},
    ledger::{Effect, Entry, Ledger, Provider, Totals},
    merchant::{
        AlipayKeys, AlipayMerchant, Merchant, Unfit, UnionPayKeys, UnionPayMerchant, WechatKeys,
        WechatMerchant,
    },
    outbox::Attempt,
    running::{NotMovable, Running, StartError, start},
    settings::{Quotas, Settings},
    unionpay::{TEST_CARDS, TEST_CODE, TestCard},
};
