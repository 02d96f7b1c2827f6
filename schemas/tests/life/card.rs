//! The life of a card that is charged without the provider's page.

use std::time::Duration;

use schemas::{
    BillRecord, Channel, Scene, Timestamp,
    bill::{AttemptState, BillRefusal, ClosingReason, Source, Way},
};

use crate::bill::{AMOUNT, bill, counted, offer, paid, pay, way};

pub(crate) fn card(digest: &str) -> Way {
    Way {
        account: Some(digest.to_owned()),
        card: Some("621626*********0018".to_owned()),
        ..way(Channel::UnionPay, Scene::Native)
    }
}

/// A bill for which a code was sent.
fn with_code(now: Timestamp) -> BillRecord {
    bill(now).begin_attempt(&card("one"), 0, now).unwrap().offer(1, offer(now), now).unwrap()
}

#[test]
fn a_card_is_charged_once_its_code_was_sent_and_under_one_number() {
    let now = Timestamp::now();
    let unsent = bill(now).begin_attempt(&card("one"), 0, now).unwrap();
    assert_eq!(unsent.charge(1, now), Err(BillRefusal::Ended), "no code was sent");
    let other = bill(now).begin_attempt(&way(Channel::UnionPay, Scene::Native), 0, now).unwrap();
    let other = other.offer(1, offer(now), now).unwrap();
    assert_eq!(other.charge(1, now), Err(BillRefusal::Ended), "no card");

    let sent = with_code(now);
    assert_eq!(sent.chargeable("one").map(|attempt| attempt.number), Some(1));
    assert_eq!(sent.chargeable("two"), None);
    let later = now + Duration::from_secs(3);
    let charged = sent.charge(1, now).unwrap().charge(1, later).unwrap();
    let attempt = charged.attempt(1).unwrap();
    let uses = attempt.card.as_ref().unwrap();
    assert_eq!((uses.charged_at, uses.sent_at), (Some(now), Some(later)));
    assert!(attempt.is_charging() && !attempt.is_uncharged());
    assert_eq!(charged.chargeable("one"), None);
}

#[test]
fn nothing_else_is_charged_while_the_end_of_a_charge_is_not_known() {
    let now = Timestamp::now();
    let charged = with_code(now).charge(1, now).unwrap();
    for digest in ["one", "two"] {
        let another = charged.clone().begin_attempt(&card(digest), 1, now);
        assert_eq!(another, Err(BillRefusal::Charging), "{digest}");
    }
    assert_eq!(charged.may_charge(), Err(BillRefusal::Charging));

    let refused = charged.clone().refuse_attempt(1, "71", "job", now).unwrap();
    assert_eq!(refused.attempt(1).unwrap().state, AttemptState::Refused);
    assert!(refused.begin_attempt(&card("one"), 1, now).is_ok());
    let closed = charged.clone().close_attempt(1, Source::Notify, "job", now).unwrap();
    let refused = closed.refuse_attempt(1, "71", "job", now).unwrap();
    assert_eq!(refused.attempt(1).unwrap().state, AttemptState::Refused, "the answer says why");
    let uncharged = with_code(now).close_attempt(1, Source::Answer, "job", now).unwrap();
    assert_eq!(uncharged.refuse_attempt(1, "71", "job", now), Err(BillRefusal::Ended));
    let done = counted(pay(charged, 1, &paid("t1", AMOUNT, now), now));
    assert_eq!(done.charge(1, now), Err(BillRefusal::Paid));
}

#[test]
fn a_new_code_takes_the_place_of_the_one_before() {
    let now = Timestamp::now();
    let twice = with_code(now).begin_attempt(&card("one"), 1, now).unwrap();
    let twice = twice.offer(2, offer(now), now).unwrap();

    assert_eq!(twice.attempt(1).unwrap().state, AttemptState::Closed);
    assert_eq!(twice.clone().charge(1, now), Err(BillRefusal::Ended));
    assert_eq!(twice.chargeable("one").map(|attempt| attempt.number), Some(2));
    let page = way(Channel::UnionPay, Scene::Native);
    let beside = twice.begin_attempt(&page, 0, now).unwrap();
    assert_eq!(beside.attempt(2).unwrap().state, AttemptState::Open, "a page leaves it alone");
}

#[test]
fn a_bill_that_is_being_closed_is_charged_no_more() {
    let now = Timestamp::now();
    let closing = with_code(now).begin_closing(ClosingReason::Cancelled, now).unwrap();
    assert_eq!(closing.clone().charge(1, now), Err(BillRefusal::Closed));
    let closed = closing.close_attempt(1, Source::Answer, "job", now).unwrap();
    assert_eq!(closed.attempt(1).unwrap().state, AttemptState::Closed);

    let late = with_code(now).charge(1, now + Duration::from_hours(3));
    assert_eq!(late, Err(BillRefusal::Overdue));
}
