//! Bills: owners, references, guarded changes, and what operators look for.

use futures::future::join_all;
use schemas::{
    BillRecord, BillStatus, Channel, Fen, JobId, Scene,
    bill::{ClosingReason, Paid, PaymentNews, Source, Way},
};
use store::{BillFilter, BillSearch, Insert, Save};

use crate::{
    place::Place,
    sample::{at, bill_of, user},
};

async fn store_all(place: &Place, bills: &[BillRecord]) {
    for bill in bills {
        assert_eq!(place.store.bills.insert(bill).await, Ok(Insert::Stored));
    }
}

fn way() -> Way {
    Way {
        channel: Channel::WeChatPay,
        scene: Scene::Native,
        code: false,
        app: "official_account".to_owned(),
        account: None,
        card: None,
    }
}

/// The bill, paid with `amount` so many seconds after 2026-01-01.
fn paid(bill: BillRecord, amount: i64, seconds: u64) -> BillRecord {
    let now = at(seconds);
    let amount = Fen::new(amount).unwrap();
    let paid = Paid { transaction_id: "4200".to_owned(), amount, at: now };
    let begun = bill.begin_attempt(&way(), 0, now).unwrap();
    match begun.pay(1, &paid, Source::Query, "job", now).unwrap() {
        PaymentNews::Counted(bill) | PaymentNews::Surplus(bill, _) => bill,
        other => panic!("{other:?}"),
    }
}

/// Saves the versions between, which `next` came from.
async fn save_as(place: &Place, first: &BillRecord, next: &BillRecord) {
    for version in first.version + 1..=next.version {
        let step = BillRecord { version, ..next.clone() };
        assert_eq!(place.store.bills.save(&step).await, Ok(Save::Stored));
    }
}

pub(crate) async fn a_bill_comes_back_as_it_was_stored_and_only_to_its_owner(place: &Place) {
    let bills = &place.store.bills;
    let first = bill_of(user(7), 0);
    store_all(place, std::slice::from_ref(&first)).await;
    let next = paid(first.clone(), 1_250, 9);
    save_as(place, &first, &next).await;

    assert_eq!(bills.insert(&first).await, Ok(Insert::Taken));
    assert_eq!(bills.get(&first.id).await, Ok(Some(next.clone())));
    assert_eq!(bills.get_owned(user(7), &first.id).await, Ok(Some(next)));
    assert_eq!(bills.get_owned(user(8), &first.id).await, Ok(None));
    assert_eq!(bills.get(&bill_of(user(7), 5).id).await, Ok(None));
}

pub(crate) async fn a_client_reference_is_taken_once_for_each_owner(place: &Place) {
    let bills = &place.store.bills;
    let named = |owner| BillRecord { client_ref: Some("o-1".to_owned()), ..bill_of(owner, 0) };
    let (mine, again, foreign) = (named(user(7)), named(user(7)), named(user(8)));
    store_all(place, &[bill_of(user(7), 1), bill_of(user(7), 1)]).await;

    assert_eq!(bills.insert(&mine).await, Ok(Insert::Stored));
    assert_eq!(bills.insert(&again).await, Ok(Insert::Taken));
    assert_eq!(bills.insert(&foreign).await, Ok(Insert::Stored));
    assert_eq!(bills.by_client_ref(user(7), "o-1").await, Ok(Some(mine)));
    assert_eq!(bills.by_client_ref(user(8), "o-1").await, Ok(Some(foreign)));
    assert_eq!(bills.by_client_ref(user(9), "o-1").await, Ok(None));
}

pub(crate) async fn of_many_changes_of_one_version_one_wins(place: &Place) {
    let first = bill_of(user(7), 0);
    let start = paid(first.clone(), 1_250, 9);
    store_all(place, std::slice::from_ref(&first)).await;
    save_as(place, &first, &start).await;
    let tries = (0..200).map(|n| {
        let amount = Fen::new(n + 1).unwrap();
        start.clone().begin_refund(JobId::generate(), amount, "r", at(10)).unwrap()
    });
    let tries: Vec<_> = tries.collect();
    let answers = join_all(tries.iter().map(|next| place.store.bills.save(next))).await;

    let won = answers.iter().filter(|answer| **answer == Ok(Save::Stored)).count();
    let stale = answers.iter().filter(|answer| **answer == Ok(Save::Stale)).count();
    assert_eq!((won, stale), (1, 199));
    let kept = place.store.bills.get(&first.id).await.unwrap().unwrap();
    assert!(tries.contains(&kept));
}

pub(crate) async fn bills_are_listed_newest_first_by_owner_and_status(place: &Place) {
    let bills: Vec<_> = (0..4).map(|n| bill_of(user(7), n * 10)).collect();
    store_all(place, &bills).await;
    store_all(place, &[bill_of(user(8), 5)]).await;
    let done = paid(bills[1].clone(), 1_250, 50);
    save_as(place, &bills[1], &done).await;
    let closing = bills[2].clone().begin_closing(ClosingReason::Cancelled, at(60)).unwrap();
    let closed = closing.finish_closing(at(60)).unwrap();
    save_as(place, &bills[2], &closed).await;
    let cases = [
        ("all", vec![], vec![3, 2, 1, 0]),
        ("paid", vec![BillStatus::Paid], vec![1]),
        ("not paid", vec![BillStatus::Created, BillStatus::Cancelled], vec![3, 2, 0]),
        ("none", vec![BillStatus::Refunded], vec![]),
    ];
    for (name, statuses, expected) in cases {
        let filter = BillFilter { owner: user(7), statuses };
        let found = place.store.bills.list(&filter, 0, 100).await.unwrap();
        let count = place.store.bills.count(&filter).await.unwrap();
        let places: Vec<_> = found
            .iter()
            .map(|found| bills.iter().position(|bill| bill.id == found.id).unwrap())
            .collect();
        assert_eq!(places, expected, "{name}");
        assert_eq!(usize::try_from(count).unwrap(), expected.len(), "{name}");
    }
    let filter = BillFilter { owner: user(7), statuses: vec![] };
    let page = place.store.bills.list(&filter, 1, 2).await.unwrap();
    assert_eq!(page.iter().map(|bill| &bill.id).collect::<Vec<_>>(), [&bills[2].id, &bills[1].id]);
}

pub(crate) async fn operators_find_bills_by_user_status_and_time(place: &Place) {
    let bills: Vec<_> = (0..5).map(|n| bill_of(user(7 + n % 2), n.unsigned_abs() * 10)).collect();
    store_all(place, &bills).await;
    let done = paid(bills[2].clone(), 1_250, 50);
    save_as(place, &bills[2], &done).await;
    let any = BillSearch::default;
    let (from, before) = (Some(at(10)), Some(at(30)));
    let cases = [
        ("all", any(), vec![4, 3, 2, 1, 0]),
        ("of one user", BillSearch { owner: Some(user(7)), ..any() }, vec![4, 2, 0]),
        ("paid", BillSearch { statuses: vec![BillStatus::Paid], ..any() }, vec![2]),
        ("since", BillSearch { made_from: from, ..any() }, vec![4, 3, 2, 1]),
        ("until", BillSearch { made_before: before, ..any() }, vec![2, 1, 0]),
        ("between", BillSearch { made_from: from, made_before: before, ..any() }, vec![2, 1]),
    ];
    for (name, search, expected) in cases {
        for page in [1, 2, 100] {
            let mut found = Vec::new();
            loop {
                let after = found.last().map(|bill: &BillRecord| bill.id.clone());
                let more = place.store.bills.search(&search, after.as_ref(), page).await.unwrap();
                found.extend(more.iter().cloned());
                if more.len() < page {
                    break;
                }
            }
            let places: Vec<_> = found
                .iter()
                .map(|found| bills.iter().position(|bill| bill.id == found.id).unwrap())
                .collect();
            assert_eq!(places, expected, "{name}, {page} a page");
        }
    }
}

pub(crate) async fn held_refunds_are_found_longest_waiting_first(place: &Place) {
    let bills: Vec<_> = (0..3).map(|n| bill_of(user(7 + n), 0)).collect();
    store_all(place, &bills).await;
    for (bill, seconds) in [(&bills[0], 30), (&bills[2], 20)] {
        save_as(place, bill, &paid(bill.clone(), 77, seconds)).await;
    }
    save_as(place, &bills[1], &paid(bills[1].clone(), 1_250, 10)).await;

    let held = place.store.bills.held(None, 10).await.unwrap();
    assert_eq!(held.iter().map(|bill| &bill.id).collect::<Vec<_>>(), [&bills[2].id, &bills[0].id]);
    let later = place.store.bills.held(Some(at(20)), 10).await.unwrap();
    assert_eq!(later.len(), 1);
}

pub(crate) async fn bills_whose_money_moved_come_once_each_in_the_order_of_time(place: &Place) {
    // Two of one moment, one earlier, one later, and one whose money never moved.
    let bills: Vec<_> = (0..5).map(|n| bill_of(user(7 + n % 2), 0)).collect();
    store_all(place, &bills).await;
    for (bill, seconds) in bills.iter().zip([30, 20, 30, 40]) {
        save_as(place, bill, &paid(bill.clone(), 1_250, seconds)).await;
    }
    let mut twins = [bills[0].id.clone(), bills[2].id.clone()];
    twins.sort();
    let [first, second] = twins;
    let expected = [bills[1].id.clone(), first, second, bills[3].id.clone()];

    for size in [1, 2, 9] {
        let (mut found, mut after) = (Vec::new(), at(20).to_string());
        loop {
            let page = place.store.bills.moved(&after, size).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.moved.clone().unwrap();
            found.extend(page.into_iter().map(|bill| bill.id));
        }
        assert_eq!(found, expected, "by {size}");
    }
    let later = place.store.bills.moved(&at(31).to_string(), 9).await.unwrap();
    assert_eq!(later.len(), 1);
}
