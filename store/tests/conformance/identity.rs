//! Keys, wrong passwords, the audit record, and the sign-ins of one user.

use std::time::Duration;

use futures::future::join_all;
use schemas::{
    KeyId, Scopes, SessionId, Timestamp, UserId,
    account::{Grant, SessionRecord},
    api_key::KeyRecord,
    audit::{Action, Actor, AuditRecord},
    guess::{GuessPolicy, GuessRecord},
};
use secrecy::ExposeSecret;
use store::{AuditFilter, Insert, Save};

use crate::{
    place::Place,
    sample::{at, user},
};

fn key(owner: UserId) -> KeyRecord {
    KeyRecord {
        id: KeyId::generate(),
        version: 1,
        owner,
        name: "backup".to_owned(),
        digest: "5e".repeat(32).into(),
        scopes: Scopes::all(),
        created_at: Timestamp::now(),
        last_used_at: None,
        expires_at: None,
        revoked_at: None,
    }
}

pub(crate) async fn a_key_lives(place: &Place) {
    let keys = &place.store.keys;
    let (first, second, foreign) = (key(user(7)), key(user(7)), key(user(8)));
    for key in [&first, &second, &foreign] {
        assert_eq!(keys.insert(key).await, Ok(Insert::Stored));
        assert_eq!(keys.insert(key).await, Ok(Insert::Taken));
    }
    let now = Timestamp::now();
    let used = first.used(now).unwrap();
    assert_eq!(keys.save(&used).await, Ok(Save::Stored));
    assert_eq!(keys.save(&first.clone().revoke(now)).await, Ok(Save::Stale));
    assert_eq!(keys.save(&used.revoke(now)).await, Ok(Save::Stored));

    let read = keys.get(first.id).await.unwrap().unwrap();
    assert_eq!(read.digest.expose_secret(), "5e".repeat(32));
    assert_eq!((read.last_used_at, read.revoked_at), (Some(now), Some(now)));
    assert!(keys.get(KeyId::generate()).await.unwrap().is_none());

    let listed = async |owner, after, limit| {
        let keys = keys.list(owner, after, limit).await.unwrap();
        keys.iter().map(|key| key.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(Some(user(7)), None, 10).await, [second.id, first.id]);
    assert_eq!(listed(Some(user(7)), Some(second.id), 10).await, [first.id]);
    assert_eq!(listed(None, None, 2).await, [foreign.id, second.id]);
}

fn session(owner: UserId, device_id: &str) -> SessionRecord {
    let now = Timestamp::now();
    SessionRecord {
        id: SessionId::generate(),
        version: 1,
        owner,
        client: "demo".parse().unwrap(),
        grant: Grant::Password,
        device_id: device_id.to_owned(),
        device: None,
        scopes: Scopes::all(),
        generation: 1,
        rotated_at: now,
        created_at: now,
        expires_at: now + Duration::from_hours(1),
        revoked_at: None,
    }
}

pub(crate) async fn sign_ins_are_listed_for_their_owner_alone(place: &Place) {
    let sessions = &place.store.sessions;
    let now = Timestamp::now();
    let all = [session(user(7), "web:1"), session(user(8), "web:2"), session(user(7), "web:3")];
    let ended = SessionRecord { revoked_at: Some(now), ..session(user(7), "web:4") };
    let expired = SessionRecord { expires_at: now, ..session(user(7), "web:5") };
    for session in all.iter().chain([&ended, &expired]) {
        assert_eq!(sessions.insert(session).await, Ok(Insert::Stored));
    }
    let listed = async |owner, after| {
        let sessions = sessions.live(owner, now, after, 10).await.unwrap();
        sessions.iter().map(|session| session.id).collect::<Vec<_>>()
    };

    assert_eq!(listed(user(7), None).await, [all[2].id, all[0].id]);
    assert_eq!(listed(user(7), Some(all[2].id)).await, [all[0].id]);
    assert_eq!(listed(user(9), None).await, []);
    assert!(sessions.get_owned(user(7), all[0].id).await.unwrap().is_some());
    assert!(sessions.get_owned(user(8), all[0].id).await.unwrap().is_none());
}

const POLICY: GuessPolicy = GuessPolicy {
    free: 1,
    first: Duration::from_secs(1),
    longest: Duration::from_mins(1),
    memory: Duration::from_hours(1),
};

pub(crate) async fn failures_are_counted_and_forgotten(place: &Place) {
    let guesses = &place.store.guesses;
    let old = GuessRecord::first("old".to_owned(), &POLICY, at(0));
    let new = GuessRecord::first("new".to_owned(), &POLICY, at(1_000));
    for guess in [&old, &new] {
        assert_eq!(guesses.insert(guess).await, Ok(Insert::Stored));
        assert_eq!(guesses.insert(guess).await, Ok(Insert::Taken));
    }
    let again = new.clone().fail(&POLICY, at(1_001));
    assert_eq!(guesses.save(&again).await, Ok(Save::Stored));
    assert_eq!(guesses.save(&new.clone().fail(&POLICY, at(1_002))).await, Ok(Save::Stale));

    assert_eq!(guesses.get("new").await, Ok(Some(again)));
    assert_eq!(guesses.get("other").await, Ok(None));
    assert_eq!(guesses.remove_expired(at(3_600), 10).await, Ok(1));
    assert_eq!(guesses.get("old").await, Ok(None));
    assert!(guesses.get("new").await.unwrap().is_some());
}

pub(crate) async fn audit_entries_are_kept_and_found(place: &Place) {
    let audit = &place.store.audit;
    let operator = Actor::Operator("ada".to_owned());
    let mut entries = [
        AuditRecord::of(Action::SignIn, &Actor::User(user(7))).address("10.0.0.1").device("web:1"),
        AuditRecord::of(Action::SignInRefused, &Actor::Nobody).address("10.0.0.2"),
        AuditRecord::of(Action::UserDisabled, &operator).about(user(7)).detail("asked to"),
        AuditRecord::of(Action::SignIn, &Actor::User(user(8))).request("r-1"),
    ];
    for (entry, seconds) in entries.iter_mut().zip([10, 20, 30, 40]) {
        entry.at = at(seconds);
    }
    let answers = join_all(entries.iter().map(|entry| audit.insert(entry))).await;
    assert!(answers.iter().all(|answer| *answer == Ok(Insert::Stored)), "{answers:?}");
    let changed = AuditRecord { detail: Some("rewritten".to_owned()), ..entries[0].clone() };
    assert_eq!(audit.insert(&changed).await, Ok(Insert::Taken), "an entry is never changed");

    let any = AuditFilter::default;
    let cases = [
        ("all", any(), vec![3, 2, 1, 0]),
        ("owner", AuditFilter { owner: Some(user(7)), ..any() }, vec![2, 0]),
        ("nobody's", AuditFilter { owner: Some(UserId::FEAT), ..any() }, vec![1]),
        ("action", AuditFilter { actions: vec![Action::SignIn], ..any() }, vec![3, 0]),
        ("actor", AuditFilter { actor: Some("operator ada".to_owned()), ..any() }, vec![2]),
        ("address", AuditFilter { address: Some("10.0.0.1".to_owned()), ..any() }, vec![0]),
        ("from", AuditFilter { from: Some(at(30)), ..any() }, vec![3, 2]),
        ("before", AuditFilter { before: Some(at(30)), ..any() }, vec![1, 0]),
    ];
    for (name, filter, expected) in cases {
        let found = audit.list(&filter, None, 10).await.unwrap();
        let expected: Vec<_> =
            expected.into_iter().map(|index: usize| entries[index].clone()).collect();
        assert_eq!(found, expected, "{name}");
    }
    let page = audit.list(&any(), Some(entries[2].id), 1).await.unwrap();
    assert_eq!(page, [entries[1].clone()]);
}
