//! The number of a bill, and the numbers made from it.

use std::{borrow::Cow, fmt, str::FromStr};

use rand::RngExt;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{id::InvalidId, payment::ProviderKey, time::Timestamp};

/// Digits of a number.
const DIGITS: usize = 27;

/// The number of a bill: 27 digits, of which the first 14 are the UTC time of its creation
/// (`YYYYMMDDhhmmss`) and the others random.
///
/// Two bills of one second meet with odds of one in ten thousand billion, so whoever inserts one
/// must be ready to take another number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BillSn(String);

impl BillSn {
    /// A new number for a bill that is made at `now`.
    #[must_use]
    pub fn generate(now: Timestamp) -> Self {
        let random: u64 = rand::rng().random_range(0..10_000_000_000_000);
        Self(format!("{}{random:013}", now.to_chrono().format("%Y%m%d%H%M%S")))
    }

    /// No number of a bill that is made in the second of `at`, or later, is smaller.
    #[must_use]
    pub fn least_of(at: Timestamp) -> Self {
        Self(format!("{}{:013}", at.to_chrono().format("%Y%m%d%H%M%S"), 0))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number under which a provider knows attempt `number` of this bill (`out_trade_no`,
    /// UnionPay's `orderId`).
    #[must_use]
    pub fn attempt_key(&self, number: u32) -> ProviderKey {
        key(format!("{}{number:02}", self.0))
    }

    /// The number under which a provider knows refund `number` of this bill (`out_refund_no`).
    #[must_use]
    pub fn refund_key(&self, number: u32) -> ProviderKey {
        key(format!("{}R{number:03}", self.0))
    }

    /// The bill that a number at a provider was made from, if one of ours was.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        key.get(..DIGITS)?.parse().ok()
    }
}

#[expect(clippy::expect_used, reason = "27 digits and at most five letters and digits more")]
fn key(text: String) -> ProviderKey {
    ProviderKey::try_from(text).expect("27 to 32 letters and digits")
}

impl FromStr for BillSn {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let fits = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidId) }
    }
}

impl fmt::Display for BillSn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for BillSn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BillSn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for BillSn {
    fn schema_name() -> Cow<'static, str> {
        "BillSn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]{27}$" })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn a_number_begins_with_its_time_and_leads_back() {
        let now = Timestamp::from_micros(1_706_933_106_123_456);
        let sn = BillSn::generate(now);

        assert!(sn.as_str().starts_with("20240203040506"), "{sn}");
        assert_eq!(sn.to_string().parse(), Ok(sn.clone()));
        for key in [sn.attempt_key(1), sn.attempt_key(99), sn.refund_key(1), sn.refund_key(999)] {
            assert_eq!(BillSn::of_key(key.as_str()).as_ref(), Some(&sn), "{key}");
        }
        assert_ne!(sn.attempt_key(1), sn.attempt_key(2));
        assert!(BillSn::least_of(now) <= sn);
        assert!(BillSn::least_of(now + Duration::from_secs(1)) > sn);
    }

    #[test]
    fn what_is_no_number_of_a_bill_is_refused() {
        let cases = [
            ("short", "20240203040506123456789012"),
            ("long", "2024020304050612345678901234"),
            ("letters", "2024020304050612345678901x3"),
            ("not ASCII", "２02402030405061234567890123"),
        ];
        for (name, text) in cases {
            assert!(text.parse::<BillSn>().is_err(), "{name}");
        }
        assert_eq!(BillSn::of_key("short"), None);
        assert_eq!(serde_json::from_str::<BillSn>("\"1\"").ok(), None);
        assert!(serde_json::to_string(&BillSn::generate(Timestamp::now())).unwrap().len() == 29);
    }
}
