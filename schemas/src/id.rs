//! Names of things: users, images, jobs, devices, sessions and clients.
//!
//! A number that clients see stays below 2^53, so that a JavaScript client reads it exactly. No
//! id comes from a central counter: any process makes one, and the store refuses the rare double.

use std::{
    borrow::Cow,
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::time::Timestamp;

/// The largest number that JSON readers in JavaScript keep exact.
pub const MAX_NUMBER: u64 = (1 << 53) - 1;

/// 2024-01-01T00:00:00Z in milliseconds since 1970, where the clock part of numeric ids begins.
const EPOCH_MS: u64 = 1_704_067_200_000;

/// A text that names nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a valid id")]
pub struct InvalidId;

/// Makes a number that this process has not made before and that other processes rarely make:
/// 41 bits of milliseconds since 2024, then 12 bits that begin at random.
///
/// Within a process the numbers rise. Two processes meet with odds of about 1 in 4,096 for each
/// pair of ids of the same millisecond, so whoever inserts one must be ready to take another.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now_ms = u64::try_from(Timestamp::now().as_micros() / 1_000).unwrap_or(EPOCH_MS);
    let random: u16 = rand::random();
    let fresh = (now_ms.saturating_sub(EPOCH_MS) << 12) | u64::from(random & 0xfff);
    let after = |last: u64| Some(fresh.max(last + 1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after).unwrap_or(fresh);
    fresh.max(last + 1) & MAX_NUMBER
}

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        pub struct $name(i64);

        impl $name {
            /// A new id; see the module about its uniqueness.
            #[must_use]
            pub fn generate() -> Self {
                Self(next_number().cast_signed())
            }

            /// The id `number`, if it lies between 1 and 2^53 - 1.
            #[must_use]
            pub const fn new(number: i64) -> Option<Self> {
                if number >= 1 && number.cast_unsigned() <= MAX_NUMBER { Some(Self(number)) } else { None }
            }

            /// The id as the number that clients see.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Reads the one spelling that `Display` writes: no sign and no zeros in front.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let number = text.parse().ok().and_then(Self::new).ok_or(InvalidId)?;
                if text.starts_with(['+', '0']) { Err(InvalidId) } else { Ok(number) }
            }
        }
    };
}

numeric_id! {
    /// A user, and the owner of everything that belongs to one; `uid` in the public API.
    UserId
}
numeric_id! {
    /// One uploaded picture.
    ImageId
}
numeric_id! {
    /// One registered device token.
    PushTokenId
}
numeric_id! {
    /// One account that a user pays with or is paid to; it names something to its owner alone.
    AccountId
}

impl JobId {
    /// When the id was made, to the millisecond and by the clock of the process that made it.
    #[must_use]
    pub fn made_at(self) -> Timestamp {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.as_bytes()[..6]);
        Timestamp::from_micros(i64::from_be_bytes(millis).saturating_mul(1_000))
    }
}

impl UserId {
    /// The owner of jobs that Feat starts by itself. No user has this id, so no user sees them.
    pub const FEAT: Self = Self(0);
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer)? {
            0 => Ok(Self::FEAT),
            number => Self::new(number).ok_or_else(|| de::Error::custom(InvalidId)),
        }
    }
}

impl<'de> Deserialize<'de> for ImageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).ok_or_else(|| de::Error::custom(InvalidId))
    }
}

impl<'de> Deserialize<'de> for PushTokenId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).ok_or_else(|| de::Error::custom(InvalidId))
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).ok_or_else(|| de::Error::custom(InvalidId))
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $make:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, unique everywhere.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::$make())
            }

            /// The 16 bytes of the id.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id with these 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Reads only the hyphenated lower-case form that is printed, so an id has one spelling.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let id = Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)?;
                if id.to_string() == text { Ok(id) } else { Err(InvalidId) }
            }
        }

        // Text in every format: BSON and JSON then hold, index and show the same thing.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

uuid_id! {
    /// One job: a version 7 UUID, so ids sort by the time the job was accepted.
    JobId, now_v7
}
uuid_id! {
    /// One device of one user.
    DeviceId, now_v7
}
uuid_id! {
    /// One sign-in of one device: the family of its refresh tokens.
    SessionId, now_v7
}
uuid_id! {
    /// One long-lived key of a user.
    KeyId, now_v7
}
uuid_id! {
    /// One entry of the audit record: a version 7 UUID, so entries sort by time.
    AuditId, now_v7
}

uuid_id! {
    /// One push campaign; the job that fans it out has the same id.
    PushId, now_v7
}

impl PushId {
    /// The campaign that job `job` fans out.
    #[must_use]
    pub const fn of_job(job: JobId) -> Self {
        Self(job.0)
    }

    /// The job that fans this campaign out.
    #[must_use]
    pub const fn job(self) -> JobId {
        JobId(self.0)
    }

    /// The `apns-id` of the target with this number: the campaign's random part counted on, as a
    /// version 8 UUID. So it can be made again at any time, and no two targets share one.
    #[must_use]
    pub const fn apns_id(self, target: u64) -> Uuid {
        const RANDOM: u64 = (1 << 62) - 1;
        let (high, low) = self.0.as_u64_pair();
        let high = (high & !0xf000) | 0x8000;
        let low = (low & !RANDOM) | (low.wrapping_add(target) & RANDOM);
        Uuid::from_u64_pair(high, low)
    }
}

/// An OAuth2 client, by the name it was registered with: 1 to 64 letters, digits, `-`, `_` or `.`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String")]
pub struct ClientId(String);

impl ClientId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
        if fits { Ok(Self(text)) } else { Err(InvalidId) }
    }
}

impl FromStr for ClientId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_ids_rise_and_stay_exact_in_javascript() {
        let ids: Vec<_> = (0..10_000).map(|_| ImageId::generate()).collect();

        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(ids.iter().all(|id| ImageId::new(id.get()).is_some()));
    }

    #[test]
    fn an_id_has_one_spelling() {
        let id = JobId::generate();
        let upper = id.to_string().to_uppercase();
        let simple = id.to_string().replace('-', "");

        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(upper.parse::<JobId>(), Err(InvalidId));
        assert_eq!(simple.parse::<JobId>(), Err(InvalidId));
        assert_eq!("374".parse::<ImageId>().map(ImageId::get), Ok(374));
        for other in ["+374", "0374", " 374", "374 ", "3_74", ""] {
            assert_eq!(other.parse::<ImageId>(), Err(InvalidId), "{other:?}");
            assert_eq!(other.parse::<UserId>(), Err(InvalidId), "{other:?}");
        }
    }

    #[test]
    fn every_target_has_an_apns_id_of_its_own_that_can_be_made_again() {
        let campaign = PushId::generate();
        let ids: std::collections::BTreeSet<_> =
            (0..10_000).map(|target| campaign.apns_id(target)).collect();

        assert_eq!(ids.len(), 10_000);
        assert_eq!(campaign.apns_id(41), campaign.apns_id(41));
        assert_eq!(campaign.apns_id(u64::MAX).get_version_num(), 8);
        assert_eq!(PushId::of_job(campaign.job()), campaign);
    }

    #[test]
    fn numbers_outside_the_range_are_no_ids() {
        let cases =
            [("zero", "0"), ("negative", "-1"), ("2^53", "9007199254740992"), ("text", "x")];
        for (name, text) in cases {
            assert_eq!(text.parse::<UserId>(), Err(InvalidId), "{name}");
        }
    }
}
