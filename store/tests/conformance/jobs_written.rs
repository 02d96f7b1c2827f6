//! Writes of jobs: what is taken, what is stale, and that each caller gets its own answer.

use futures::future::join_all;
use schemas::{JobRecord, JobState, job::Idempotency};
use store::{Insert, Save};

use crate::{
    place::Place,
    sample::{at, job, job_of, next, user},
};

fn keyed(owner: i64, key: &str) -> JobRecord {
    let key = Idempotency { key: key.to_owned(), fingerprint: "f".to_owned() };
    JobRecord { idempotency: Some(key), ..job_of(user(owner)) }
}

fn unique(owner: i64, key: &str) -> JobRecord {
    JobRecord { unique_key: Some(key.to_owned()), ..job_of(user(owner)) }
}

pub(crate) async fn a_job_comes_back_as_it_was_stored(place: &Place) {
    let jobs = &place.store.jobs;
    let mut job = keyed(7, "k");
    job.output = Some(serde_json::json!({ "files": [1, 2.5, null, true, "x"], "none": {} }));

    assert_eq!(jobs.insert(&job).await, Ok(Insert::Stored));

    assert_eq!(jobs.get(job.id).await, Ok(Some(job)));
    assert_eq!(jobs.get(self::job().id).await, Ok(None));
}

pub(crate) async fn an_id_is_taken_once(place: &Place) {
    let jobs = &place.store.jobs;
    let job = job();
    let other = JobRecord { request_id: Some("other".to_owned()), ..job.clone() };

    assert_eq!(jobs.insert(&job).await, Ok(Insert::Stored));
    assert_eq!(jobs.insert(&other).await, Ok(Insert::Taken));
    assert_eq!(jobs.get(job.id).await, Ok(Some(job)));
}

pub(crate) async fn an_idempotency_key_is_taken_once_for_each_owner(place: &Place) {
    let cases = [
        ("first", keyed(7, "k"), Insert::Stored),
        ("same key again", keyed(7, "k"), Insert::Taken),
        ("another key", keyed(7, "l"), Insert::Stored),
        ("another owner", keyed(8, "k"), Insert::Stored),
        ("no key", job(), Insert::Stored),
        ("no key again", job(), Insert::Stored),
    ];
    for (name, job, expected) in cases {
        assert_eq!(place.store.jobs.insert(&job).await, Ok(expected), "{name}");
    }
}

pub(crate) async fn a_unique_key_is_taken_once_for_each_owner(place: &Place) {
    let cases = [
        ("first", unique(7, "image.delete:1"), Insert::Stored),
        ("same key again", unique(7, "image.delete:1"), Insert::Taken),
        ("another key", unique(7, "image.delete:2"), Insert::Stored),
        ("another owner", unique(8, "image.delete:1"), Insert::Stored),
    ];
    for (name, job, expected) in cases {
        assert_eq!(place.store.jobs.insert(&job).await, Ok(expected), "{name}");
    }
}

pub(crate) async fn a_change_is_saved_over_the_version_that_it_came_from_only(place: &Place) {
    let jobs = &place.store.jobs;
    let first = job();
    let second = next(&first, "second");
    let third = next(&second, "third");
    assert_eq!(jobs.insert(&first).await, Ok(Insert::Stored));

    assert_eq!(jobs.save(&third).await, Ok(Save::Stale), "one is missing between");
    assert_eq!(jobs.save(&second).await, Ok(Save::Stored));
    assert_eq!(jobs.save(&next(&first, "rival")).await, Ok(Save::Stale), "overtaken");
    assert_eq!(jobs.save(&third).await, Ok(Save::Stored));

    assert_eq!(jobs.get(first.id).await, Ok(Some(third)));
}

pub(crate) async fn a_change_of_an_unknown_job_is_stale(place: &Place) {
    let change = next(&job(), "change");

    assert_eq!(place.store.jobs.save(&change).await, Ok(Save::Stale));
    assert_eq!(place.store.jobs.get(change.id).await, Ok(None));
}

pub(crate) async fn another_owner_cannot_save_over_a_job(place: &Place) {
    let jobs = &place.store.jobs;
    let job = job();
    let foreign = JobRecord { owner: user(8), ..next(&job, "foreign") };
    assert_eq!(jobs.insert(&job).await, Ok(Insert::Stored));

    assert_eq!(jobs.save(&foreign).await, Ok(Save::Stale));
    assert_eq!(jobs.get(job.id).await, Ok(Some(job)));
}

pub(crate) async fn concurrent_saves_of_one_version_have_one_winner(place: &Place) {
    let jobs = &place.store.jobs;
    let mut latest = job();
    assert_eq!(jobs.insert(&latest).await, Ok(Insert::Stored));
    for round in 0..3 {
        let rivals: Vec<_> =
            (0..200).map(|rival| next(&latest, &format!("{round}.{rival}"))).collect();
        let answers = join_all(rivals.iter().map(|rival| jobs.save(rival))).await;

        let winners: Vec<_> = rivals
            .iter()
            .zip(answers)
            .filter(|(_, answer)| *answer.as_ref().unwrap() == Save::Stored)
            .map(|(rival, _)| rival)
            .collect();
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(jobs.get(latest.id).await.unwrap().as_ref(), Some(winners[0]));
        latest = winners[0].clone();
    }
}

pub(crate) async fn a_batch_of_winners_and_losers_gives_each_its_own_answer(place: &Place) {
    let jobs = &place.store.jobs;
    let stored: Vec<_> = (0..300).map(|_| job()).collect();
    for answer in join_all(stored.iter().map(|job| jobs.insert(job))).await {
        assert_eq!(answer, Ok(Insert::Stored));
    }
    let changes: Vec<_> = stored
        .iter()
        .enumerate()
        .map(|(index, job)| match index % 3 {
            0 => (next(job, "wins"), Save::Stored),
            1 => (next(&next(job, "skipped"), "too new"), Save::Stale),
            _ => (next(&self::job(), "unknown"), Save::Stale),
        })
        .collect();

    let answers = join_all(changes.iter().map(|(change, _)| jobs.save(change))).await;

    for (index, ((_, expected), answer)) in changes.iter().zip(answers).enumerate() {
        assert_eq!(answer, Ok(*expected), "change {index}");
    }
}

pub(crate) async fn concurrent_inserts_of_one_key_have_one_winner(place: &Place) {
    let jobs = &place.store.jobs;
    let rivals: Vec<_> = (0..200).map(|rival| keyed(7, &format!("key {}", rival % 4))).collect();

    let answers = join_all(rivals.iter().map(|rival| jobs.insert(rival))).await;

    for key in 0..4 {
        let of_key = rivals.iter().zip(&answers).skip(key).step_by(4);
        let stored: Vec<_> = of_key.filter(|(_, answer)| **answer == Ok(Insert::Stored)).collect();
        assert_eq!(stored.len(), 1, "key {key}");
        let found = jobs.by_idempotency_key(user(7), &format!("key {key}")).await.unwrap();
        assert_eq!(found.as_ref(), Some(stored[0].0), "key {key}");
    }
}

pub(crate) async fn settled_jobs_are_removed_earliest_first_up_to_the_limit(place: &Place) {
    let jobs = &place.store.jobs;
    let settled = |second| JobRecord {
        state: JobState::Succeeded,
        settled_at: Some(at(second)),
        wake_at: None,
        ..job()
    };
    let records = [settled(30), settled(10), settled(20), settled(40), job()];
    for record in &records {
        assert_eq!(jobs.insert(record).await, Ok(Insert::Stored));
    }

    assert_eq!(jobs.remove_settled(at(40), 0).await, Ok(0));
    assert_eq!(jobs.remove_settled(at(40), 2).await, Ok(2));
    assert!(jobs.get(records[0].id).await.unwrap().is_some(), "10 and 20 go before 30");
    assert_eq!(jobs.remove_settled(at(40), 2).await, Ok(1));
    assert_eq!(jobs.remove_settled(at(40), 2).await, Ok(0));

    let left = [false, false, false, true, true];
    for (record, left) in records.iter().zip(left) {
        assert_eq!(jobs.get(record.id).await.unwrap().is_some(), left, "{:?}", record.settled_at);
    }
}

pub(crate) async fn what_was_answered_is_there_after_the_store_is_opened_again(place: &Place) {
    let job = job();
    assert_eq!(place.store.jobs.insert(&job).await, Ok(Insert::Stored));

    let again = place.reopen().await;

    assert_eq!(again.jobs.get(job.id).await, Ok(Some(job)));
    again.close().await;
}
