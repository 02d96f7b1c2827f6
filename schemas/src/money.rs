//! Money: whole fen, never a floating-point number, never mixed with the yuan text of providers.
//!
//! Feat counts in fen, the hundredth of a yuan. Providers that write yuan get their text from
//! [`Fen::to_yuan`] and are read by [`fen_of_yuan`]; both are exact or fail.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// An amount of money in fen: 1 to [`Fen::MAX`]. Nobody pays or is paid back nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Fen(i64);

/// The number is no amount that can be paid.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[error("expected a whole amount in fen from 1 to 10000000000")]
pub struct InvalidAmount;

impl Fen {
    /// The largest amount: 100,000,000.00 yuan, the most that every provider takes.
    pub const MAX: Self = Self(10_000_000_000);

    /// The amount `fen`, if it lies between 1 and [`Self::MAX`].
    #[must_use]
    pub const fn new(fen: i64) -> Option<Self> {
        if fen >= 1 && fen <= Self::MAX.0 { Some(Self(fen)) } else { None }
    }

    /// The amount as a number of fen.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Both together, or nothing when that exceeds [`Self::MAX`].
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        Self::new(self.0 + other.0)
    }

    /// What is left without `other`, or nothing when nothing is left.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        Self::new(self.0 - other.0)
    }

    /// The amount in yuan with exactly two decimals, such as `88.88`.
    #[must_use]
    pub fn to_yuan(self) -> String {
        format!("{}.{:02}", self.0 / 100, self.0 % 100)
    }

    /// Reads a positive amount in yuan; see [`fen_of_yuan`] about its form.
    ///
    /// # Errors
    ///
    /// [`InvalidAmount`] for any other text, zero and what lies outside the range.
    pub fn from_yuan(text: &str) -> Result<Self, InvalidAmount> {
        fen_of_yuan(text).and_then(Self::new).ok_or(InvalidAmount)
    }
}

/// Reads yuan, such as `88.88`, `0.1`, `5` or `-3.00`, as fen. Exact: at most two decimals, no
/// sign but a minus, no blanks, no exponent, no needless zero in front; else nothing.
///
/// For what providers report, where sums may be zero and movements negative.
#[must_use]
pub fn fen_of_yuan(text: &str) -> Option<i64> {
    thousandths_of_yuan(text, 2)?.checked_div(1_000)
}

/// Reads a fee in yuan with up to five decimals, such as `0.00600`, in thousandths of a fen.
///
/// Providers count fees more finely than money. Otherwise as [`fen_of_yuan`].
#[must_use]
pub fn fee_of_yuan(text: &str) -> Option<i64> {
    thousandths_of_yuan(text, 5)
}

/// Thousandths of a fen of a text in yuan with at most `decimals` (up to five) decimals.
fn thousandths_of_yuan(text: &str, decimals: usize) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, part) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(both) => both,
        None => (digits, ""),
    };
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = !whole.is_empty() && (whole == "0" || !whole.starts_with('0'));
    if !canonical || whole.len() > 12 || part.len() > decimals || !plain(whole) || !plain(part) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let part: i64 = format!("{part:0<5}").parse().ok()?;
    whole.checked_mul(100_000)?.checked_add(part).map(|amount| amount * sign)
}

impl fmt::Display for Fen {
    /// Shows the number of fen.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<i64> for Fen {
    type Error = InvalidAmount;

    fn try_from(fen: i64) -> Result<Self, InvalidAmount> {
        Self::new(fen).ok_or(InvalidAmount)
    }
}

impl<'de> Deserialize<'de> for Fen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(i64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for Fen {
    fn schema_name() -> Cow<'static, str> {
        "Fen".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": Self::MAX.0 })
    }
}

/// A currency that Feat takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
pub enum Currency {
    /// Renminbi.
    #[default]
    #[serde(rename = "CNY")]
    Cny,
}

impl Currency {
    /// The code of ISO 4217.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Cny => "CNY",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yuan_is_made_and_read_exactly() {
        for fen in [1, 9, 10, 99, 100, 101, 8_888, 123_456_789, Fen::MAX.get()] {
            let amount = Fen::new(fen);
            let text = amount.map(Fen::to_yuan).unwrap_or_default();

            assert_eq!(Fen::from_yuan(&text).ok(), amount, "{text}");
        }
        assert_eq!(Fen::new(5).map(Fen::to_yuan).as_deref(), Some("0.05"));
    }

    #[test]
    fn texts_that_are_no_yuan_are_refused() {
        let cases = [
            ("empty", ""),
            ("only a point", "."),
            ("no whole part", ".50"),
            ("no decimals after the point", "1."),
            ("three decimals", "1.005"),
            ("exponent", "1e2"),
            ("plus", "+1.00"),
            ("blank", " 1.00"),
            ("zero in front", "01.00"),
            ("minus alone", "-"),
            ("two points", "1.0.0"),
            ("other digits", "１.00"),
            ("too long", "1234567890123.00"),
        ];
        for (name, text) in cases {
            assert_eq!(fen_of_yuan(text), None, "{name}");
        }
        let none = ["0.00", "-1.00", "100000000.01"];
        assert!(none.iter().all(|text| Fen::from_yuan(text).is_err()));
    }

    #[test]
    fn reported_sums_may_be_zero_or_negative() {
        let cases = [("0.00", 0), ("-3.00", -300), ("0.1", 10), ("5", 500)];
        for (text, fen) in cases {
            assert_eq!(fen_of_yuan(text), Some(fen), "{text}");
        }
        assert_eq!(fee_of_yuan("0.00600"), Some(600));
        assert_eq!(fee_of_yuan("-0.01000"), Some(-1_000));
        assert_eq!(fee_of_yuan("0.000001"), None);
    }

    #[test]
    fn sums_stay_in_the_range() {
        let one = Fen(1);

        assert_eq!(Fen::MAX.checked_add(one), None);
        assert_eq!(one.checked_sub(one), None);
        assert_eq!(Fen(3).checked_sub(one), Some(Fen(2)));
    }
}
