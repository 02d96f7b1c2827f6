//! What can be wrong with a folder, told apart in one line each.

use std::{fs, path::Path};

use rusqlite::Connection;
use schemas::JobRecord;
use store::{Insert, OpenError, Save, Store, StoreError};

use crate::sample::job;

async fn refusal(folder: &Path) -> OpenError {
    let Err(error) = Store::sqlite(folder).await else { panic!("it opened") };
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    error
}

#[tokio::test]
async fn a_missing_folder_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("a/b");

    Store::sqlite(&below).await.unwrap().close().await;

    assert!(below.join("feat.db").is_file());
}

#[tokio::test]
async fn a_file_in_the_place_of_the_folder_is_not_writable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();

    let error = refusal(&file.join("below")).await;

    assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_damaged_file_is_told_from_a_sound_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("feat.db");
    let store = Store::sqlite(folder.path()).await.unwrap();
    for _ in 0..200 {
        assert_eq!(store.jobs.insert(&job()).await, Ok(Insert::Stored));
    }
    store.close().await;
    let sound = fs::read(&file).unwrap();
    let middle = sound.len() / 2;
    let cases = [
        ("no database at all", b"something else entirely".repeat(100)),
        ("first page overwritten", [&[0xff; 4096], &sound[4096..]].concat()),
        ("cut short", sound[..middle].to_vec()),
        ("middle overwritten", [&sound[..middle], &[0xff; 8192], &sound[middle + 8192..]].concat()),
    ];
    for (name, bytes) in cases {
        fs::write(&file, bytes).unwrap();
        let error = refusal(folder.path()).await;
        assert!(matches!(error, OpenError::Corrupt { .. }), "{name}: {error:?}");
    }
    fs::write(&file, sound).unwrap();
    Store::sqlite(folder.path()).await.unwrap().close().await;
}

#[tokio::test]
async fn a_file_of_a_newer_feat_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    Store::sqlite(folder.path()).await.unwrap().close().await;
    let file = Connection::open(folder.path().join("feat.db")).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    drop(file);

    let error = refusal(folder.path()).await;

    assert!(matches!(error, OpenError::Newer { found: 99, known: 1, .. }), "{error:?}");
}

#[tokio::test]
async fn a_folder_has_one_user_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = Store::sqlite(folder.path()).await.unwrap();

    let error = refusal(folder.path()).await;
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");

    let clone = first.clone();
    first.close().await;
    let second = Store::sqlite(folder.path()).await.unwrap();
    drop(clone);
    // Also a store that nobody closed lets go soon.
    drop(second);
    Store::sqlite(folder.path()).await.unwrap().close().await;
}

#[tokio::test]
async fn guests_come_while_somebody_owns_the_folder_and_one_of_all_savers_wins() {
    let folder = tempfile::tempdir().unwrap();
    let owner = Store::sqlite(folder.path()).await.unwrap();
    let first = job();
    assert_eq!(owner.jobs.insert(&first).await, Ok(Insert::Stored));
    let guest = Store::sqlite_as_guest(folder.path()).await.unwrap();
    assert!(Store::sqlite_has_owner(folder.path()));

    let mut seen = guest.jobs.get(first.id).await.unwrap().unwrap();
    for round in 0..50 {
        let next = JobRecord { version: seen.version + 1, ..seen.clone() };
        let saves = (0..8).map(|n| {
            let place = if (n + round) % 2 == 0 { &owner } else { &guest };
            place.jobs.save(&next)
        });
        let won = futures::future::join_all(saves).await;
        let won = won.into_iter().filter(|answer| *answer == Ok(Save::Stored)).count();
        assert_eq!(won, 1, "round {round}");
        seen = owner.jobs.get(first.id).await.unwrap().unwrap();
        assert_eq!(guest.jobs.get(first.id).await, Ok(Some(seen.clone())));
    }
    guest.close().await;
    let error = refusal(folder.path()).await;
    assert!(matches!(error, OpenError::InUse { .. }), "the guest took the lock along: {error:?}");
    owner.close().await;
    assert!(!Store::sqlite_has_owner(folder.path()));
    Store::sqlite_as_guest(folder.path()).await.unwrap().close().await;
}

#[tokio::test]
async fn a_record_that_does_not_parse_is_named_without_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let job = job();
    let store = Store::sqlite(folder.path()).await.unwrap();
    assert_eq!(store.jobs.insert(&job).await, Ok(Insert::Stored));
    store.close().await;
    let file = Connection::open(folder.path().join("feat.db")).unwrap();
    file.execute("UPDATE jobs SET body = json_set(body, '$.state', 'private')", []).unwrap();
    drop(file);

    let store = Store::sqlite(folder.path()).await.unwrap();
    let error = store.jobs.get(job.id).await.unwrap_err();

    assert!(matches!(error, StoreError::Unreadable { collection: "jobs", .. }), "{error:?}");
    assert!(error.to_string().contains(&job.id.to_string()), "{error}");
    assert!(!format!("{error:?}").contains("private"), "{error:?}");
    store.close().await;
}
