//! Devices and authorization codes.

use std::time::Duration;

use futures::future::join_all;
use schemas::{
    DeviceId, Scopes, SessionId, Timestamp, UserId,
    code::{CodeRecord, Redeem},
    device::DeviceRecord,
};
use store::{Insert, Save};

use crate::{
    place::Place,
    refreshes::session,
    sample::{at, user},
};

fn device(owner: UserId, name: &str) -> DeviceRecord {
    DeviceRecord {
        id: DeviceId::generate(),
        version: 1,
        owner,
        device_id: name.to_owned(),
        client: "demo".parse().unwrap(),
        session: SessionId::generate(),
        first_seen: at(0),
        last_seen: at(0),
        expires_at: None,
    }
}

fn code(number: u64, expires_at: Timestamp) -> CodeRecord {
    CodeRecord {
        id: format!("{number:064x}"),
        version: 1,
        owner: user(7),
        client: "demo".parse().unwrap(),
        redirect_uri: "https://app.example.com/oauth?next=/a".to_owned(),
        scopes: Scopes::all(),
        challenge: Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned()),
        session: SessionId::generate(),
        device_id: "AUTHORIZE".to_owned(),
        created_at: at(0),
        expires_at,
        redeemed_at: None,
        reused_at: None,
    }
}

pub(crate) async fn a_device_is_one_for_each_user_and_name(place: &Place) {
    let devices = &place.store.devices;
    let web = device(user(7), "web:1");
    assert_eq!(devices.insert(&web).await, Ok(Insert::Stored));
    assert_eq!(devices.insert(&device(user(7), "web:1")).await, Ok(Insert::Taken));
    assert_eq!(devices.insert(&device(user(7), "web:0")).await, Ok(Insert::Stored));
    assert_eq!(devices.insert(&device(user(8), "web:1")).await, Ok(Insert::Stored));

    let session = SessionId::generate();
    let latest =
        DeviceRecord { session, last_seen: at(9), expires_at: Some(at(60)), ..web.clone() };
    let seen = web.clone().seen(&latest);
    assert_eq!(devices.save(&seen).await, Ok(Save::Stored));
    assert_eq!(devices.save(&seen).await, Ok(Save::Stale));

    assert_eq!(devices.by_device(user(7), "web:1").await, Ok(Some(seen)));
    assert_eq!(devices.by_device(user(9), "web:1").await, Ok(None));
    let names: Vec<_> =
        devices.list(user(7), 9).await.unwrap().into_iter().map(|one| one.device_id).collect();
    assert_eq!(names, ["web:0", "web:1"]);
    assert_eq!(devices.list(user(7), 1).await.unwrap().len(), 1);
}

pub(crate) async fn a_code_is_used_once(place: &Place) {
    let codes = &place.store.codes;
    let code = code(1, at(60));
    assert_eq!(codes.insert(&code).await, Ok(Insert::Stored));
    assert_eq!(codes.insert(&code).await, Ok(Insert::Taken));

    let uses = (0..20).map(|_| async {
        let Some(read) = codes.get(&code.id).await.unwrap() else { panic!("it is there") };
        let Redeem::Redeemed(used) = read.redeem(at(1)) else { return Save::Stale };
        codes.save(&used).await.unwrap()
    });
    let stored = join_all(uses).await.into_iter().filter(|save| *save == Save::Stored).count();

    assert_eq!(stored, 1);
    let read = codes.get(&code.id).await.unwrap().unwrap();
    assert_eq!(read.redeemed_at, Some(at(1)));
    assert_eq!((read.session, read.challenge), (code.session, code.challenge));
    assert_eq!(codes.get(&format!("{:064x}", 2)).await, Ok(None));
}

pub(crate) async fn what_expired_is_removed_earliest_first(place: &Place) {
    let codes = &place.store.codes;
    for number in [3, 1, 2, 9] {
        assert_eq!(codes.insert(&code(number, at(number))).await, Ok(Insert::Stored));
    }
    let before = at(3) + Duration::from_micros(1);

    assert_eq!(codes.remove_expired(before, 2).await, Ok(2));
    assert!(codes.get(&format!("{:064x}", 3)).await.unwrap().is_some(), "the latest of three");
    assert_eq!(codes.remove_expired(before, 9).await, Ok(1));
    assert_eq!(codes.remove_expired(before, 9).await, Ok(0));
    assert!(codes.get(&format!("{:064x}", 9)).await.unwrap().is_some());
    let devices = &place.store.devices;
    for (name, expires_at) in [("old", Some(at(1))), ("new", Some(at(9))), ("unknown", None)] {
        let device = DeviceRecord { expires_at, ..device(user(7), name) };
        assert_eq!(devices.insert(&device).await, Ok(Insert::Stored));
    }
    assert_eq!(devices.remove_expired(before, 9).await, Ok(1));
    assert_eq!(devices.by_device(user(7), "old").await, Ok(None));
    assert_eq!(devices.list(user(7), 9).await.unwrap().len(), 2);
    let sessions = &place.store.sessions;
    let session = session(at(0));
    assert_eq!(sessions.insert(&session).await, Ok(Insert::Stored));
    assert_eq!(sessions.remove_expired(session.expires_at, 9).await, Ok(0), "not over yet");
    let later = session.expires_at + Duration::from_secs(1);
    assert_eq!(sessions.remove_expired(later, 9).await, Ok(1));
    assert!(sessions.get(session.id).await.unwrap().is_none());
}
