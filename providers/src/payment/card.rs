//! Cards that are charged without a provider's page.

use std::fmt;

use schemas::{
    Fen, ProviderKey, Timestamp,
    card::{CardNumber, SEALED_CARD, SEALED_PHONE, SealedCard},
};
use secrecy::{ExposeSecret, SecretString};

use super::TradeRef;
use crate::seal::{NotSealed, Sealer};

/// A card in clear, for as long as a call takes. It does not print.
#[derive(Clone)]
pub struct Card {
    pub(super) number: CardNumber,
    pub(super) phone: Option<SecretString>,
}

impl Card {
    /// The card `number`, with its holder's telephone number where it is asked for.
    #[must_use]
    pub const fn new(number: CardNumber, phone: Option<SecretString>) -> Self {
        Self { number, phone }
    }

    /// The card as it may be stored and sent.
    ///
    /// # Errors
    ///
    /// [`NotSealed`] when the system gives no randomness.
    pub fn seal(&self, sealer: &Sealer) -> Result<SealedCard, NotSealed> {
        let phone = self.phone.as_ref();
        let phone = phone.map(|phone| sealer.seal(SEALED_PHONE, phone.expose_secret()));
        Ok(SealedCard {
            digest: sealer.digest(SEALED_CARD, self.number.expose()),
            shown: self.number.masked(),
            number: sealer.seal(SEALED_CARD, self.number.expose())?,
            phone: phone.transpose()?,
        })
    }

    /// The card that was sealed with this key.
    ///
    /// # Errors
    ///
    /// [`NotSealed`] for anything else.
    pub fn open(sealer: &Sealer, kept: &SealedCard) -> Result<Self, NotSealed> {
        let number = sealer.open(SEALED_CARD, &kept.number)?;
        let number = CardNumber::read(number.expose_secret()).map_err(|_| NotSealed)?;
        let phone = kept.phone.as_ref().map(|phone| sealer.open(SEALED_PHONE, phone));
        Ok(Self { number, phone: phone.transpose()? })
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Card(…)")
    }
}

/// A question about a card, or the way to a page about it.
#[derive(Debug, Clone)]
pub struct CardAsk {
    /// Number of the question; the same on every retry.
    pub key: ProviderKey,
    /// When it is asked.
    pub at: Timestamp,
    /// The card.
    pub card: Card,
}

/// Whether a card can be charged without the provider's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardState {
    /// Its holder has opened it; with their telephone number, masked, if the provider shows it.
    Open(Option<String>),
    /// Its holder has to open it first, on the provider's page.
    NotOpen,
}

impl CardState {
    /// Whether the provider may know the card's holder by the telephone number of `card`: as far as
    /// it shows one.
    #[must_use]
    pub fn fits(&self, card: &Card) -> bool {
        let (Self::Open(Some(shown)), Some(phone)) = (self, &card.phone) else { return true };
        let (shown, phone) = (shown.as_bytes(), phone.expose_secret().as_bytes());
        let same = |(shown, told): (&u8, &u8)| *shown == b'*' || shown == told;
        let first = || shown.iter().zip(phone).take(3).all(same);
        let last = || shown.iter().rev().zip(phone.iter().rev()).take(4).all(same);
        first() && last()
    }
}

/// The code that shows whose a card is.
#[derive(Debug, Clone)]
pub struct CardProof {
    /// The card, with the number and the time under which the code was sent.
    pub asked: CardAsk,
    /// The code.
    pub code: SecretString,
}

/// What the provider says to a code that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofState {
    /// It is the right one.
    Proven,
    /// It is wrong or too old.
    WrongCode,
    /// The provider does not take this card.
    Refused,
    /// It was never tried.
    Untried,
}

/// A card to be charged.
#[derive(Debug, Clone)]
pub struct Charge {
    /// The trade for which the code was sent.
    pub trade: TradeRef,
    /// What is to be paid; the same sum for which the code was sent.
    pub amount: Fen,
    /// Absolute address of the notices about this trade, without a query string.
    pub notify_url: String,
    /// The card.
    pub card: Card,
    /// The code that its holder got by text message.
    pub code: SecretString,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_phone_is_compared_as_far_as_it_is_shown() {
        let cases = [
            (Some("135****5506"), "13552535506", true),
            (Some("135****5506"), "13600005506", false),
            (Some("135****5506"), "13552535507", false),
            (Some("135*5506"), "13552535506", true),
            (Some("135****55**"), "13552535599", true),
            (Some("*******5506"), "18100005506", true),
            (None, "18100000000", true),
        ];
        for (shown, phone, fits) in cases {
            let number = CardNumber::read("6216261000000000018").unwrap();
            let card = Card::new(number, Some(phone.into()));
            let state = CardState::Open(shown.map(str::to_owned));
            assert_eq!(state.fits(&card), fits, "{shown:?} {phone}");
        }
    }

    #[test]
    fn a_sealed_card_shows_its_mask_alone_and_opens_with_its_key() {
        let sealer = Sealer::ephemeral();
        let number = CardNumber::read("6216261000000000018").unwrap();
        let card = Card::new(number, Some("13552535506".into()));
        let kept = card.seal(&sealer).unwrap();

        let stored = serde_json::to_string(&kept).unwrap();
        assert!(!stored.contains("6216261") && !stored.contains("13552535506"), "{stored}");
        assert_eq!(kept.shown, "621626*********0018");
        assert_eq!(card.seal(&sealer).unwrap().digest, kept.digest);
        let opened = Card::open(&sealer, &kept).unwrap();
        assert_eq!(opened.number.expose(), "6216261000000000018");
        assert_eq!(opened.phone.unwrap().expose_secret(), "13552535506");
        assert!(Card::open(&Sealer::ephemeral(), &kept).is_err());
        let swapped = SealedCard { number: kept.phone.clone().unwrap(), ..kept };
        assert!(Card::open(&sealer, &swapped).is_err(), "a phone in the number's place");
    }
}
