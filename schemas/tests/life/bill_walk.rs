//! What holds of a bill whatever happens to it in whatever order.

use std::{collections::BTreeSet, time::Duration};

use rand::{RngExt, rngs::StdRng};
use schemas::{
    BillRecord, Channel, JobId, Scene, Timestamp,
    bill::{
        ClosingReason, MAX_ATTEMPTS, MAX_EVIDENCE, MAX_REFUNDS, MAX_RENEWALS, PaymentNews, Refund,
        RefundNews, RefundState, Source,
    },
};

use crate::{
    bill::{AMOUNT, bill, fen, native, offer, paid, way},
    card::card,
    random,
};

/// One random piece of news; `None` when the bill did not allow or need it.
fn step(bill: BillRecord, random: &mut StdRng, now: Timestamp) -> Option<BillRecord> {
    let ways = [
        native(),
        way(Channel::Alipay, Scene::Native),
        way(Channel::UnionPay, Scene::App),
        card("one"),
        card("two"),
    ];
    let attempts = u32::try_from(bill.attempts.len()).unwrap();
    let attempt = random.random_range(0..=attempts);
    let refund = random.random_range(0..=u32::try_from(bill.refunds.len()).unwrap());
    let states = [
        RefundState::Processing,
        RefundState::Abnormal,
        RefundState::Succeeded,
        RefundState::Refused,
        RefundState::Held,
    ];
    match random.random_range(0..15) {
        0 | 1 => {
            let way = &ways[random.random_range(0..ways.len())];
            let ordinal = bill.ordinal_for(way, now);
            if bill.attempt_by(way, ordinal).is_some() {
                return None;
            }
            bill.begin_attempt(way, ordinal, now).ok()
        }
        2 => bill.offer(attempt, offer(now), now).ok(),
        3 => bill.refuse_attempt(attempt, "NO", "job", now).ok(),
        4 => bill.close_attempt(attempt, Source::Query, "job", now).ok(),
        5 | 6 => {
            let amount = if random.random_bool(0.9) { AMOUNT } else { 77 };
            let transaction = format!("t{}", random.random_range(0..3));
            match bill.pay(attempt, &paid(&transaction, amount, now), Source::Query, "j", now) {
                Ok(
                    PaymentNews::Counted(next)
                    | PaymentNews::Surplus(next, _)
                    | PaymentNews::Contradiction(next),
                ) => Some(next),
                Ok(PaymentNews::Known) | Err(_) => None,
            }
        }
        7 => bill.begin_closing(ClosingReason::Overtime, now).ok(),
        8 => bill.finish_closing(now).ok(),
        9 => {
            let amount = fen(random.random_range(1..=AMOUNT));
            bill.begin_refund(JobId::generate(), amount, "r", now).ok()
        }
        13 | 14 => bill.charge(attempt, now).ok(),
        10 => bill.approve_refund(refund, JobId::generate(), "ada", "yes", now).ok(),
        11 if random.random_bool(0.2) => bill.drop_refund(refund, "ada", "no", now).ok(),
        _ => {
            let state = states[random.random_range(0..states.len())];
            match bill.hear_of_refund(refund, state, None, Source::Notify, "j", now) {
                Ok(RefundNews::Changed(next) | RefundNews::Contradiction(next)) => Some(next),
                Ok(RefundNews::Known) | Err(_) => None,
            }
        }
    }
}

fn surplus_refunds(bill: &BillRecord) -> usize {
    bill.refunds.iter().filter(|refund| refund.surplus.is_some()).count()
}

fn holds(before: &BillRecord, after: &BillRecord) {
    assert_eq!(after.version, before.version + 1);
    let counted: Vec<_> = after.payments.iter().filter(|one| one.surplus.is_none()).collect();
    assert!(counted.len() <= 1, "one payment counts");
    if let Some(first) = before.payment() {
        assert_eq!(after.payment(), Some(first), "the first truth stays");
    }
    for payment in &after.payments {
        let refunds = after.refunds.iter().filter(|one| one.attempt == payment.attempt);
        let taken: i64 = refunds.filter(|one| one.state.takes()).map(|one| one.amount.get()).sum();
        assert!(taken <= payment.amount.get(), "no more goes back than was paid");
        if payment.surplus.is_some() {
            let mut refunds = after.refunds.iter().filter(|one| one.attempt == payment.attempt);
            let seen_to = |one: &Refund| one.state != RefundState::Refused;
            let is_last = surplus_refunds(after) >= MAX_RENEWALS;
            assert!(refunds.any(seen_to) || is_last, "a surplus is paid back, held or dropped");
        }
    }
    let charging = after.attempts.iter().filter(|one| one.is_charging());
    assert!(charging.count() <= 1, "one card is charged at a time");
    let paid: BTreeSet<_> = after.payments.iter().map(|one| one.attempt).collect();
    assert_eq!(paid.len(), after.payments.len(), "an attempt is paid once");
    let keys = after.attempts.iter().map(|one| &one.key);
    let keys: BTreeSet<_> = keys.chain(after.refunds.iter().map(|one| &one.key)).collect();
    assert_eq!(keys.len(), after.attempts.len() + after.refunds.len(), "numbers are used once");
    for (old, new) in before.attempts.iter().zip(&after.attempts) {
        assert_eq!((&old.key, old.sent_at), (&new.key, new.sent_at), "a number never changes");
    }
    for (old, new) in before.refunds.iter().zip(&after.refunds) {
        assert_eq!((&old.key, old.amount), (&new.key, new.amount), "a number never changes");
        if old.state == RefundState::Succeeded {
            assert_eq!(new.state, RefundState::Succeeded, "what went back stays back");
        }
    }
    assert!(after.attempts.len() <= MAX_ATTEMPTS && after.evidence.len() <= MAX_EVIDENCE);
    assert!(after.refunds.len() <= MAX_REFUNDS + MAX_ATTEMPTS + MAX_RENEWALS);
}

#[test]
fn whatever_happens_in_whatever_order_the_money_adds_up() {
    let mut random = random();
    let (mut payments, mut refunds) = (0, 0);
    let is_long = std::env::var_os("FEAT_TEST_LONG").is_some_and(|value| value == "1");
    for _ in 0..if is_long { 20_000 } else { 100 } {
        let mut now = Timestamp::now();
        let mut bill = bill(now);
        for _ in 0..80 {
            now = now + Duration::from_secs(random.random_range(1..120));
            if let Some(next) = step(bill.clone(), &mut random, now) {
                holds(&bill, &next);
                bill = next;
            }
        }
        let json = serde_json::to_value(&bill).unwrap();
        assert_eq!(serde_json::from_value::<BillRecord>(json).unwrap(), bill);
        payments += bill.payments.len();
        refunds += bill.refunds.len();
    }
    assert!(payments > 40 && refunds > 60, "{payments} payments, {refunds} refunds");
}
