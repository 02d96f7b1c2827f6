//! Fault scripts: what goes wrong with the next calls of a kind.
//!
//! A script names calls, says what happens to them and how often. Of several that fit, the oldest
//! that is not used up applies; one call meets one fault. Scripts count how often they applied.
//!
//! Calls are named by provider and operation: `wechat.v2.unifiedorder`, `wechat.v3.refund`,
//! `alipay.trade.query`, `unionpay.back.refund`; notifications are calls too: `wechat.v3.notify.pay`,
//! `alipay.notify.pay`, `unionpay.notify.refund`. Cards without redirect are
//! `unionpay.back.card_query` (is it opened?), `unionpay.back.card_code` (a text message),
//! `unionpay.back.card_open` and `unionpay.back.card_pay`; an opening on UnionPay's page begins with
//! `unionpay.front` and is told by `unionpay.notify.open`. A `*` at the end of a name stands for the rest.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// Most scripts that are kept; used-up ones count.
const MOST_SCRIPTS: usize = 10_000;

/// How the names of calls begin.
const FAMILIES: [&str; 6] =
    ["wechat.v2.", "wechat.v3.", "wechat.sns.", "wechat.consent", "alipay.", "unionpay."];

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// The connection is cut before anything happened.
    DropBefore,
    /// The call takes effect, then the connection is cut without an answer.
    DropAfter,
    /// The call takes effect; the answer comes this many milliseconds later (of the machine's clock).
    /// A notification is held back by as much of the simulators' clock.
    Late {
        /// Milliseconds.
        ms: u64,
    },
    /// Nothing happens; the answer is the provider's "system error", which leaves the outcome open.
    ErrorBefore,
    /// The call takes effect; the answer is the provider's "system error".
    ErrorAfter,
    /// The call takes effect; the answer or notification is signed by nobody's key.
    BadSignature,
    /// The call takes effect; the answer carries no signature.
    Unsigned,
    /// The answer or notification carries a time that is ten minutes old (WeChat Pay v3), or a
    /// certificate that has expired (UnionPay).
    Stale,
    /// The signature is one of WeChat Pay's probes; a notification is sent again properly.
    Probe,
    /// A right signature, but by a certificate of another owner (UnionPay) or another application's
    /// key serial (WeChat Pay v3: an unknown serial; Alipay: an unknown certificate).
    Stranger,
    /// The certificate is signed by itself (UnionPay).
    SelfSigned,
    /// The call takes effect; the answer cannot be read.
    Garbage,
    /// Nothing happens; the answer says that there were too many calls.
    Throttle,
    /// The payer pays at once, and the notification arrives before the answer of the call.
    PayEarly,
    /// The order is closed, and the payer's payment arrives all the same.
    PayAfterClose,
    /// The provider changes its signing key in the middle of the call.
    RotateKeys,
    /// The refund is accepted and fails later: the money comes back to the merchant.
    RefundClosed,
    /// The refund is accepted and gets stuck: it needs a person.
    RefundAbnormal,
    /// UnionPay answers that the state is not known yet, whatever it is.
    Pending,
    /// UnionPay reports success as a defective one (`A6`).
    Defective,
    /// A notification that never arrives, and is not repeated.
    Lose,
    /// A notification arrives this many times more, at once.
    Duplicate {
        /// How many times more.
        copies: u32,
    },
    /// A notification waits until the next one of its provider has arrived, or for a minute.
    Reorder,
    /// A notification arrives with a higher amount and the old signature, then never again.
    Tamper,
    /// A notification with a field that no document names, rightly signed.
    ExtraField,
    /// A notification that names another merchant, rightly signed, then never again.
    Foreign,
    /// The day's bill is still being made.
    BillNotReady,
    /// The day's bill leaves out its first line.
    BillOmits,
    /// The day's bill lists a payment that nobody made.
    BillInvents,
    /// The first line of the day's bill has one fen too much.
    BillAmount,
    /// The fee of the first line of the day's bill is five fen too much.
    BillFee,
    /// The fee of the first refund of the day's bill is five fen too much.
    BillRefundFee,
}

impl Act {
    fn only_notifies(&self) -> bool {
        matches!(
            self,
            Self::Lose
                | Self::Duplicate { .. }
                | Self::Reorder
                | Self::Tamper
                | Self::ExtraField
                | Self::Foreign
        )
    }

    fn only_calls(&self) -> bool {
        matches!(
            self,
            Self::DropBefore
                | Self::DropAfter
                | Self::ErrorBefore
                | Self::ErrorAfter
                | Self::Unsigned
                | Self::Throttle
                | Self::PayEarly
                | Self::PayAfterClose
                | Self::RefundClosed
                | Self::RefundAbnormal
                | Self::Pending
                | Self::BillNotReady
                | Self::BillOmits
                | Self::BillInvents
                | Self::BillAmount
                | Self::BillFee
                | Self::BillRefundFee
        )
    }
}

/// A script: `act` happens to the next `times` calls that `call` names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Name of the call; a `*` at its end stands for the rest.
    pub call: String,
    /// How many calls it applies to; 1 when it is not said.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens.
    #[serde(flatten)]
    pub act: Act,
}

const fn once() -> u32 {
    1
}

impl Fault {
    /// `act` happens to the next call named `call`.
    #[must_use]
    pub fn once(call: impl Into<String>, act: Act) -> Self {
        Self::times(1, call, act)
    }

    /// `act` happens to the next `times` calls named `call`.
    #[must_use]
    pub fn times(times: u32, call: impl Into<String>, act: Act) -> Self {
        Self { call: call.into(), times, act }
    }

    fn names(&self, call: &str) -> bool {
        match self.call.strip_suffix('*') {
            Some(start) => call.starts_with(start),
            None => self.call == call,
        }
    }

    /// Whether some call can have such a name.
    fn may_happen(&self) -> bool {
        FAMILIES.iter().any(|family| match self.call.strip_suffix('*') {
            Some(start) => family.starts_with(start) || start.starts_with(family),
            None => self.call.starts_with(family),
        })
    }

    fn fits(&self, call: &str) -> bool {
        let notify = call.contains(".notify.");
        self.names(call)
            && !(notify && self.act.only_calls())
            && (notify || !self.act.only_notifies())
    }
}

/// A script and how often it applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// Its number.
    pub id: u64,
    /// What it says.
    #[serde(flatten)]
    pub fault: Fault,
    /// How many calls it applied to so far.
    pub applied: u32,
}

/// Why a script was not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadScript {
    /// It names no call.
    #[error("the script names no call")]
    NoCall,
    /// No call has such a name.
    #[error("there is no such call: names begin with {}", FAMILIES.join(", "))]
    Unknown,
    /// A fault of notifications for a call, or the other way round.
    #[error("this act does not happen to calls of that name")]
    Unfit,
    /// There are too many scripts; clear them first.
    #[error("too many scripts; clear them first")]
    TooMany,
}

/// The scripts in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Script>>);

impl Faults {
    pub(crate) fn add(&self, fault: Fault) -> Result<u64, BadScript> {
        if fault.call.is_empty() {
            return Err(BadScript::NoCall);
        }
        if !fault.may_happen() {
            return Err(BadScript::Unknown);
        }
        let exact = !fault.call.ends_with('*');
        if exact && !fault.fits(&fault.call) {
            return Err(BadScript::Unfit);
        }
        let mut scripts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if scripts.len() >= MOST_SCRIPTS {
            return Err(BadScript::TooMany);
        }
        let id = scripts.last().map_or(1, |last| last.id + 1);
        scripts.push(Script { id, fault, applied: 0 });
        Ok(id)
    }

    /// What happens to this call of `call`, counted.
    pub(crate) fn take(&self, call: &str) -> Option<Act> {
        let mut scripts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let script = scripts
            .iter_mut()
            .find(|script| script.applied < script.fault.times && script.fault.fits(call))?;
        script.applied += 1;
        tracing::info!(call, act = ?script.fault.act, "the simulator applies a fault");
        Some(script.fault.act.clone())
    }

    pub(crate) fn list(&self) -> Vec<Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_applies_to_as_many_calls_as_it_says() {
        let faults = Faults::default();
        assert_eq!(faults.add(Fault::times(2, "wechat.v3.*", Act::DropAfter)), Ok(1));
        assert_eq!(faults.add(Fault::once("wechat.v3.close", Act::Garbage)), Ok(2));

        assert_eq!(faults.take("wechat.v2.close"), None, "another generation");
        assert_eq!(faults.take("wechat.v3.notify.pay"), None, "a call's fault is no notify's");
        assert_eq!(faults.take("wechat.v3.create"), Some(Act::DropAfter));
        assert_eq!(faults.take("wechat.v3.close"), Some(Act::DropAfter), "the oldest first");
        assert_eq!(faults.take("wechat.v3.close"), Some(Act::Garbage));
        assert_eq!(faults.take("wechat.v3.close"), None, "used up");
        let applied: Vec<_> = faults.list().iter().map(|script| script.applied).collect();
        assert_eq!(applied, [2, 1]);
    }

    #[test]
    fn a_script_that_cannot_apply_is_refused() {
        let faults = Faults::default();
        let cases = [
            ("no call", "", Act::Lose, Err(BadScript::NoCall)),
            ("a name of no call", "bogus", Act::DropAfter, Err(BadScript::Unknown)),
            ("a beginning of none", "bogus.*", Act::DropAfter, Err(BadScript::Unknown)),
            ("call", "alipay.trade.query", Act::Reorder, Err(BadScript::Unfit)),
            ("notify", "alipay.notify.pay", Act::Throttle, Err(BadScript::Unfit)),
            ("fits", "alipay.notify.pay", Act::Reorder, Ok(1)),
            ("fits several", "wechat.*", Act::DropAfter, Ok(2)),
            ("fits all", "*", Act::DropAfter, Ok(3)),
        ];
        for (name, call, act, expected) in cases {
            assert_eq!(faults.add(Fault::once(call, act)), expected, "{name}");
        }
    }
}
