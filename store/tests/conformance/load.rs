//! Full, closing and healthy stores.

use std::time::Duration;

use futures::{FutureExt, future::join_all};
use schemas::JobRecord;
use store::{Insert, JobFilter, StoreError};
use tokio::{runtime::Builder, time::Instant};

use crate::{place::Place, sample::job};

/// More calls than the intake holds.
const CALLS: usize = 9_000;

pub(crate) async fn a_full_intake_is_busy_and_loses_nothing_that_it_took(place: &Place) {
    let engine = place.engine();
    // On one thread nothing is written before every call has been made.
    let check = move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let place = Place::new(engine).await;
            let records: Vec<_> = (0..CALLS).map(|_| job()).collect();
            let answers = join_all(records.iter().map(|job| place.store.jobs.insert(job))).await;

            let stored = answers.iter().filter(|answer| **answer == Ok(Insert::Stored)).count();
            let busy = answers.iter().filter(|answer| **answer == Err(StoreError::Busy)).count();
            assert!(busy > 0, "{stored} stored");
            assert_eq!(stored + busy, CALLS);
            let count = place.store.jobs.count(&JobFilter::default(), u64::MAX >> 1).await;
            assert_eq!(count, Ok(u64::try_from(stored).unwrap()));
            place.remove().await;
        });
    };
    tokio::task::spawn_blocking(check).await.unwrap();
}

pub(crate) async fn a_caller_that_goes_away_does_not_stop_its_write(place: &Place) {
    let jobs = &place.store.jobs;
    let job = job();

    // Polled once, so the record is handed over; then the caller is gone.
    let gone = jobs.insert(&job).now_or_never();

    assert!(gone.is_none(), "a write is not answered before it is made");
    let deadline = Instant::now() + Duration::from_secs(10);
    while jobs.get(job.id).await.unwrap().is_none() {
        assert!(Instant::now() < deadline, "never written");
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn a_closed_store_has_written_what_it_took_and_takes_no_more(place: &Place) {
    let store = place.store.clone();
    let records: Vec<JobRecord> = (0..1_000).map(|_| job()).collect();
    let inserts = join_all(records.iter().map(|job| store.jobs.insert(job)));

    let (answers, again) = tokio::join!(biased; inserts, place.reopen());

    assert!(answers.iter().all(|answer| *answer == Ok(Insert::Stored)));
    let count = again.jobs.count(&JobFilter::default(), 10_000).await;
    assert_eq!(count, Ok(1_000));
    let closed = |error: &StoreError| matches!(error, StoreError::Unavailable(_));
    assert!(closed(&store.jobs.insert(&job()).await.unwrap_err()));
    assert!(closed(&store.jobs.get(job().id).await.unwrap_err()));
    assert!(closed(&store.jobs.list(&JobFilter::default(), None, 1).await.unwrap_err()));
    assert!(closed(&store.ping().await.unwrap_err()));
    again.close().await;
}

pub(crate) async fn a_healthy_store_has_no_findings(place: &Place) {
    assert_eq!(place.store.ping().await, Ok(()));
    let findings = place.store.check().await;

    assert!(findings.len() >= 3, "{findings:?}");
    assert!(findings.iter().all(|finding| finding.problem.is_none()), "{findings:?}");
}

pub(crate) async fn migrating_again_changes_nothing(place: &Place) {
    let job = job();
    assert_eq!(place.store.jobs.insert(&job).await, Ok(Insert::Stored));

    assert_eq!(place.store.migrate().await, Ok(()));

    assert_eq!(place.store.jobs.get(job.id).await, Ok(Some(job)));
}
