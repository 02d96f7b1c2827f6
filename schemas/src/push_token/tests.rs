#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn registration(owner: i64) -> Registration {
    Registration {
        owner: UserId::new(owner).unwrap(),
        app: "com.example.notes".parse().unwrap(),
        environment: ApnsEnvironment::Sandbox,
        token: "abcd".parse().unwrap(),
        device_id: "phone".into(),
        signed_in: SignedIn::default(),
        locale: None,
        app_version: None,
    }
}

fn record() -> PushTokenRecord {
    PushTokenRecord::new(registration(1), at(100))
}

fn gone(since: i64) -> Verdict {
    Verdict::Gone { since: at(since) }
}

fn unknown(sent: i64) -> Verdict {
    Verdict::Unknown { sent: at(sent) }
}

fn accepted(environment: ApnsEnvironment) -> Verdict {
    Verdict::Accepted { environment }
}

#[test]
fn an_answer_of_apple_counts_only_if_the_token_was_not_registered_again() {
    let rows = [
        ("older than the registration", 99, None),
        ("of the same moment", 100, Some(PushTokenState::Quarantined)),
        ("newer", 101, Some(PushTokenState::Quarantined)),
    ];
    for (name, since, expected) in rows {
        let found = record().judge(gone(since), at(200)).map(|record| record.state);
        assert_eq!(found, expected, "{name}");
    }
    let put_aside = record().judge(gone(150), at(200)).unwrap();
    assert_eq!((put_aside.reach.clone(), put_aside.unreported_since), (None, Some(at(200))));
    let again = put_aside.registered(registration(1), at(300), at(300)).unwrap();
    assert_eq!((again.state, again.version), (PushTokenState::Active, 3));
    assert_eq!((&again.reach, again.unreported_since), (&Some(again.cohort()), None));
    assert_eq!(again.judge(gone(299), at(400)), None, "a late answer");
}

#[test]
fn a_token_that_apple_does_not_know_is_suspect_first() {
    let suspect = record().judge(unknown(110), at(120)).unwrap();
    assert_eq!(suspect.state, PushTokenState::Suspect);
    let sent_before = suspect.clone().judge(unknown(111), at(121));
    assert_eq!(sent_before, None, "two pushes of the same moment count once");
    let good = suspect.clone().judge(accepted(ApnsEnvironment::Sandbox), at(130)).unwrap();
    assert_eq!(good.state, PushTokenState::Active);
    assert_eq!(good.judge(accepted(ApnsEnvironment::Sandbox), at(131)), None);
    let wrong = Verdict::WrongApp { sent: at(130) };
    let put_aside = suspect.judge(wrong, at(140)).unwrap();
    assert_eq!(put_aside.state, PushTokenState::Quarantined);
    assert_eq!(put_aside.clone().judge(unknown(150), at(150)), None);
    assert_eq!(put_aside.restored(at(150)).unwrap().state, PushTokenState::Active);
}

#[test]
fn a_wrong_environment_is_corrected_and_stays_so_while_the_app_repeats_its_mistake() {
    use ApnsEnvironment::{Production, Sandbox};

    let suspect = record().judge(unknown(110), at(120)).unwrap();
    let corrected = suspect.judge(accepted(Production), at(130)).unwrap();
    assert_eq!((corrected.environment, corrected.corrected_from), (Production, Some(Sandbox)));
    assert_eq!(corrected.reach.as_deref(), Some("production/com.example.notes"));
    assert_eq!(corrected.why(), Some(PushTokenReason::WrongEnvironment));

    let launched = corrected.registered(registration(1), at(200), at(200)).unwrap();
    assert_eq!((launched.environment, launched.corrected_from), (Production, Some(Sandbox)));
    let back = launched.clone().judge(accepted(Sandbox), at(210)).unwrap();
    assert_eq!((back.environment, back.corrected_from), (Sandbox, None));

    let mended = Registration { environment: Production, ..registration(1) };
    let mended = launched.registered(mended, at(300), at(300)).unwrap();
    assert_eq!((mended.environment, mended.corrected_from), (Production, None));
}

#[test]
fn a_token_that_changes_hands_moves_whole() {
    let number = record().number;
    let first = PushTokenRecord { number, ..record() };
    let moved = first.registered(registration(2), at(200), at(200)).unwrap();
    assert_eq!((moved.owner.get(), moved.number), (2, number));
    assert_eq!(moved.why(), Some(PushTokenReason::Moved));
    for late in [199, 200] {
        let overtaken = moved.clone().registered(registration(1), at(late), at(late));
        assert_eq!(overtaken, None, "the registration before that one comes late");
    }
}

#[test]
fn a_wish_to_end_is_stronger_than_an_earlier_registration() {
    let rows = [
        ("deleted since", PushTokenReason::Deleted, 199, false),
        ("signed out at that moment", PushTokenReason::SignedOut, 200, false),
        ("registered after that", PushTokenReason::Deleted, 201, true),
        ("only replaced", PushTokenReason::Superseded, 199, true),
    ];
    for (name, why, received, expected) in rows {
        let removed = record().removed(why, at(200)).unwrap();
        assert_eq!(removed.clone().removed(why, at(201)), None, "{name}");
        let back = removed.registered(registration(1), at(received), at(received));
        assert_eq!(back.is_some(), expected, "{name}");
    }
}

#[test]
fn what_was_put_aside_lapses_after_its_window() {
    let put_aside = record().judge(gone(100), at(200)).unwrap();
    let week = UNDO_WINDOW;

    assert_eq!(put_aside.clone().lapsed(at(199) + week), None);
    let removed = put_aside.lapsed(at(200) + week).unwrap();
    assert_eq!(removed.state, PushTokenState::Removed);
    assert_eq!(removed.clone().restored(at(300) + week), None);
    let back = removed.registered(registration(1), at(400) + week, at(400) + week).unwrap();
    assert_eq!(back.state, PushTokenState::Active);
}

#[test]
fn what_nobody_registers_is_put_aside_and_told_once() {
    assert_eq!(record().stale(at(100), at(500)), None, "registered at that moment");
    let stale = record().stale(at(101), at(500)).unwrap();
    assert_eq!(
        (stale.state, stale.why()),
        (PushTokenState::Quarantined, Some(PushTokenReason::Stale))
    );
    let told = stale.reported().unwrap();
    assert_eq!((told.version, told.unreported_since), (3, None));
    assert_eq!(told.reported(), None);
}

#[test]
fn the_history_is_bounded_and_launches_are_no_news() {
    let mut record = record();
    for launch in 0..100 {
        record = record.registered(registration(1), at(200 + launch), at(200 + launch)).unwrap();
    }
    assert_eq!((record.history.len(), record.version), (1, 101));
    for change in 0..100 {
        record = record
            .registered(registration(1 + change % 2), at(400 + change), at(400 + change))
            .unwrap();
    }
    assert_eq!(record.history.len(), MAX_HISTORY);
    let times: Vec<_> = record.history.iter().map(|change| change.at).collect();
    assert!(times.is_sorted());
}

#[test]
fn a_token_is_moved_when_segments_find_it_elsewhere() {
    let first = record();
    let again = first.clone().registered(registration(1), at(200), at(201)).unwrap();
    assert_eq!(again.moved_at, None, "nothing is new");
    let spoken = Registration { locale: Some("fr".to_owned()), ..registration(1) };
    let spoken = again.registered(spoken, at(300), at(301)).unwrap();
    assert_eq!(spoken.moved_at, Some(at(301)));
    let corrected = spoken.judge(accepted(ApnsEnvironment::Production), at(400)).unwrap();
    assert_eq!(corrected.moved_at, Some(at(400)));
}

#[test]
fn only_what_is_new_takes_another_place_among_the_devices() {
    let known = record();
    let again = |registration| known.clone().registered(registration, at(200), at(200)).unwrap();
    assert!(known.has_the_place_of(&again(registration(1))));
    assert!(!known.has_the_place_of(&again(registration(2))), "another owner");
    let renamed = Registration { device_id: "tablet".into(), ..registration(1) };
    assert!(!known.has_the_place_of(&again(renamed)));
    let gone = known.removed(PushTokenReason::Deleted, at(150)).unwrap();
    let back = gone.clone().registered(registration(1), at(200), at(200)).unwrap();
    assert!(!gone.has_the_place_of(&back), "it had none");
}
