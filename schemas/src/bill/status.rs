//! What a client is told about a bill, as one of the documented numbers.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The state of a bill as its owner sees it; the number is the public API's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BillStatus {
    /// Made and not paid.
    Created = 0,
    /// Closed before it was paid.
    Cancelled = 100,
    /// Paid; perhaps a part was paid back.
    Paid = 200,
    /// Not paid in time.
    Overtime = 300,
    /// Money is on its way back.
    Refunding = 400,
    /// All of it was paid back.
    Refunded = 500,
}

impl BillStatus {
    /// All of them, by number.
    pub const ALL: [Self; 6] = [
        Self::Created,
        Self::Cancelled,
        Self::Paid,
        Self::Overtime,
        Self::Refunding,
        Self::Refunded,
    ];

    /// Its number in the public API and in the store.
    #[must_use]
    pub const fn number(self) -> i64 {
        self as i64
    }

    /// What operators call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Cancelled => "cancelled",
            Self::Paid => "paid",
            Self::Overtime => "overtime",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
        }
    }

    /// The one with `number`, if there is one.
    #[must_use]
    pub fn of_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.number() == number)
    }
}

impl Serialize for BillStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.number())
    }
}

impl<'de> Deserialize<'de> for BillStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        Self::of_number(number).ok_or_else(|| de::Error::custom("no status of a bill"))
    }
}

impl JsonSchema for BillStatus {
    fn schema_name() -> Cow<'static, str> {
        "BillStatus".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "enum": [0, 100, 200, 300, 400, 500] })
    }
}
