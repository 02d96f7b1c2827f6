//! How the pushes of a campaign keep to its rate, whoever sends them.
//!
//! Every push takes a place in the campaign's record before it leaves, at a distance from the one
//! before it. So the rate holds however many workers send, and after an outage: what is late is
//! not made up for.

use std::time::Duration;

use super::PushCampaign;
use crate::time::Timestamp;

/// Places that may be taken ahead, so that a worker sends many at a time.
const AHEAD: Duration = Duration::from_secs(1);

/// How much of the time in which nothing was sent may be made up for: as much as workers need to
/// find out that they may send.
const CATCH_UP: Duration = Duration::from_secs(1);

/// Fewer places than fill this time are not worth a save, unless no more are needed.
const LEAST: Duration = Duration::from_millis(500);

impl PushCampaign {
    /// How many of `wanted` pushes may leave at `now`: every stretch of T seconds has at most
    /// (T + 2) times the rate. All of them in a campaign without a rate.
    #[must_use]
    pub fn places(&self, wanted: usize, now: Timestamp) -> usize {
        let Some(rate) = self.rate else { return wanted };
        let free = places_in((now + AHEAD).since(self.next_place(now)), rate);
        let least = wanted.min(places_in(LEAST, rate).max(1));
        if free < least { 0 } else { free.min(wanted) }
    }

    /// Takes places for up to `wanted` pushes, `fresh` of which leave for the first time: how many
    /// it were, and the record to save before these leave. `None` when there is none to take, or no
    /// need to.
    #[must_use]
    pub fn take_places(
        mut self,
        wanted: usize,
        fresh: u64,
        now: Timestamp,
    ) -> Option<(usize, Self)> {
        let rate = self.rate?;
        let taken = self.places(wanted, now);
        if taken == 0 {
            return None;
        }
        self.pace_end = Some(self.next_place(now) + time_of(taken as u64, rate));
        self.paced += fresh.min(taken as u64);
        // So often that its history has no room for it.
        self.version += 1;
        Some((taken, self))
    }

    /// When pushes that find no place now should look again.
    #[must_use]
    pub fn place_at(&self, now: Timestamp) -> Timestamp {
        self.pace_end.filter(|_| self.rate.is_some()).map_or(now, |end| end.max(now))
    }

    /// When target `index`, counted from the first, will about have its turn; `None` without a
    /// rate.
    #[must_use]
    pub fn due_at(&self, index: u64, now: Timestamp) -> Option<Timestamp> {
        let rate = self.rate?;
        Some(self.place_at(now) + time_of(index.saturating_sub(self.paced), rate))
    }

    /// The next place: late ones lie in the past, but not far.
    fn next_place(&self, now: Timestamp) -> Timestamp {
        self.pace_end.map_or(now, |end| end.max(now - CATCH_UP))
    }
}

fn places_in(time: Duration, rate: u32) -> usize {
    let places = time.as_micros() * u128::from(rate) / 1_000_000;
    usize::try_from(places).unwrap_or(usize::MAX)
}

fn time_of(places: u64, rate: u32) -> Duration {
    Duration::from_micros(places.saturating_mul(1_000_000).div_ceil(u64::from(rate.max(1))))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::{
        id::{PushId, UserId},
        push::{Audience, PushOrder, Segment},
    };

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_micros(0) + Duration::from_millis(ms)
    }

    fn campaign(rate: Option<u32>) -> PushCampaign {
        let order = PushOrder {
            app: "com.example.notes".parse().unwrap(),
            name: None,
            environment: None,
            messages: Vec::new(),
            audience: Audience::Segment(Segment::default()),
            start_at: at(0),
            expires_at: at(1_000_000),
            rate,
        };
        PushCampaign::of(&order, PushId::generate(), UserId::new(7).unwrap(), at(0))
    }

    #[test]
    fn a_second_is_taken_ahead_and_an_outage_is_not_made_up_for() {
        let mut campaign = campaign(Some(10));
        let rows = [
            ("the first second", 100_000, 50, 10),
            ("nothing is left", 100_100, 50, 0),
            ("too little for a save", 100_400, 50, 0),
            ("half a second", 100_500, 50, 5),
            ("all that is needed", 101_000, 3, 3),
            ("the rest of the second", 101_000, 50, 0),
            ("a little late", 102_500, 50, 17),
            ("after an hour", 3_700_000, 50, 20),
            ("and no more", 3_700_000, 50, 0),
        ];
        for (name, ms, wanted, expected) in rows {
            assert_eq!(campaign.places(wanted, at(ms)), expected, "{name}");
            let taken = campaign.clone().take_places(wanted, wanted as u64, at(ms));
            assert_eq!(taken.as_ref().map_or(0, |(count, _)| *count), expected, "{name}");
            if let Some((_, next)) = taken {
                assert_eq!(next.version, campaign.version + 1, "{name}");
                campaign = next;
            }
        }
        assert_eq!((campaign.paced, campaign.place_at(at(3_700_000))), (55, at(3_701_000)));
    }

    #[test]
    fn a_stretch_of_time_has_no_more_than_its_rate_and_two_seconds() {
        for rate in [1, 7, 40, 5_000] {
            let mut campaign = campaign(Some(rate));
            let mut left = Vec::new();
            // Asked for all the time, but for the outages.
            for ms in (0..60_000_u64).step_by(50) {
                let away = (20_000..31_000).contains(&ms) || (40_000..42_500).contains(&ms);
                if !away && let Some((count, next)) = campaign.clone().take_places(9_999, 0, at(ms))
                {
                    campaign = next;
                    left.push((ms, count as u64));
                }
            }
            for (from, (begin, _)) in left.iter().enumerate() {
                let mut sum = 0;
                for (ms, count) in &left[from..] {
                    sum += count;
                    let most = (ms - begin + 2_000) * u64::from(rate) / 1_000;
                    assert!(sum <= most, "{sum} from {begin} to {ms} at {rate}");
                }
            }
            let all: u64 = left.iter().map(|(_, count)| count).sum();
            assert!(all >= 44 * u64::from(rate), "{all} at {rate} in 46 seconds");
        }
    }

    #[test]
    fn targets_have_their_turn_behind_those_before_them() {
        let started = campaign(Some(10));
        assert_eq!(started.due_at(25, at(1_000)), Some(at(3_500)));
        let (_, sent) = started.take_places(10, 10, at(1_000)).unwrap();
        assert_eq!(sent.due_at(25, at(1_000)), Some(at(3_500)));
        assert_eq!(sent.due_at(25, at(600_000)), Some(at(601_500)), "an outage moves it on");
        let (_, repeated) = sent.take_places(10, 0, at(2_000)).unwrap();
        assert_eq!(
            repeated.due_at(25, at(2_000)),
            Some(at(4_500)),
            "repetitions take a place, too"
        );

        let free = campaign(None);
        assert_eq!((free.places(500, at(0)), free.due_at(25, at(0))), (500, None));
        assert_eq!((free.place_at(at(9)), free.take_places(5, 5, at(9))), (at(9), None));
    }
}
