//! Bills in an embedded folder.

use std::{path::Path, time::Duration};

use schemas::{
    BillRecord, BillSn, Channel, Currency, Fen, Scene, Timestamp, UserId,
    bill::{NewBill, Paid, PaymentNews, Source, Way},
};
use store::{Insert, Store};

const AMOUNT: i64 = 1_250;

/// An amount.
pub(crate) fn fen(fen: i64) -> Fen {
    Fen::new(fen).unwrap()
}

/// Does `work` on the store of `folder`.
pub(crate) fn on_store<T>(folder: &Path, work: impl AsyncFnOnce(&Store) -> T) -> T {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::sqlite(folder).await.unwrap();
        let made = work(&store).await;
        store.close().await;
        made
    })
}

/// Stores `bill`, however many changes made it.
pub(crate) async fn insert(store: &Store, bill: &mut BillRecord) {
    bill.version = 1;
    assert_eq!(store.bills.insert(bill).await.unwrap(), Insert::Stored);
}

/// Payment `number` of the whole sum.
pub(crate) fn paid(number: u32) -> Paid {
    let transaction_id = format!("420{number}");
    Paid { transaction_id, amount: fen(AMOUNT), at: Timestamp::now() }
}

/// A bill with two attempts, the first of which is paid.
pub(crate) fn paid_bill() -> BillRecord {
    let now = Timestamp::now();
    let new = NewBill {
        owner: UserId::generate(),
        amount: fen(AMOUNT),
        currency: Currency::Cny,
        subject: "tea".to_owned(),
        client_ref: None,
        expires_at: now + Duration::from_hours(2),
    };
    let way = Way {
        channel: Channel::WeChatPay,
        scene: Scene::Native,
        code: true,
        app: "official_account".to_owned(),
        account: None,
        card: None,
    };
    let bill = BillRecord::open(new, BillSn::generate(now), now);
    let bill = bill.begin_attempt(&way, 0, now).unwrap().begin_attempt(&way, 1, now).unwrap();
    match bill.pay(1, &paid(1), Source::Notify, "job", now).unwrap() {
        PaymentNews::Counted(bill) => bill,
        other => panic!("the first payment counts: {other:?}"),
    }
}
