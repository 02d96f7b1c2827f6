//! What became of each target of a shard: one letter each.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::PushCounts;

/// What became of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Not sent, or certainly not taken: it may be sent.
    Pending,
    /// Perhaps on its way. Saved before the push leaves, so that a process that is killed leaves
    /// no push in doubt unmarked.
    InFlight,
    /// Apple took it.
    Accepted,
    /// Refused for good.
    Invalid,
    /// Slowed down by Apple; it may be sent again later.
    Throttled,
    /// Its campaign expired first.
    Expired,
    /// Its campaign was cancelled first.
    Cancelled,
    /// Sent, and no answer was recorded.
    Unknown,
}

impl Fate {
    const LETTERS: [(Self, char); 8] = [
        (Self::Pending, '.'),
        (Self::InFlight, '>'),
        (Self::Accepted, 'a'),
        (Self::Invalid, 'i'),
        (Self::Throttled, 't'),
        (Self::Expired, 'x'),
        (Self::Cancelled, 'c'),
        (Self::Unknown, 'u'),
    ];

    /// Whether the target may be sent, now or later.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::Pending | Self::Throttled)
    }

    fn letter(self) -> char {
        // Every fate is in the list, which the tests walk.
        Self::LETTERS.iter().find(|(fate, _)| *fate == self).map_or('.', |(_, letter)| *letter)
    }

    fn of_letter(letter: char) -> Option<Self> {
        Self::LETTERS.iter().find(|(_, known)| *known == letter).map(|(fate, _)| *fate)
    }
}

/// The fates of a shard's targets, in their order. Stored as one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fates(Vec<Fate>);

impl Fates {
    /// So many targets, none of them sent.
    #[must_use]
    pub fn pending(targets: usize) -> Self {
        Self(vec![Fate::Pending; targets])
    }

    /// The fate of target `index`; one that does not exist is invalid.
    #[must_use]
    pub fn get(&self, index: usize) -> Fate {
        self.0.get(index).copied().unwrap_or(Fate::Invalid)
    }

    pub(super) fn set(&mut self, index: usize, fate: Fate) {
        if let Some(place) = self.0.get_mut(index) {
            *place = fate;
        }
    }

    /// The fates, in order.
    pub fn iter(&self) -> impl Iterator<Item = Fate> + '_ {
        self.0.iter().copied()
    }

    /// How many targets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no target.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sums. What is in flight counts as pending.
    #[must_use]
    pub fn counts(&self) -> PushCounts {
        let mut counts = PushCounts::default();
        for fate in &self.0 {
            counts.targeted += 1;
            *match fate {
                Fate::Pending | Fate::InFlight => &mut counts.pending,
                Fate::Accepted => &mut counts.accepted,
                Fate::Invalid => &mut counts.invalid,
                Fate::Throttled => &mut counts.throttled,
                Fate::Expired => &mut counts.expired,
                Fate::Cancelled => &mut counts.cancelled,
                Fate::Unknown => &mut counts.unknown,
            } += 1;
        }
        counts
    }
}

impl Serialize for Fates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().map(|fate| fate.letter()).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Fates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let fates = text.chars().map(Fate::of_letter).collect::<Option<_>>();
        fates.map(Self).ok_or_else(|| de::Error::custom("expected a letter for each fate"))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn every_fate_has_its_letter_and_is_counted() {
        let all = Fates(Fate::LETTERS.iter().map(|(fate, _)| *fate).collect());
        let text = serde_json::to_string(&all).unwrap();

        assert_eq!(text, r#"".>aitxcu""#);
        assert_eq!(serde_json::from_str::<Fates>(&text).unwrap(), all);
        assert!(serde_json::from_str::<Fates>(r#""?""#).is_err());
        let counts = all.counts();
        assert!(counts.add_up());
        assert_eq!((counts.targeted, counts.pending), (8, 2));
    }
}
