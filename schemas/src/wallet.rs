//! What a user keeps for paying and being paid: cards, and which account is preferred for what.
//!
//! A wallet is one record, so that a user has one preferred account for each use whatever comes in at the
//! same moment. A card in it is sealed; nothing is charged without a code that its holder gets each time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    card::SealedCard,
    id::{AccountId, UserId},
    payment::{Channel, ProviderKey},
    time::Timestamp,
};

/// Most cards in a wallet.
pub const MAX_CARDS: usize = 20;

/// Within this time of a code no other one is sent for the same card.
pub const BETWEEN_CODES: Duration = Duration::from_mins(1);

/// How long a code counts after it was asked for.
pub const CODE_LIFE: Duration = Duration::from_mins(10);

/// The wallet of one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalletRecord {
    /// Whose it is.
    pub id: UserId,
    /// Counts the saved changes, from 1; 0 is a wallet that was never saved.
    pub version: u64,
    /// The kept cards, the oldest first; no two with the same number.
    pub cards: Vec<KeptCard>,
    /// The account that the user prefers to pay with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_payment: Option<AccountId>,
    /// The account that the user prefers to be paid to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_receipt: Option<AccountId>,
    /// The code that was asked for last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<CodeAsked>,
}

/// A card that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCard {
    /// Its id; of the owner's wallet alone.
    pub id: AccountId,
    /// The card, with its holder's telephone number.
    pub card: SealedCard,
    /// Number of the code that proved it.
    pub proof: ProviderKey,
    /// When it was kept.
    pub kept_at: Timestamp,
}

/// A code that the holder of a card was sent, to show that the card is theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeAsked {
    /// Digest of the card's number.
    pub card: String,
    /// Number under which the provider knows it.
    pub key: ProviderKey,
    /// When it was asked for; with `key` it names the code.
    pub at: Timestamp,
    /// It was tried, and does not count any more.
    pub spent: bool,
}

/// What an account is preferred for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// Paying.
    Payment,
    /// Being paid.
    Receipt,
}

/// The wallet has [`MAX_CARDS`] cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the wallet is full")]
pub struct WalletFull;

impl WalletRecord {
    /// The wallet of a user who keeps nothing.
    #[must_use]
    pub const fn empty(owner: UserId) -> Self {
        Self {
            id: owner,
            version: 0,
            cards: Vec::new(),
            default_payment: None,
            default_receipt: None,
            asked: None,
        }
    }

    /// The kept card `id`.
    #[must_use]
    pub fn card(&self, id: AccountId) -> Option<&KeptCard> {
        self.cards.iter().find(|kept| kept.id == id)
    }

    /// The card that the code with this number proved.
    #[must_use]
    pub fn proven_by(&self, key: &ProviderKey) -> Option<&KeptCard> {
        self.cards.iter().find(|kept| kept.proof == *key)
    }

    /// The code that was asked for so short a time before `now` that no other one is sent for the card
    /// with `digest`.
    #[must_use]
    pub fn recent(&self, digest: &str, now: Timestamp) -> Option<&CodeAsked> {
        self.awaited(digest, now).filter(|code| now < code.at + BETWEEN_CODES)
    }

    /// The code that still counts at `now` for the card with `digest`.
    #[must_use]
    pub fn awaited(&self, digest: &str, now: Timestamp) -> Option<&CodeAsked> {
        let asked = self.asked.as_ref();
        asked.filter(|code| code.card == digest && !code.spent && now < code.at + CODE_LIFE)
    }

    /// The wallet after `code` was asked for: the one before does not count any more.
    #[must_use]
    pub fn ask(&self, code: CodeAsked) -> Self {
        Self { asked: Some(code), version: self.version + 1, ..self.clone() }
    }

    /// The wallet after the code `key` was tried in vain; `None` when that changes nothing.
    #[must_use]
    pub fn spend(&self, key: &ProviderKey) -> Option<Self> {
        let asked = self.asked.as_ref().filter(|asked| asked.key == *key && !asked.spent)?;
        let asked = Some(CodeAsked { spent: true, ..asked.clone() });
        Some(Self { asked, version: self.version + 1, ..self.clone() })
    }

    /// Whether the card with `digest` has no place in it.
    #[must_use]
    pub fn is_full_for(&self, digest: &str) -> bool {
        let known = self.cards.iter().any(|kept| kept.card.digest == digest);
        !known && self.cards.len() >= MAX_CARDS
    }

    /// The wallet with `new`, which takes the place and the id of one with the same number.
    ///
    /// # Errors
    ///
    /// [`WalletFull`]: one has to be forgotten first.
    pub fn keep(&self, new: KeptCard) -> Result<Self, WalletFull> {
        if self.is_full_for(&new.card.digest) {
            return Err(WalletFull);
        }
        let spent = self.spend(&new.proof);
        let mut wallet =
            spent.unwrap_or_else(|| Self { version: self.version + 1, ..self.clone() });
        let same = wallet.cards.iter_mut().find(|kept| kept.card.digest == new.card.digest);
        match same {
            Some(kept) => *kept = KeptCard { id: kept.id, ..new },
            None => wallet.cards.push(new),
        }
        Ok(wallet)
    }

    /// The wallet without the card `id`, which is preferred for nothing any more; `None` when there
    /// is no such card.
    #[must_use]
    pub fn forget(&self, id: AccountId) -> Option<Self> {
        self.card(id)?;
        let other = |preferred: &AccountId| *preferred != id;
        Some(Self {
            version: self.version + 1,
            cards: self.cards.iter().filter(|kept| kept.id != id).cloned().collect(),
            default_payment: self.default_payment.filter(other),
            default_receipt: self.default_receipt.filter(other),
            ..self.clone()
        })
    }

    /// The wallet of a user who prefers the account `id` for `what`. The caller knows that there is
    /// such an account.
    #[must_use]
    pub fn prefer(&self, what: Preference, id: AccountId) -> Self {
        let mut wallet = Self { version: self.version + 1, ..self.clone() };
        match what {
            Preference::Payment => wallet.default_payment = Some(id),
            Preference::Receipt => wallet.default_receipt = Some(id),
        }
        wallet
    }
}

impl AccountId {
    /// The id of the account that a user has bound at `channel` by a consent: there is one at most, so
    /// it is the number of the channel. `None` for a channel that binds nobody.
    #[must_use]
    pub const fn bound_at(channel: Channel) -> Option<Self> {
        match channel {
            Channel::Alipay | Channel::WeChatPay => Self::new(channel.number()),
            Channel::UnionPay => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    const CODE: &str = "0123456789abcdef";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000 + seconds * 1_000_000)
    }

    fn kept(id: i64, digest: &str, proof: &str) -> KeptCard {
        KeptCard {
            id: AccountId::new(id).unwrap(),
            card: SealedCard {
                digest: digest.to_owned(),
                shown: "621626*********0018".to_owned(),
                number: "AAAA".to_owned(),
                phone: None,
            },
            proof: proof.parse().unwrap(),
            kept_at: at(0),
        }
    }

    fn asked(digest: &str) -> CodeAsked {
        let key = CODE.parse().unwrap();
        CodeAsked { card: digest.to_owned(), key, at: at(0), spent: false }
    }

    fn empty() -> WalletRecord {
        WalletRecord::empty(UserId::new(7).unwrap())
    }

    #[test]
    fn a_code_is_sent_once_a_minute_and_counts_for_ten() {
        let wallet = empty().ask(asked("one"));

        assert!(empty().recent("one", at(0)).is_none());
        assert!(wallet.recent("one", at(59)).is_some());
        assert!(wallet.recent("one", at(60)).is_none());
        assert!(wallet.recent("two", at(1)).is_none(), "another card");
        assert!(wallet.awaited("one", at(599)).is_some());
        assert!(wallet.awaited("one", at(600)).is_none());
        assert!(wallet.awaited("two", at(1)).is_none());

        let spent = wallet.spend(&CODE.parse().unwrap()).unwrap();
        assert!(spent.recent("one", at(1)).is_none(), "tried: a new one is sent at once");
        assert!(spent.awaited("one", at(1)).is_none());
        assert!(spent.spend(&CODE.parse().unwrap()).is_none());
        assert!(wallet.spend(&"otherotherother".parse().unwrap()).is_none());
    }

    #[test]
    fn a_card_is_kept_once_and_spends_its_code() {
        let wallet = empty().ask(asked("one")).keep(kept(1_000, "one", CODE)).unwrap();
        assert!(wallet.awaited("one", at(1)).is_none());
        assert_eq!(wallet.version, 2);
        assert_eq!(wallet.proven_by(&CODE.parse().unwrap()).unwrap().id.get(), 1_000);

        let again = wallet.keep(kept(2_000, "one", "anotheranother")).unwrap();
        assert_eq!(again.cards.len(), 1);
        assert_eq!(again.cards[0].id.get(), 1_000, "what names the card still does");
        assert!(again.proven_by(&CODE.parse().unwrap()).is_none());
    }

    #[test]
    fn a_full_wallet_takes_no_other_card() {
        let mut wallet = empty();
        for number in 0..MAX_CARDS {
            let id = 1_000 + i64::try_from(number).unwrap();
            wallet = wallet.keep(kept(id, &number.to_string(), CODE)).unwrap();
        }
        assert_eq!(wallet.keep(kept(9_000, "other", CODE)), Err(WalletFull));
        assert!(wallet.keep(kept(9_000, "3", CODE)).is_ok(), "one that is there already");
    }

    #[test]
    fn a_forgotten_card_is_preferred_for_nothing() {
        let id = AccountId::new(1_000).unwrap();
        let other = AccountId::bound_at(Channel::WeChatPay).unwrap();
        let wallet = empty().keep(kept(1_000, "one", CODE)).unwrap();
        let wallet = wallet.prefer(Preference::Payment, id).prefer(Preference::Receipt, other);

        assert_eq!(wallet.forget(other), None, "bound, not kept");
        let wallet = wallet.forget(id).unwrap();
        assert_eq!((wallet.default_payment, wallet.default_receipt), (None, Some(other)));
        assert!(wallet.cards.is_empty());
        assert_eq!(wallet.forget(id), None);
    }
}
