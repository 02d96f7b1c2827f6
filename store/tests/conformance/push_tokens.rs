//! Device tokens for pushes.

use std::time::Duration;

use schemas::{
    ApnsEnvironment, PushTokenId, Timestamp, UserId,
    push_token::{
        PushTokenReason, PushTokenRecord, PushTokenState, Registration, SignedIn, Verdict,
    },
};
use store::{Insert, Judged, PushTokenFilter, Save};

use crate::{place::Place, sample::user};

fn registration(owner: UserId, token: &str) -> Registration {
    Registration {
        owner,
        app: "com.example.notes".parse().unwrap(),
        environment: ApnsEnvironment::Production,
        token: token.parse().unwrap(),
        device_id: "ios:1".to_owned(),
        signed_in: SignedIn::default(),
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
    let moved = mine.clone().registered(registration(user(8), "aa"), later, later).unwrap();
    let late = mine.clone().registered(registration(user(9), "aa"), later, later).unwrap();
    assert_eq!(devices.save(&moved).await, Ok(Save::Stored));
    assert_eq!(devices.save(&late).await, Ok(Save::Stale));

    let tokens = ["bb".parse().unwrap(), mine.token.clone()];
    let read = devices.get_many(&mine.app, &tokens).await.unwrap();
    assert_eq!(read, [None, Some(moved.clone())]);
    assert_eq!(devices.list(user(7), None, 10).await.unwrap(), []);
    assert_eq!(devices.list(user(8), None, 10).await.unwrap(), std::slice::from_ref(&moved));

    let other = "com.example.other".parse().unwrap();
    assert_eq!(devices.get(&other, &mine.token).await.unwrap(), None, "another app's tokens");
    let both = [mine.number, PushTokenId::generate()];
    assert_eq!(devices.by_numbers(&both).await.unwrap(), [moved]);
}

pub(crate) async fn answers_of_apple_and_registrations_that_cross_end_well(place: &Place) {
    let devices = &place.store.push_tokens;
    let now = Timestamp::now();
    let mut sent = Vec::new();
    for token in 0..40 {
        sent.push(stored(place, user(7), &format!("{token:02x}")).await);
    }
    // Every second app registers again before the answer is there.
    let later = now + Duration::from_mins(1);
    for device in sent.iter().step_by(2) {
        let again = registration(user(8), device.token.as_str());
        let again = device.clone().registered(again, later, later).unwrap();
        assert_eq!(devices.save(&again).await, Ok(Save::Stored));
    }
    let gone = Verdict::Gone { since: now + Duration::from_secs(30) };
    let judged = sent.iter().cloned().map(|device| (device, gone)).collect();
    let judged = devices.judge(judged, later + Duration::from_secs(1)).await;

    for (index, (device, judged)) in sent.iter().zip(judged).enumerate() {
        let read = devices.get(&device.app, &device.token).await.unwrap().unwrap();
        if index % 2 == 0 {
            assert_eq!(judged, Ok(Judged::Kept));
            assert_eq!((read.state, read.owner), (PushTokenState::Active, user(8)));
        } else {
            assert_eq!(judged, Ok(Judged::Changed(read.clone())));
            assert_eq!((read.state, read.owner), (PushTokenState::Quarantined, user(7)));
        }
    }
    let told = devices.unreported(later + Duration::from_secs(1), 100).await.unwrap();
    assert_eq!(told.len(), 20);
}

pub(crate) async fn a_corrected_environment_is_found_where_apple_knows_it(place: &Place) {
    let devices = &place.store.push_tokens;
    let device = stored(place, user(7), "aa").await;
    stored(place, user(7), "ab").await;
    let (app, now) = (device.app.clone(), Timestamp::now());
    let accepted = Verdict::Accepted { environment: ApnsEnvironment::Sandbox };
    let judged = devices.judge(vec![(device.clone(), accepted)], now).await;
    assert!(matches!(judged[..], [Ok(Judged::Changed(_))]), "{judged:?}");

    for (environment, tokens) in
        [(ApnsEnvironment::Sandbox, ["aa"]), (ApnsEnvironment::Production, ["ab"])]
    {
        let filter = PushTokenFilter::of(app.clone(), environment);
        let found = devices.segment(&filter, None, 10).await.unwrap();
        let found: Vec<_> = found.iter().map(|device| device.token.as_str()).collect();
        assert_eq!(found, tokens, "{environment}");
        let active = PushTokenState::Active;
        assert_eq!(devices.count(&app, environment, active, 100).await, Ok(1));
    }
    assert_eq!(devices.of_users(&app, &[user(7), user(8)]).await.unwrap().len(), 2);
    let wrong = ApnsEnvironment::Production;
    assert_eq!(devices.count_corrected(&app, wrong, 10).await, Ok(1));
    let found = devices.corrected(&app, wrong, 10).await.unwrap();
    assert_eq!(found[0].number, device.number);
    assert_eq!(devices.count_corrected(&app, ApnsEnvironment::Sandbox, 10).await, Ok(0));
    assert_eq!(devices.apps().await.unwrap(), [app]);
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
            0 => device.clone().judge(Verdict::Unknown { sent: now }, now).unwrap(),
            1 => device.clone().judge(Verdict::Gone { since: now }, now).unwrap(),
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

    assert_eq!(languages(place, "fr").await, [] as [&str; 0]);
    let french = PushTokenFilter { locale: Some("fr-FR".to_owned()), ..filter.clone() };
    assert_eq!(devices.segment(&french, None, 10).await.unwrap(), []);
    let elsewhere = PushTokenFilter { environment: ApnsEnvironment::Sandbox, ..filter };
    assert_eq!(devices.segment(&elsewhere, None, 10).await.unwrap(), []);
}

/// Every language of the cohort that `range` means.
async fn languages(place: &Place, range: &str) -> Vec<String> {
    let (app, here) = ("com.example.notes".parse().unwrap(), ApnsEnvironment::Production);
    let mut found: Vec<String> = Vec::new();
    loop {
        let after = found.last().map(String::as_str);
        let next = place.store.push_tokens.next_locale(&app, here, range, after).await.unwrap();
        let Some(next) = next else { return found };
        found.push(next);
    }
}

pub(crate) async fn a_range_finds_the_languages_of_devices(place: &Place) {
    let rows =
        ["zh", "zh-CN", "zh-Hans-CN", "zh-Hans", "zh-Hant-TW", "zhx", "yue-Hans", "en-GB", ""];
    for (number, locale) in rows.iter().cycle().take(2 * rows.len()).enumerate() {
        let mut registration = registration(user(7), &format!("{number:02x}"));
        registration.locale = Some((*locale).to_owned()).filter(|locale| !locale.is_empty());
        let mut device = PushTokenRecord::new(registration, Timestamp::now());
        if *locale == "zh-Hans-CN" {
            device = device.removed(PushTokenReason::Deleted, Timestamp::now()).unwrap();
        }
        assert_eq!(place.store.push_tokens.insert(&device).await, Ok(Insert::Stored));
    }
    assert_eq!(languages(place, "zh").await, ["zh", "zh-CN", "zh-Hans", "zh-Hant-TW"]);
    assert_eq!(languages(place, "zh-Hans").await, ["zh-Hans"]);
    assert_eq!(languages(place, "en").await, ["en-GB"]);
    assert_eq!(languages(place, "en-GB").await, ["en-GB"]);
    assert_eq!(languages(place, "de").await, [] as [&str; 0]);
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
    let (app, here) = ("com.example.notes".parse().unwrap(), ApnsEnvironment::Production);
    let quiet = devices.quiet_since(&app, here, before, 10).await.unwrap();
    let found: Vec<_> = quiet.iter().map(|device| device.id.clone()).collect();
    assert_eq!(found, [ids[0].1.clone(), ids[1].1.clone()]);

    let ended = quiet[0].clone().removed(PushTokenReason::Deleted, before).unwrap();
    assert_eq!(devices.save(&ended).await, Ok(Save::Stored));
    assert_eq!(devices.quiet_since(&app, here, before, 10).await.unwrap(), quiet[1..]);
    assert_eq!(devices.list(user(7), None, 10).await.unwrap().len(), 2);
    let removed = PushTokenState::Removed;
    assert_eq!(devices.in_state(&app, here, removed, None, before, 10).await.unwrap(), []);
    let after = before + Duration::from_secs(1);
    assert_eq!(
        devices.in_state(&app, here, removed, Some(before), after, 10).await.unwrap(),
        [ended]
    );
    assert_eq!(devices.count_since(&app, here, removed, Some(after), after, 10).await, Ok(0));
    assert_eq!(devices.forget_removed(&app, here, after, 10).await, Ok(1));
    assert_eq!(devices.count(&app, here, removed, 10).await, Ok(0));
}
