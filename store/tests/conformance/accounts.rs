//! Users, clients and sign-ins.

use std::time::Duration;

use schemas::{
    ClientId, Scopes, SessionId, Timestamp, UserId,
    account::{ClientRecord, Grant, Refresh, SessionRecord, UserRecord},
    profile::Profile,
};
use secrecy::ExposeSecret;
use store::{Insert, Save, StoreError};

use crate::{place::Place, sample::user};

fn account(id: UserId, username: &str) -> UserRecord {
    UserRecord {
        id,
        version: 1,
        username: username.to_owned(),
        password_hash: "$argon2id$v=19$hash".into(),
        created_at: Timestamp::now(),
        disabled_at: None,
        profile: Profile::default(),
    }
}

fn client(id: &str) -> ClientRecord {
    ClientRecord {
        id: id.parse().unwrap(),
        version: 1,
        name: "Demo".to_owned(),
        secret_digest: Some("5e".repeat(32).into()),
        grants: vec![Grant::Password, Grant::RefreshToken],
        scopes: Scopes::all(),
        redirect_uris: vec![],
        created_at: Timestamp::now(),
        disabled_at: None,
    }
}

pub(crate) async fn secrets_are_stored_and_come_back(place: &Place) {
    let (users, clients) = (&place.store.users, &place.store.clients);
    let public = ClientRecord { secret_digest: None, ..client("public") };
    assert_eq!(users.insert(&account(user(7), "ann")).await, Ok(Insert::Stored));
    assert_eq!(clients.insert(&client("demo")).await, Ok(Insert::Stored));
    assert_eq!(clients.insert(&public).await, Ok(Insert::Stored));

    let hash = users.get(user(7)).await.unwrap().unwrap().password_hash;
    let demo = clients.get(&client("demo").id).await.unwrap().unwrap();
    let public = clients.get(&public.id).await.unwrap().unwrap();

    assert_eq!(hash.expose_secret(), "$argon2id$v=19$hash");
    assert_eq!(demo.secret_digest.unwrap().expose_secret(), "5e".repeat(32));
    assert_eq!(demo.scopes, Scopes::all());
    assert!(public.secret_digest.is_none());
}

pub(crate) async fn a_username_is_taken_once(place: &Place) {
    let users = &place.store.users;
    assert_eq!(users.insert(&account(user(7), "+86-123")).await, Ok(Insert::Stored));
    assert_eq!(users.insert(&account(user(8), "+86-123")).await, Ok(Insert::Taken));
    assert_eq!(users.insert(&account(user(7), "other")).await, Ok(Insert::Taken));

    assert_eq!(users.by_username("+86-123").await.unwrap().unwrap().id, user(7));
    assert!(users.by_username("other").await.unwrap().is_none());
    assert!(users.by_username("+86-12").await.unwrap().is_none());
}

pub(crate) async fn a_taken_username_cannot_be_saved(place: &Place) {
    let users = &place.store.users;
    let ann = account(user(7), "ann");
    assert_eq!(users.insert(&ann).await, Ok(Insert::Stored));
    assert_eq!(users.insert(&account(user(8), "bob")).await, Ok(Insert::Stored));

    let greedy = users.save(&UserRecord { version: 2, ..account(user(7), "bob") }).await;
    let modest = users.save(&UserRecord { version: 2, ..account(user(7), "eve") }).await;

    assert!(matches!(greedy, Err(StoreError::Unreadable { .. })), "{greedy:?}");
    assert_eq!(modest, Ok(Save::Stored));
    assert_eq!(users.by_username("bob").await.unwrap().unwrap().id, user(8));
}

pub(crate) async fn users_and_clients_are_listed_in_order(place: &Place) {
    let (users, clients) = (&place.store.users, &place.store.clients);
    for id in [30, 9, 200] {
        let account = account(user(id), &format!("u{id}"));
        assert_eq!(users.insert(&account).await, Ok(Insert::Stored));
    }
    for id in ["web", "app"] {
        assert_eq!(clients.insert(&client(id)).await, Ok(Insert::Stored));
        assert_eq!(clients.insert(&client(id)).await, Ok(Insert::Taken));
    }

    let listed = async |after, limit| {
        let users = users.list(after, limit).await.unwrap();
        users.iter().map(|user| user.id.get()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 2).await, [9, 30]);
    assert_eq!(listed(Some(user(30)), 2).await, [200]);
    let clients = clients.list().await.unwrap();
    assert_eq!(clients.iter().map(|client| client.id.as_str()).collect::<Vec<_>>(), ["app", "web"]);
}

pub(crate) async fn a_session_lives(place: &Place) {
    let sessions = &place.store.sessions;
    let now = Timestamp::now();
    let session = SessionRecord {
        id: SessionId::generate(),
        version: 1,
        owner: user(7),
        client: ClientId::try_from("demo".to_owned()).unwrap(),
        grant: Grant::Password,
        device_id: "web:1".to_owned(),
        device: None,
        scopes: Scopes::all(),
        generation: 1,
        rotated_at: now,
        created_at: now,
        expires_at: now + Duration::from_hours(1),
        revoked_at: None,
    };
    assert_eq!(sessions.insert(&session).await, Ok(Insert::Stored));
    assert_eq!(sessions.insert(&session).await, Ok(Insert::Taken));

    let Refresh::Rotated(rotated) = session.clone().refresh(1, Duration::ZERO, now) else {
        panic!("the latest generation counts");
    };
    assert_eq!(sessions.save(&rotated).await, Ok(Save::Stored));
    assert_eq!(sessions.save(&session.clone().revoke(now)).await, Ok(Save::Stale));

    let read = sessions.get(session.id).await.unwrap().unwrap();
    assert_eq!((read.generation, read.version), (2, 2));
    assert_eq!(read.expires_at, session.expires_at);
    assert!(sessions.get(SessionId::generate()).await.unwrap().is_none());
}
