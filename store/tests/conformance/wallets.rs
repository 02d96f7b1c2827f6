//! What users keep for paying and being paid.

use futures::future::join_all;
use schemas::{
    AccountId, Channel, UserId,
    card::SealedCard,
    wallet::{CodeAsked, KeptCard, Preference, WalletRecord},
};
use store::Save;

use crate::{
    place::Place,
    sample::{at, user},
};

const CODE: &str = "0123456789abcdef";

fn card(number: i64) -> KeptCard {
    KeptCard {
        id: AccountId::new(1_000 + number).expect("id"),
        card: SealedCard {
            digest: number.to_string(),
            shown: "621626*********0018".to_owned(),
            number: "AAAA".to_owned(),
            phone: Some("BBBB".to_owned()),
        },
        proof: CODE.parse().expect("key"),
        kept_at: at(0),
    }
}

fn with(owner: UserId, number: i64) -> WalletRecord {
    WalletRecord::empty(owner).keep(card(number)).expect("room")
}

pub(crate) async fn a_wallet_is_its_owners_and_comes_back_as_it_was(place: &Place) {
    let wallets = &place.store.wallets;
    assert_eq!(wallets.get(user(7)).await, Ok(WalletRecord::empty(user(7))));
    let first = with(user(7), 1);
    assert_eq!(wallets.save(&first).await, Ok(Save::Stored));
    assert_eq!(wallets.save(&first).await, Ok(Save::Stale), "it is not the first any more");

    let key = CODE.parse().expect("key");
    let asked = CodeAsked { card: "2".to_owned(), key, at: at(1), spent: false };
    let bound = AccountId::bound_at(Channel::WeChatPay).expect("id");
    let next = first.ask(asked).prefer(Preference::Receipt, bound);
    let next = WalletRecord { version: 2, ..next.prefer(Preference::Payment, first.cards[0].id) };
    assert_eq!(wallets.save(&next).await, Ok(Save::Stored));
    assert_eq!(wallets.get(user(7)).await, Ok(next));
    assert_eq!(wallets.get(user(8)).await, Ok(WalletRecord::empty(user(8))));
}

pub(crate) async fn of_several_changes_of_one_wallet_one_is_saved(place: &Place) {
    let wallets = &place.store.wallets;
    for version in [1, 2] {
        let changes = (0..8).map(|number| WalletRecord { version, ..with(user(9), number) });
        let changes: Vec<_> = changes.collect();
        let saved = join_all(changes.iter().map(|change| wallets.save(change))).await;
        let stored: Vec<_> = saved.iter().filter(|save| **save == Ok(Save::Stored)).collect();
        assert_eq!(stored.len(), 1, "{saved:?}");
        let winner = saved.iter().position(|save| *save == Ok(Save::Stored)).expect("one");
        assert_eq!(wallets.get(user(9)).await.as_ref(), Ok(&changes[winner]));
    }
}
