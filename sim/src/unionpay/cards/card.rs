//! The test cards, which every merchant may use.

use crate::unionpay::message::Fail;

/// A card that the simulated UnionPay knows. Nothing about it is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestCard {
    /// Its number, 13 to 19 digits.
    pub number: &'static str,
    /// The phone that text messages go to, and that a merchant has to name.
    pub phone: &'static str,
    /// The three digits on the back of a credit card; a debit card has none.
    pub cvn2: Option<&'static str>,
    /// Year and month on the front of a credit card, `YYMM`; a debit card has none.
    pub expired: Option<&'static str>,
    /// Whether it is opened for payments without redirect from the start, at every merchant.
    pub opened: bool,
    /// The answer code with which its issuer declines every payment; nothing when it pays.
    pub declines_with: Option<&'static str>,
}

/// Every card there is; other numbers are answered with `61`.
pub const TEST_CARDS: [TestCard; 4] = [
    TestCard {
        number: "6216261000000000018",
        phone: "13552535506",
        cvn2: None,
        expired: None,
        opened: true,
        declines_with: None,
    },
    TestCard {
        number: "6221558812340000",
        phone: "13552535506",
        cvn2: Some("123"),
        expired: Some("2311"),
        opened: false,
        declines_with: None,
    },
    TestCard {
        number: "6200000000000005",
        phone: "13552535506",
        cvn2: None,
        expired: None,
        opened: true,
        declines_with: Some("64"),
    },
    TestCard {
        number: "6200000000000000026",
        phone: "18100000000",
        cvn2: None,
        expired: None,
        opened: true,
        declines_with: Some("60"),
    },
];

/// The code of every text message; any other is wrong.
pub const TEST_CODE: &str = "111111";

impl TestCard {
    /// Its number as it is shown: the first and the last four digits.
    #[must_use]
    pub fn masked(&self) -> String {
        mask(self.number, 4)
    }

    /// Whether it is a credit card, which is opened with more than its phone.
    #[must_use]
    pub const fn is_credit(&self) -> bool {
        self.cvn2.is_some()
    }

    /// UnionPay's `payCardType`.
    pub(super) const fn kind(&self) -> &'static str {
        if self.is_credit() { "02" } else { "01" }
    }

    /// Its phone as it is shown.
    pub(super) fn masked_phone(&self) -> String {
        mask(self.phone, 3)
    }
}

fn mask(digits: &str, first: usize) -> String {
    let hidden = first..digits.len().saturating_sub(4);
    let shown = |(n, digit)| if hidden.contains(&n) { '*' } else { digit };
    digits.chars().enumerate().map(shown).collect()
}

/// A number that a merchant sent encrypted. It cannot be printed but masked.
pub(super) struct Number(String);

impl Number {
    /// Takes 13 to 19 digits.
    pub(super) fn new(text: String) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        (digits && (13..=19).contains(&text.len())).then_some(Self(text))
    }

    pub(super) fn masked(&self) -> String {
        mask(&self.0, 4)
    }

    /// The card that has it.
    pub(super) fn card(&self) -> Result<&'static TestCard, Fail> {
        let known = find(&self.0);
        known.ok_or_else(|| Fail::new("61", "no card has this number[accNo]"))
    }
}

/// The card with this number.
pub(super) fn find(number: &str) -> Option<&'static TestCard> {
    TEST_CARDS.iter().find(|card| card.number == number)
}
