//! What may happen to a campaign.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use super::*;
use crate::push::{Audience, Segment};

fn at(second: u64) -> Timestamp {
    Timestamp::from_micros(0) + Duration::from_secs(second)
}

fn campaign() -> PushCampaign {
    let order = PushOrder {
        app: "com.example.notes".parse().unwrap(),
        name: None,
        environment: None,
        messages: Vec::new(),
        audience: Audience::Segment(Segment::default()),
        start_at: at(100),
        expires_at: at(10_000),
        rate: None,
    };
    PushCampaign::of(&order, PushId::generate(), UserId::new(7).unwrap(), at(100))
}

fn settled(campaign: PushCampaign) -> PushCampaign {
    campaign.settle(Tally::default(), "w", at(900)).unwrap()
}

#[test]
fn only_what_is_not_over_can_be_stopped() {
    let paused = campaign().pause("owner", at(110)).unwrap().unwrap();
    let cancelled = paused.clone().cancel("owner", at(120)).unwrap().unwrap();
    let finished = settled(campaign());

    assert_eq!(paused.clone().pause("owner", at(111)), Ok(None));
    assert_eq!(cancelled.clone().cancel("owner", at(121)), Ok(None));
    assert_eq!(cancelled.clone().resume("owner", at(121)), Err(PushOver));
    for step in [PushCampaign::pause, PushCampaign::resume, PushCampaign::cancel] {
        assert_eq!(step(finished.clone(), "owner", at(901)), Err(PushOver));
    }
    assert_eq!(settled(cancelled).state, PushState::Cancelled, "and its sums are kept");
    assert_eq!(finished.state, PushState::Finished);
}

#[test]
fn the_history_is_bounded() {
    let mut campaign = campaign();
    for turn in 0..100 {
        campaign = campaign.pause("owner", at(turn)).unwrap().unwrap();
        campaign = campaign.resume("owner", at(turn)).unwrap().unwrap();
    }
    assert_eq!((campaign.history.len(), campaign.version), (MAX_PUSH_HISTORY, 201));
    assert_eq!(campaign.history[0].what, "accepted");
}

/// Sums over three shards of ten targets.
fn sums(lost: u32, unknown: u64) -> Tally {
    let counts =
        PushCounts { targeted: 30, accepted: 30 - unknown, unknown, ..PushCounts::default() };
    Tally { shards: 3, lost, counts, ..Tally::default() }
}

#[test]
fn the_sums_of_an_ended_campaign_change_only_by_what_was_sent_after_all() {
    let ended = campaign().settle(sums(2, 15), "w", at(900)).unwrap();
    assert!(ended.may_go_on());
    for (name, lost, unknown) in [("the same", 2, 15), ("older sums", 3, 20), ("worse", 1, 16)] {
        assert_eq!(ended.clone().settle(sums(lost, unknown), "w", at(901)), None, "{name}");
    }
    let better = ended.settle(sums(1, 12), "w", at(901)).unwrap();
    let whole = better.settle(sums(0, 12), "w", at(902)).unwrap();
    assert!(!whole.may_go_on());
    assert_eq!((whole.settled_at, whole.totals.unwrap().unknown), (Some(at(900)), 12));
    assert_eq!(whole.history.last().unwrap().what, "corrected");
    assert_eq!(whole.settle(sums(0, 0), "w", at(903)), None);
}

#[test]
fn a_campaign_that_was_cut_short_ends_and_can_go_on() {
    let cut = campaign().cut_short(1, "w", at(200)).unwrap();
    assert_eq!(cut.clone().cut_short(1, "w", at(201)), None);
    let ended = cut.settle(sums(0, 0), "w", at(300)).unwrap();
    assert_eq!((ended.state, ended.may_go_on()), (PushState::Finished, true));

    let again = ended.reopen("operator", at(400)).unwrap();
    assert_eq!((again.state, again.shards, again.settled_at), (PushState::Active, None, None));
    assert_eq!(again.clone().reopen("operator", at(401)), None);
    let cancelled = campaign().cancel("owner", at(150)).unwrap().unwrap();
    let cancelled = settled(cancelled.cut_short(0, "w", at(200)).unwrap());
    assert_eq!(cancelled.reopen("operator", at(400)).unwrap().state, PushState::Cancelled);
}
