//! How a bill can be paid: through which provider, from what kind of client, under which number.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant = $number),+
        }

        impl $name {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its number in the public API and in the store.
            #[must_use]
            pub const fn number(self) -> i64 {
                self as i64
            }

            /// The one with `number`, if there is one.
            #[must_use]
            pub fn of_number(number: i64) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.number() == number)
            }

            /// Its name in addresses, settings, metrics and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|one| one.name() == text).ok_or(UnknownName)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_i64(self.number())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = i64::deserialize(deserializer)?;
                Self::of_number(number).ok_or_else(|| de::Error::custom(UnknownName))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "integer", "enum": [$($number),+] })
            }
        }
    };
}

/// The name or number stands for nothing.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[error("stands for nothing that Feat knows")]
pub struct UnknownName;

numbered! {
    /// A payment provider: `pay_method` of the public API.
    Channel {
        /// UnionPay.
        UnionPay = 0 "unionpay",
        /// Alipay.
        Alipay = 100 "alipay",
        /// WeChat Pay.
        WeChatPay = 200 "wechat_pay",
    }
}

numbered! {
    /// Where the payer is: `end_type` of the public API.
    Scene {
        /// Before a screen that shows a QR code, or a desktop page.
        Native = 0 "native",
        /// In an app on the phone.
        App = 100 "app",
        /// In a page inside the provider's own app, or a mini program.
        Jsapi = 200 "jsapi",
        /// In a browser on the phone.
        H5 = 300 "h5",
    }
}

/// A number that Feat gives a trade or a refund, under which the provider knows it: 8 to 32 ASCII
/// letters and digits, which every provider takes.
///
/// It is made once, stored before it is used, and the same on every retry: the provider does a
/// thing at most once for one number.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String")]
pub struct ProviderKey(String);

/// The text cannot be a number of a trade or a refund.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
#[error("expected 8 to 32 letters and digits")]
pub struct InvalidKey;

impl ProviderKey {
    /// The number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProviderKey {
    type Error = InvalidKey;

    fn try_from(text: String) -> Result<Self, InvalidKey> {
        let fits = (8..=32).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Self(text));
        }
        Err(InvalidKey)
    }
}

impl FromStr for ProviderKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn channels_and_scenes_travel_as_the_documented_numbers() {
        let numbers = serde_json::to_string(&(Channel::ALL, Scene::ALL)).unwrap();

        assert_eq!(numbers, "[[0,100,200],[0,100,200,300]]");
        assert_eq!(serde_json::from_str::<Channel>("200").unwrap(), Channel::WeChatPay);
        assert!(serde_json::from_str::<Channel>("300").is_err());
        assert!(serde_json::from_str::<Scene>("\"0\"").is_err());
    }

    #[test]
    fn names_lead_back() {
        assert!(Channel::ALL.iter().all(|one| one.name().parse() == Ok(*one)));
        assert!(Scene::ALL.iter().all(|one| one.name().parse() == Ok(*one)));
        assert_eq!("WeChatPay".parse::<Channel>(), Err(UnknownName));
    }

    #[test]
    fn keys_are_what_every_provider_takes() {
        let cases = [
            ("too short", "1234567", false),
            ("shortest", "12345678", true),
            ("longest", "12345678901234567890123456789012", true),
            ("too long", "123456789012345678901234567890123", false),
            ("hyphen", "12345678-1", false),
            ("underscore", "12345678_1", false),
            ("not ASCII", "1234567八", false),
        ];
        for (name, text, fits) in cases {
            assert_eq!(text.parse::<ProviderKey>().is_ok(), fits, "{name}");
        }
    }
}
