//! The life of a bill: what each piece of news means.

use std::{collections::BTreeSet, time::Duration};

use schemas::{
    BillRecord, BillSn, BillStatus, Channel, Currency, Fen, JobId, Scene, Timestamp, UserId,
    bill::{
        AttemptState, BillRefusal, ClosingReason, MAX_RENEWALS, NewBill, Offer, Paid, PaymentNews,
        RefundNews, RefundState, Source, Surplus, Way,
    },
    job::Lease,
};
use serde_json::json;

pub(crate) const AMOUNT: i64 = 1_250;

pub(crate) fn fen(fen: i64) -> Fen {
    Fen::new(fen).unwrap()
}

pub(crate) fn bill(now: Timestamp) -> BillRecord {
    let new = NewBill {
        owner: UserId::new(7).unwrap(),
        amount: fen(AMOUNT),
        currency: Currency::Cny,
        subject: "tea".to_owned(),
        client_ref: None,
        expires_at: now + Duration::from_hours(2),
    };
    BillRecord::open(new, BillSn::generate(now), now)
}

pub(crate) fn way(channel: Channel, scene: Scene) -> Way {
    Way { channel, scene, code: false, app: "app".to_owned(), account: None, card: None }
}

pub(crate) fn native() -> Way {
    way(Channel::WeChatPay, Scene::Native)
}

pub(crate) fn offer(now: Timestamp) -> Offer {
    let until = now + Duration::from_hours(1);
    Offer { reply: json!({}), wrapped: true, code: None, at: now, until }
}

pub(crate) fn paid(transaction: &str, amount: i64, at: Timestamp) -> Paid {
    Paid { transaction_id: transaction.to_owned(), amount: fen(amount), at }
}

/// A bill with one open attempt.
pub(crate) fn open(now: Timestamp) -> BillRecord {
    bill(now).begin_attempt(&native(), 0, now).unwrap().offer(1, offer(now), now).unwrap()
}

pub(crate) fn pay(bill: BillRecord, attempt: u32, paid: &Paid, now: Timestamp) -> PaymentNews {
    bill.pay(attempt, paid, Source::Notify, "job", now).unwrap()
}

pub(crate) fn counted(news: PaymentNews) -> BillRecord {
    match news {
        PaymentNews::Counted(bill) => bill,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn surplus(news: PaymentNews) -> (BillRecord, Surplus) {
    match news {
        PaymentNews::Surplus(bill, surplus) => (bill, surplus),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_payment_counts_and_hearing_of_it_again_changes_nothing() {
    let now = Timestamp::now();
    let done = counted(pay(open(now), 1, &paid("t1", AMOUNT, now), now));

    assert_eq!(done.status, BillStatus::Paid);
    assert_eq!(done.attempt(1).unwrap().state, AttemptState::Paid);
    let again = pay(done.clone(), 1, &paid("t1", AMOUNT, now), now);
    assert_eq!(again, PaymentNews::Known);
    let other = pay(done.clone(), 1, &paid("t2", AMOUNT, now), now);
    let PaymentNews::Contradiction(noted) = other else { panic!("{other:?}") };
    assert_eq!(noted.payments, done.payments, "the first truth stays");
    assert_eq!(pay(noted, 1, &paid("t2", AMOUNT, now), now), PaymentNews::Known);
}

#[test]
fn what_does_not_count_opens_a_held_refund() {
    let now = Timestamp::now();
    let second = open(now).begin_attempt(&way(Channel::Alipay, Scene::Native), 0, now).unwrap();
    let twice = counted(pay(second, 1, &paid("t1", AMOUNT, now), now));
    let closed = open(now).begin_closing(ClosingReason::Cancelled, now).unwrap();
    let closed = closed.close_attempt(1, Source::Query, "job", now).unwrap();
    let closed = closed.finish_closing(now).unwrap();
    assert_eq!(closed.status, BillStatus::Cancelled);
    let cases = [
        ("second channel", twice, 2, AMOUNT, Surplus::SecondPayment, BillStatus::Paid),
        ("after close", closed, 1, AMOUNT, Surplus::AfterClose, BillStatus::Cancelled),
        ("other sum", open(now), 1, AMOUNT - 1, Surplus::OtherAmount, BillStatus::Created),
    ];
    for (name, before, attempt, amount, why, status) in cases {
        let (after, found) = surplus(pay(before, attempt, &paid("t9", amount, now), now));

        assert_eq!((found, after.status), (why, status), "{name}");
        let refund = after.refunds.last().unwrap().clone();
        assert_eq!((refund.state, refund.amount), (RefundState::Held, fen(amount)), "{name}");
        assert_eq!(after.held_since, Some(now), "{name}");
        let job = JobId::generate();
        let sent = after.approve_refund(refund.number, job, "ada", "seen", now).unwrap();
        assert_eq!(sent.refund(1).unwrap().state, RefundState::Sent, "{name}");
        assert_eq!(sent.held_since, None, "{name}");
        assert_eq!(sent.status, status, "{name}: the surplus says nothing about the bill");
    }
}

#[test]
fn a_payment_that_arrives_while_the_bill_is_being_closed_counts() {
    let now = Timestamp::now();
    let closing = open(now).begin_closing(ClosingReason::Overtime, now).unwrap();
    assert_eq!(closing.clone().finish_closing(now), Err(BillRefusal::StillOpen));
    assert_eq!(closing.clone().begin_attempt(&native(), 1, now), Err(BillRefusal::Closed));

    let done = counted(pay(closing, 1, &paid("t1", AMOUNT, now), now));
    assert_eq!((done.status, done.closing), (BillStatus::Paid, None));
    assert_eq!(done.finish_closing(now), Err(BillRefusal::Paid));
}

#[test]
fn the_same_way_is_the_same_attempt_until_its_offer_runs_out() {
    let now = Timestamp::now();
    let bill = open(now);
    let late = now + Duration::from_mins(61);
    let alipay = way(Channel::Alipay, Scene::Native);
    let payer = Way { account: Some("d1".to_owned()), ..native() };
    let cases = [
        ("the same", native(), now, 0),
        ("offer ran out", native(), late, 1),
        ("another provider", alipay, now, 0),
        ("another payer", payer.clone(), now, 0),
    ];
    for (name, way, at, ordinal) in cases {
        assert_eq!(bill.ordinal_for(&way, at), ordinal, "{name}");
    }
    assert!(bill.attempt_by(&native(), 0).is_some());
    assert!(bill.attempt_by(&payer, 0).is_none());
    let next = bill.begin_attempt(&native(), 1, late).unwrap();
    let keys: BTreeSet<_> = next.attempts.iter().map(|attempt| &attempt.key).collect();
    assert_eq!(keys.len(), 2);
}

#[test]
fn refunds_follow_the_money() {
    let now = Timestamp::now();
    let done = counted(pay(open(now), 1, &paid("t1", AMOUNT, now), now));
    let job = JobId::generate();
    assert_eq!(open(now).may_refund(fen(1)), Err(BillRefusal::NotPaid));
    assert_eq!(done.may_refund(fen(AMOUNT + 1)), Err(BillRefusal::ExceedsPaid));
    let part = done.begin_refund(job, fen(250), "part", now).unwrap();
    assert_eq!(part.status, BillStatus::Refunding);
    assert_eq!(part.refund_by(job).unwrap().number, 1);
    assert_eq!(part.may_refund(fen(1_001)), Err(BillRefusal::ExceedsPaid));

    let hear = |bill: BillRecord, number, state| {
        bill.hear_of_refund(number, state, Some("r"), Source::Query, "job", now).unwrap()
    };
    let RefundNews::Changed(part) = hear(part, 1, RefundState::Succeeded) else { panic!() };
    assert_eq!((part.status, part.refunded()), (BillStatus::Paid, 250));
    assert_eq!(hear(part.clone(), 1, RefundState::Processing), RefundNews::Known, "late news");
    let rest = part.begin_refund(JobId::generate(), fen(1_000), "rest", now).unwrap();
    let RefundNews::Changed(refused) = hear(rest.clone(), 2, RefundState::Refused) else {
        panic!()
    };
    assert_eq!((refused.status, refused.taken(1)), (BillStatus::Paid, 250));
    assert_eq!(refused.may_refund(fen(1_000)), Ok(()));
    let RefundNews::Changed(all) = hear(rest, 2, RefundState::Succeeded) else { panic!() };
    assert_eq!(all.status, BillStatus::Refunded);
    let contradiction = hear(all.clone(), 2, RefundState::Refused);
    let RefundNews::Contradiction(noted) = contradiction else { panic!("{contradiction:?}") };
    assert_eq!(noted.refunds, all.refunds);
}

#[test]
fn a_refused_refund_that_succeeded_after_all_is_believed_only_if_the_sums_allow() {
    let now = Timestamp::now();
    let done = counted(pay(open(now), 1, &paid("t1", AMOUNT, now), now));
    let first = done.begin_refund(JobId::generate(), fen(1_000), "a", now).unwrap();
    let hear = |bill: BillRecord, number, state| {
        bill.hear_of_refund(number, state, None, Source::Notify, "job", now).unwrap()
    };
    let RefundNews::Changed(refused) = hear(first, 1, RefundState::Refused) else { panic!() };
    let other = refused.clone().begin_refund(JobId::generate(), fen(1_000), "b", now).unwrap();

    assert!(matches!(hear(refused, 1, RefundState::Succeeded), RefundNews::Changed(_)));
    assert!(matches!(hear(other, 1, RefundState::Succeeded), RefundNews::Contradiction(_)));
}

#[test]
fn a_surplus_whose_refund_is_refused_is_held_again() {
    let now = Timestamp::now();
    let (held, _) = surplus(pay(open(now), 1, &paid("t1", AMOUNT - 1, now), now));
    let later = now + Duration::from_mins(5);
    let approve = |bill: BillRecord, number| {
        bill.approve_refund(number, JobId::generate(), "ada", "seen", now).unwrap()
    };
    let hear = |bill: BillRecord, number, state| {
        bill.hear_of_refund(number, state, Some("r"), Source::Query, "job", later).unwrap()
    };
    let changed = |news| match news {
        RefundNews::Changed(bill) => bill,
        other => panic!("{other:?}"),
    };
    let refused = changed(hear(approve(held, 1), 1, RefundState::Refused));

    assert_eq!(refused.refund(1).unwrap().state, RefundState::Refused);
    let again = refused.refund(2).unwrap();
    assert_eq!((again.state, again.amount), (RefundState::Held, fen(AMOUNT - 1)));
    assert_eq!((again.surplus, again.job), (Some(Surplus::OtherAmount), None));
    assert_eq!(refused.held_since, Some(later), "an operator hears of it");
    assert_eq!(hear(refused.clone(), 1, RefundState::Refused), RefundNews::Known);

    // The money went back after all: nobody may pay it back again.
    let back = changed(hear(refused.clone(), 1, RefundState::Succeeded));
    assert_eq!(back.refund(2).unwrap().state, RefundState::Dropped);
    assert_eq!((back.held_since, back.taken(1)), (None, AMOUNT - 1));
    // Unless somebody has begun to.
    let twice = hear(approve(refused, 2), 1, RefundState::Succeeded);
    assert!(matches!(twice, RefundNews::Contradiction(_)), "{twice:?}");
}

#[test]
fn a_surplus_that_is_always_refused_ends_some_day() {
    let now = Timestamp::now();
    let (mut bill, _) = surplus(pay(open(now), 1, &paid("t1", AMOUNT - 1, now), now));
    while bill.held_since.is_some() {
        let number = bill.refunds.last().unwrap().number;
        let sent = bill.approve_refund(number, JobId::generate(), "ada", "seen", now).unwrap();
        let state = RefundState::Refused;
        match sent.hear_of_refund(number, state, None, Source::Answer, "job", now).unwrap() {
            RefundNews::Changed(next) => bill = next,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bill.refunds.len(), 1 + MAX_RENEWALS);
}

#[test]
fn an_operator_ends_what_no_provider_tells_and_is_named() {
    let now = Timestamp::now();
    let said = open(now).settle_attempt(1, Some(&paid("t1", AMOUNT, now)), "ada", "letter", now);
    let done = counted(said.unwrap());
    assert_eq!(done.status, BillStatus::Paid);
    assert!(done.evidence.iter().any(|one| one.by == "ada" && one.what.contains("letter")));
    let closed = open(now).settle_attempt(1, None, "ada", "call", now).unwrap();
    assert_eq!(counted(closed).attempt(1).unwrap().state, AttemptState::Closed);

    let refund = done.begin_refund(JobId::generate(), fen(5), "x", now).unwrap();
    let settled = refund.settle_refund(1, true, "ada", "statement", now).unwrap();
    let RefundNews::Changed(settled) = settled else { panic!() };
    assert_eq!(settled.refunded(), 5);
    let again = settled.settle_refund(1, false, "ada", "no", now);
    assert_eq!(again, Err(BillRefusal::Ended));
}

#[test]
fn nothing_is_offered_on_a_bill_that_nobody_should_pay_any_more() {
    let now = Timestamp::now();
    let second = |bill: BillRecord| bill.begin_attempt(&way(Channel::UnionPay, Scene::App), 0, now);
    let begun = second(open(now)).unwrap();
    let paid = counted(pay(begun.clone(), 1, &paid("t1", AMOUNT, now), now));
    let closing = begun.clone().begin_closing(ClosingReason::Cancelled, now).unwrap();
    let late = begun.expires_at;
    let cases = [
        ("paid", paid, now, BillRefusal::Paid),
        ("being closed", closing, now, BillRefusal::Closed),
        ("overdue", begun, late, BillRefusal::Overdue),
    ];
    for (name, bill, at, refusal) in cases {
        assert_eq!(bill.may_pay(at), Err(refusal), "{name}");
        assert_eq!(bill.offer(2, offer(now), at), Err(refusal), "{name}");
    }
}

#[test]
fn a_refund_of_which_nothing_has_left_is_sent_as_of_now() {
    let now = Timestamp::now();
    let paid = counted(pay(open(now), 1, &paid("t1", AMOUNT, now), now));
    let job = JobId::generate();
    let sent = paid.begin_refund(job, fen(AMOUNT), "", now).unwrap();
    let later = now + Duration::from_mins(20);
    let again = sent.send_refund(1, later).unwrap();
    assert_eq!(again.refund(1).unwrap().sent_at, Some(later));

    let state = RefundState::Processing;
    let RefundNews::Changed(heard) =
        again.hear_of_refund(1, state, None, Source::Answer, "job", later).unwrap()
    else {
        panic!("it moves");
    };
    assert_eq!(heard.send_refund(1, later), Err(BillRefusal::Ended));
}

#[test]
fn a_hold_ends_with_what_its_run_tells() {
    let now = Timestamp::now();
    let until = now + Duration::from_secs(10);
    let begun = || bill(now).begin_attempt(&native(), 0, now).unwrap();
    let held = begun().held_by(Lease { holder: "one".to_owned(), until });
    assert_eq!(held.version, begun().version, "one change with the attempt");
    assert_eq!(held.attempts[0].held_until(), Some(until));
    assert_eq!(begun().release_attempt(1, now), Err(BillRefusal::Ended), "nobody holds it");

    let later = now + Duration::from_secs(1);
    let cases = [
        ("nothing was sent", held.clone().release_attempt(1, later), None),
        ("something may have been", held.clone().doubt_attempt(1, later), Some(later)),
        ("offered", held.clone().offer(1, offer(now), later), None),
        ("refused", held.clone().refuse_attempt(1, "NO", "job", later), None),
    ];
    for (name, after, until) in cases {
        let after = after.unwrap();
        assert_eq!(after.version, held.version + 1, "{name}");
        assert_eq!(after.attempts[0].held_until(), until, "{name}");
        assert_eq!(after.attempts[0].hold.is_some(), until.is_some(), "{name}");
    }
    let closed = held.close_attempt(1, Source::Query, "job", later).unwrap();
    assert_eq!(closed.attempts[0].held_until(), None, "there is nothing to do any more");
}
