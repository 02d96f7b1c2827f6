//! Accounts at providers, and the consents that bind them.

use std::time::Duration;

use futures::future::join_all;
use schemas::{
    Channel, Timestamp, UserId,
    binding::{BindStateRecord, BindingRecord, Purpose},
    kinds::pay_create::SealedPayer,
};
use store::{Insert, Save};

use crate::{
    place::Place,
    sample::{at, user},
};

fn binding(owner: UserId, channel: Channel, account: &str) -> BindingRecord {
    BindingRecord {
        id: BindingRecord::id_of(owner, channel),
        version: 1,
        owner,
        channel,
        app: "web".to_owned(),
        account: SealedPayer { digest: account.to_owned(), sealed: "AAAA".to_owned() },
        union_account: None,
        profile: Some("BBBB".to_owned()),
        bound_at: at(0),
    }
}

fn consent(number: u64, expires_at: Timestamp) -> BindStateRecord {
    BindStateRecord {
        id: format!("{number:064x}"),
        version: 1,
        owner: user(7),
        channel: Channel::Alipay,
        app: "web".to_owned(),
        purpose: Purpose::Bind,
        redirect_to: "https://app.example.com/".to_owned(),
        created_at: at(0),
        expires_at,
        browser: None,
        asked_at: None,
        used_at: None,
    }
}

pub(crate) async fn an_account_is_one_for_each_user_and_provider(place: &Place) {
    let bindings = &place.store.bindings;
    let first = binding(user(7), Channel::Alipay, "one");
    let others =
        [binding(user(7), Channel::WeChatPay, "one"), binding(user(8), Channel::Alipay, "one")];
    for new in others.iter().chain([&first]) {
        assert_eq!(bindings.insert(new).await, Ok(Insert::Stored));
        assert_eq!(bindings.insert(new).await, Ok(Insert::Taken));
    }
    let next = BindingRecord { version: 2, ..binding(user(7), Channel::Alipay, "two") };
    assert_eq!(bindings.save(&next).await, Ok(Save::Stored));
    assert_eq!(bindings.save(&next).await, Ok(Save::Stale));

    assert_eq!(bindings.get(user(7), Channel::Alipay).await, Ok(Some(next)));
    assert_eq!(bindings.get(user(8), Channel::Alipay).await, Ok(Some(others[1].clone())));
    assert_eq!(bindings.get(user(9), Channel::Alipay).await, Ok(None));
}

pub(crate) async fn an_account_is_forgotten_as_it_was_seen(place: &Place) {
    let bindings = &place.store.bindings;
    let seen = binding(user(7), Channel::WeChatPay, "one");
    let others =
        [binding(user(7), Channel::Alipay, "one"), binding(user(8), Channel::WeChatPay, "one")];
    for new in others.iter().chain([&seen]) {
        assert_eq!(bindings.insert(new).await, Ok(Insert::Stored));
    }
    let changed = BindingRecord { version: 2, ..binding(user(7), Channel::WeChatPay, "two") };
    assert_eq!(bindings.save(&changed).await, Ok(Save::Stored));

    assert_eq!(bindings.remove(&seen).await, Ok(false), "it has changed since");
    let removals = join_all((0..20).map(|_| bindings.remove(&changed))).await;
    let removed = removals.into_iter().map(Result::unwrap).filter(|removed| *removed).count();
    assert_eq!(removed, 1);
    assert_eq!(bindings.get(user(7), Channel::WeChatPay).await, Ok(None));

    let again = BindingRecord { bound_at: at(9), ..seen.clone() };
    assert_eq!(bindings.insert(&again).await, Ok(Insert::Stored));
    assert_eq!(bindings.remove(&seen).await, Ok(false), "it was bound anew since");
    assert_eq!(bindings.get(user(7), Channel::WeChatPay).await, Ok(Some(again)));
    for other in others {
        assert_eq!(bindings.get(other.owner, other.channel).await, Ok(Some(other)));
    }
}

pub(crate) async fn a_consent_is_used_once_and_forgotten_in_time(place: &Place) {
    let bindings = &place.store.bindings;
    for number in [1, 2, 3] {
        let begun = consent(number, at(60 * number));
        assert_eq!(bindings.begin(&begun).await, Ok(Insert::Stored));
        assert_eq!(bindings.begin(&begun).await, Ok(Insert::Taken));
    }
    let id = format!("{:064x}", 1);
    let uses = (0..20).map(|_| async {
        let read = bindings.state(&id).await.unwrap().unwrap();
        match read.consume(Channel::Alipay, at(1)) {
            Some(used) => bindings.save_state(&used).await.unwrap(),
            None => Save::Stale,
        }
    });
    let saves = join_all(uses).await;
    assert_eq!(saves.iter().filter(|save| **save == Save::Stored).count(), 1);

    let before = at(120) + Duration::from_micros(1);
    assert_eq!(bindings.remove_expired(before, 1).await, Ok(1));
    assert_eq!(bindings.state(&id).await, Ok(None), "the earliest first");
    assert_eq!(bindings.remove_expired(before, 9).await, Ok(1));
    assert!(bindings.state(&format!("{:064x}", 3)).await.unwrap().is_some());
}
