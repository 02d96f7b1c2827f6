//! Bank cards: read once, sealed at once, and shown masked.

use std::fmt;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// What the seal of a card's number is for.
pub const SEALED_CARD: &str = "card number";

/// What the seal of a card holder's telephone number is for.
pub const SEALED_PHONE: &str = "card phone";

/// What the seal of a code that came by text message is for.
pub const SEALED_TEXT_CODE: &str = "card text code";

/// A card as it is stored and sent: whoever reads the store learns its masked number alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealedCard {
    /// Tells two cards apart and says nothing about them.
    pub digest: String,
    /// The number, masked.
    pub shown: String,
    /// The number, sealed for [`SEALED_CARD`].
    pub number: String,
    /// The holder's telephone number, sealed for [`SEALED_PHONE`], where it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// The number of a bank card: 13 to 19 digits (ISO/IEC 7812-1). It does not print.
#[derive(Clone)]
pub struct CardNumber(SecretString);

/// The text cannot be the number of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 13 to 19 digits")]
pub struct InvalidCardNumber;

impl CardNumber {
    /// Reads a number; blanks between its digits, as cards print them, are left out.
    ///
    /// # Errors
    ///
    /// [`InvalidCardNumber`].
    pub fn read(text: &str) -> Result<Self, InvalidCardNumber> {
        let digits: String = text.chars().filter(|c| *c != ' ').take(20).collect();
        let fits = (13..=19).contains(&digits.len());
        if fits && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self(digits.into()));
        }
        Err(InvalidCardNumber)
    }

    /// The digits.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The first six and the last four digits, as much as PCI DSS 4.0 (requirement 3.4.1) lets
    /// people see.
    #[must_use]
    pub fn masked(&self) -> String {
        let number = self.expose();
        let middle = number.len().saturating_sub(10);
        let (first, last) = (number.get(..6), number.get(number.len().saturating_sub(4)..));
        format!("{}{}{}", first.unwrap_or_default(), "*".repeat(middle), last.unwrap_or_default())
    }
}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardNumber(…)")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_number_is_thirteen_to_nineteen_digits() {
        let cases = [
            ("shortest", "4000000000000", true),
            ("longest", "6216261000000000018", true),
            ("as printed", "6216 2610 0000 0000 018", true),
            ("too short", "400000000000", false),
            ("too long", "62162610000000000180", false),
            ("far too long", &"6".repeat(4000), false),
            ("hyphens", "6216-2610-0000-0000-018", false),
            ("other digits", "６２１６２６１０００００００００", false),
            ("empty", "", false),
        ];
        for (name, text, fits) in cases {
            assert_eq!(CardNumber::read(text).is_ok(), fits, "{name}");
        }
    }

    #[test]
    fn it_shows_six_and_four_digits_and_prints_none() {
        let card = CardNumber::read("6216261000000000018").unwrap();

        assert_eq!(card.masked(), "621626*********0018");
        assert_eq!(format!("{card:?}"), "CardNumber(…)");
        assert_eq!(CardNumber::read("4000001234567").unwrap().masked(), "400000***4567");
    }
}
