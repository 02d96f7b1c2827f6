//! Device tokens for pushes.

use std::time::Duration;

use schemas::{
    ApnsEnvironment, PushTokenId, Timestamp, UserId,
    push_token::{PushTokenReason, PushTokenRecord, PushTokenState, Registration},
};
use store::{Insert, PushTokenFilter, Save};

use crate::{place::Place, sample::user};

fn registration(owner: UserId, token: &str) -> Registration {
    Registration {
        owner,
        app: "com.example.notes".parse().unwrap(),
        environment: ApnsEnvironment::Production,
        token: token.parse().unwrap(),
        device_id: "ios:1".to_owned(),
        locale: Some("zh-Hans-CN".to_owned()),
        app_version: None,
    }
}

async fn stored(place: &Place, owner: UserId, token: &str) -> PushTokenRecord {
    let record = PushTokenRecord::new(registration(owner, token), Timestamp::now());
    assert_eq!(place.store.push_tokens.insert(&record).await, Ok(Insert::Stored));
    record
}

pub(crate) async fn a_device_token_is_taken_once_and_moves_whole(place: &Place) {
    let devices = &place.store.push_tokens;
    let mine = stored(place, user(7), "aa").await;
    let theirs = PushTokenRecord::new(registration(user(8), "aa"), Timestamp::now());
    assert_eq!(devices.insert(&theirs).await, Ok(Insert::Taken));

    let later = mine.registered_at + Duration::from_secs(1);
    let moved = mine.clone().registered(registration(user(8), "aa"), later).unwrap();
    let late = mine.clone().registered(registration(user(9), "aa"), later).unwrap();
    assert_eq!(devices.save(&moved).await, Ok(Save::Stored));
    assert_eq!(devices.save(&late).await, Ok(Save::Stale));

    let read = devices.get(&mine.app, mine.environment, &mine.token).await.unwrap();
    assert_eq!(read, Some(moved.clone()));
    assert_eq!(devices.list(user(7), None, 10).await.unwrap(), []);
    assert_eq!(devices.list(user(8), None, 10).await.unwrap(), [moved]);

    let sandbox = devices.get(&mine.app, ApnsEnvironment::Sandbox, &mine.token).await.unwrap();
    assert_eq!(sandbox, None, "the other environment has tokens of its own");
}

pub(crate) async fn devices_are_listed_newest_first_by_pages(place: &Place) {
    let devices = &place.store.push_tokens;
    let mut numbers = Vec::new();
    for token in 0..5 {
        numbers.push(stored(place, user(7), &format!("{token:02x}")).await.number);
        stored(place, user(8), &format!("f{token:01x}")).await;
    }
    numbers.reverse();

    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = devices.list(user(7), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.number);
        found.extend(page.into_iter().map(|device| device.number));
    }
    assert_eq!(found, numbers);
}

pub(crate) async fn a_segment_has_every_device_that_gets_pushes_once(place: &Place) {
    let devices = &place.store.push_tokens;
    let now = Timestamp::now() + Duration::from_secs(5);
    let mut expected = Vec::new();
    for token in 0..12 {
        let device = stored(place, user(7 + token % 3), &format!("{token:02x}")).await;
        let changed = match token % 4 {
            0 => device.clone().unknown_to_apple(now, now).unwrap(),
            1 => device.clone().gone(now, now).unwrap(),
            2 => device.clone().removed(PushTokenReason::Deleted, now).unwrap(),
            _ => {
                expected.push(device.number);
                continue;
            }
        };
        assert_eq!(devices.save(&changed).await, Ok(Save::Stored));
        expected.extend((changed.state == PushTokenState::Suspect).then_some(device.number));
    }
    let app = "com.example.notes".parse().unwrap();
    let filter = PushTokenFilter::of(app, ApnsEnvironment::Production);
    let mut found: Vec<PushTokenId> = Vec::new();
    loop {
        let page = devices.segment(&filter, found.last().copied(), 4).await.unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|device| device.number));
    }
    assert_eq!(found, expected);

    let french = PushTokenFilter { locale: Some("fr-FR".to_owned()), ..filter.clone() };
    assert_eq!(devices.segment(&french, None, 10).await.unwrap(), []);
    let elsewhere = PushTokenFilter { environment: ApnsEnvironment::Sandbox, ..filter };
    assert_eq!(devices.segment(&elsewhere, None, 10).await.unwrap(), []);
}

pub(crate) async fn devices_that_nobody_registers_are_found_oldest_first(place: &Place) {
    let devices = &place.store.push_tokens;
    let start = Timestamp::from_micros(1_700_000_000_000_000);
    let mut ids = Vec::new();
    for day in [3_u64, 1, 2] {
        let at = start + Duration::from_hours(24 * day);
        let token = format!("{day:02x}");
        let record = PushTokenRecord::new(registration(user(7), &token), at);
        assert_eq!(devices.insert(&record).await, Ok(Insert::Stored));
        ids.push((day, record.id));
    }
    ids.sort();
    let before = start + Duration::from_hours(24 * 3);
    let found = devices.quiet_since(PushTokenState::Active, before, 10).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|device| device.id).collect();
    assert_eq!(found, [ids[0].1.clone(), ids[1].1.clone()]);
    assert_eq!(devices.quiet_since(PushTokenState::Removed, before, 10).await.unwrap(), []);
}
