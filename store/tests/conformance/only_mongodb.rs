//! A database that is away, and one that was changed by hand.

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use schemas::SessionId;
use secrecy::{ExposeSecret, SecretString};
use store::{Insert, JobFilter, OpenError, Save, Store, StoreError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    place::{mongodb, raw_database},
    sample::{job, next},
};

/// No call waits longer than this.
const BOUND: Duration = Duration::from_secs(12);

#[tokio::test]
async fn an_address_that_cannot_be_right_is_refused_without_its_password() {
    let cases = [
        ("no address", "localhost"),
        ("password with a slash", "mongodb://feat:top/secret@localhost/"),
        ("password with a colon and an at sign", "mongodb://feat:top:se@secret@localhost/"),
        ("unknown option", "mongodb://feat:secret@localhost/?w=majority&w=-7"),
    ];
    for (name, uri) in cases {
        let Err(error) = Store::mongo(&uri.into(), "feat").await else { panic!("{name}") };
        assert!(matches!(error, OpenError::Address(_)), "{name}: {error:?}");
        assert!(!format!("{error:?} {error}").contains("secret"), "{name}: {error:?}");
        assert_eq!(error.to_string().lines().count(), 1, "{name}");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_told_in_time() {
    let start = Instant::now();
    let uri = "mongodb://feat:secret@127.0.0.1:1/?serverSelectionTimeoutMS=60000".into();

    let Err(error) = Store::mongo(&uri, "feat").await else { panic!("it opened") };

    assert!(matches!(error, OpenError::NoPrimary(_)), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
}

/// Passes bytes on to MongoDB, or holds them back; tells where.
async fn tap(server: String) -> (u16, watch::Sender<bool>) {
    let (open, opened) = watch::channel(true);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect(&server).await else { continue };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::spawn(pass(from_client, to_server, opened.clone()));
            tokio::spawn(pass(from_server, to_client, opened.clone()));
        }
    });
    (port, open)
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut open: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let held = open.wait_for(|open| *open).await.is_err();
        if held || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_nothing_ends_every_call_in_time() {
    let uri = mongodb();
    let options = mongodb::options::ClientOptions::parse(uri.expose_secret()).await.unwrap();
    let server = options.hosts[0].to_string();
    let (port, open) = tap(server.clone()).await;
    let tapped = uri.expose_secret().replacen(&server, &format!("127.0.0.1:{port}"), 1);
    let mark = if tapped.contains('?') { '&' } else { '?' };
    let tapped = SecretString::from(format!("{tapped}{mark}directConnection=true"));
    let name = format!("feat-store-{}", SessionId::generate());
    let store = Store::mongo(&tapped, &name).await.unwrap();
    store.migrate().await.unwrap();
    let before = job();
    assert_eq!(store.jobs.insert(&before).await, Ok(Insert::Stored));

    open.send_replace(false);
    let start = Instant::now();
    let held = job();
    let change = next(&before, "change");
    let filter = JobFilter::default();
    let (insert, save, get, list, ping) = tokio::join!(
        store.jobs.insert(&held),
        store.jobs.save(&change),
        store.jobs.get(before.id),
        store.jobs.list(&filter, None, 10),
        store.ping(),
    );
    assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
    assert!(matches!(insert, Err(StoreError::Unavailable(_))), "{insert:?}");
    assert!(matches!(save, Err(StoreError::Unavailable(_))), "{save:?}");
    assert!(matches!(get, Err(StoreError::Unavailable(_))), "{get:?}");
    assert!(matches!(list, Err(StoreError::Unavailable(_))), "{list:?}");
    assert!(matches!(ping, Err(StoreError::Unavailable(_))), "{ping:?}");

    open.send_replace(true);
    // The held write may arrive now, before the repeated one or after it: one of them stored it.
    let repeated = store.jobs.insert(&held).await.unwrap();
    assert!(matches!(repeated, Insert::Stored | Insert::Taken));
    let repeated = store.jobs.save(&change).await.unwrap();
    assert!(matches!(repeated, Save::Stored | Save::Stale));
    assert_eq!(store.jobs.get(held.id).await, Ok(Some(held)));
    assert_eq!(store.jobs.get(before.id).await, Ok(Some(change)));
    store.close().await;
    raw_database(&uri, &name).await.drop().await.unwrap();
}

#[tokio::test]
async fn a_record_that_does_not_parse_is_named_without_its_content() {
    let uri = mongodb();
    let name = format!("feat-store-{}", SessionId::generate());
    let store = Store::mongo(&uri, &name).await.unwrap();
    let job = job();
    assert_eq!(store.jobs.insert(&job).await, Ok(Insert::Stored));
    let raw = raw_database(&uri, &name).await;
    let change = doc! { "$set": { "state": "private" } };
    raw.collection::<Document>("jobs").update_one(doc! {}, change).await.unwrap();

    let error = store.jobs.get(job.id).await.unwrap_err();

    assert!(matches!(error, StoreError::Unreadable { collection: "jobs", .. }), "{error:?}");
    assert!(error.to_string().contains(&job.id.to_string()), "{error}");
    assert!(!format!("{error:?}").contains("private"), "{error:?}");
    store.close().await;
    raw.drop().await.unwrap();
}

#[tokio::test]
async fn missing_indexes_are_found() {
    let uri = mongodb();
    let name = format!("feat-store-{}", SessionId::generate());
    let store = Store::mongo(&uri, &name).await.unwrap();

    let findings = store.check().await;

    let problems: Vec<_> =
        findings.iter().filter_map(|finding| finding.problem.as_deref()).collect();
    assert!(problems.iter().any(|problem| problem.contains("owner_unique_key")), "{findings:?}");
    store.close().await;
    raw_database(&uri, &name).await.drop().await.unwrap();
}
