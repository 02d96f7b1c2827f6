//! How a device that gets Apple's pushes is named: app, environment and token.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// Longest token that Apple ever announced, in bytes.
const MAX_TOKEN: usize = 100;

/// Longest bundle id in bytes.
const MAX_BUNDLE_ID: usize = 155;

/// The text is not what it should be; sending it again changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAddress {
    /// Not an even number of hexadecimal digits, or none, or more than 200.
    #[error("a device token is 2 to 200 hexadecimal digits, an even number of them")]
    DeviceToken,
    /// Not letters, digits, hyphens and single dots, or longer than 155 bytes.
    #[error("a bundle id is letters, digits, hyphens and dots")]
    BundleId,
}

/// Which of Apple's two services a token belongs to. A token is valid in exactly one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ApnsEnvironment {
    /// Builds signed for development.
    Sandbox,
    /// The App Store and `TestFlight`.
    Production,
}

impl ApnsEnvironment {
    /// Both, in a fixed order.
    pub const ALL: [Self; 2] = [Self::Sandbox, Self::Production];

    /// Its name in the API, in records and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Production => "production",
        }
    }

    /// The other one: where a token that Apple does not know may belong.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Sandbox => Self::Production,
            Self::Production => Self::Sandbox,
        }
    }
}

impl fmt::Display for ApnsEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A device's address at Apple, for one app in one environment: opaque, in lower-case
/// hexadecimal digits.
///
/// Who has it and a key of the app's maker can reach the device, so `Debug` does not print it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DeviceToken(Box<str>);

impl DeviceToken {
    /// The digits, as they stand in Apple's address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceToken({} bytes)", self.0.len() / 2)
    }
}

impl FromStr for DeviceToken {
    type Err = NotAnAddress;

    /// Takes digits in either case and keeps them in lower case, so that one token has one text.
    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let length = text.len();
        let valid = length > 0
            && length.is_multiple_of(2)
            && length <= MAX_TOKEN * 2
            && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !valid {
            return Err(NotAnAddress::DeviceToken);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl<'de> Deserialize<'de> for DeviceToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for DeviceToken {
    fn schema_name() -> Cow<'static, str> {
        "DeviceToken".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9a-f]{2}){1,100}$" })
    }
}

/// An app by its bundle id, such as `com.example.notes`. Case counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BundleId(Box<str>);

impl BundleId {
    /// The id as it stands in Apple's topic.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BundleId {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let plain = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if text.len() > MAX_BUNDLE_ID || !text.split('.').all(plain) {
            return Err(NotAnAddress::BundleId);
        }
        Ok(Self(text.into()))
    }
}

impl<'de> Deserialize<'de> for BundleId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for BundleId {
    fn schema_name() -> Cow<'static, str> {
        "BundleId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[A-Za-z0-9-]+([.][A-Za-z0-9-]+)*$", "maxLength": 155 })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn only_whole_bytes_in_hexadecimal_are_a_device_token() {
        let longest = "ab".repeat(100);
        let too_long = "ab".repeat(101);
        let cases = [
            (
                "today's usual length",
                "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                true,
            ),
            ("one byte", "0f", true),
            ("upper case", "ABCDEF", true),
            ("longest", longest.as_str(), true),
            ("too long", too_long.as_str(), false),
            ("nothing", "", false),
            ("half a byte", "abc", false),
            ("not hexadecimal", "xyzw", false),
            ("a path", "../../12", false),
            ("a line break", "ab\r\n", false),
            ("digits of another script", "١٢", false),
        ];
        for (name, text, valid) in cases {
            assert_eq!(text.parse::<DeviceToken>().is_ok(), valid, "{name}");
        }
    }

    #[test]
    fn one_token_has_one_text_and_is_not_printed() {
        let token: DeviceToken = "ABcd".parse().unwrap();

        assert_eq!(token, "abCD".parse().unwrap());
        assert_eq!(token.as_str(), "abcd");
        assert_eq!(format!("{token:?}"), "DeviceToken(2 bytes)");
        assert_eq!(serde_json::from_str::<DeviceToken>("\"ABCD\"").unwrap(), token);
    }

    #[test]
    fn only_plain_names_are_bundle_ids() {
        let too_long = "a".repeat(MAX_BUNDLE_ID + 1);
        let cases = [
            ("usual", "com.example.notes", true),
            ("with a hyphen", "com.example.my-notes", true),
            ("nothing", "", false),
            ("ends with a dot", "com.example.", false),
            ("two dots", "com..example", false),
            ("space", "com.example notes", false),
            ("header injection", "com.example\r\nx: y", false),
            ("long", too_long.as_str(), false),
        ];
        for (name, text, valid) in cases {
            assert_eq!(text.parse::<BundleId>().is_ok(), valid, "{name}");
        }
    }
}
