//! Questions about jobs.

use futures::future::join_all;
use schemas::{
    JobRecord, JobState, Queue, Timestamp, UserId,
    job::{Idempotency, JobFailure},
};
use store::{Insert, JobFilter};

use crate::{
    place::Place,
    sample::{at, job, job_in, job_of, user},
};

async fn store_all(place: &Place, jobs: &[JobRecord]) {
    for answer in join_all(jobs.iter().map(|job| place.store.jobs.insert(job))).await {
        assert_eq!(answer, Ok(Insert::Stored));
    }
}

fn ids(jobs: &[JobRecord]) -> Vec<schemas::JobId> {
    jobs.iter().map(|job| job.id).collect()
}

pub(crate) async fn concurrent_gets_give_each_its_own_job(place: &Place) {
    let jobs = &place.store.jobs;
    let stored: Vec<_> = (0..200).map(|owner| job_of(user(owner % 5 + 1))).collect();
    store_all(place, &stored).await;

    let any = join_all(stored.iter().map(|job| jobs.get(job.id)));
    let owned = join_all(stored.iter().map(|job| jobs.get_owned(job.owner, job.id)));
    let foreign = join_all(stored.iter().map(|job| jobs.get_owned(user(9), job.id)));
    let unknown = join_all((0..200).map(|_| jobs.get(job().id)));
    let (any, owned, foreign, unknown) = tokio::join!(any, owned, foreign, unknown);

    for (index, job) in stored.iter().enumerate() {
        assert_eq!(any[index].as_ref().unwrap().as_ref(), Some(job));
        assert_eq!(owned[index].as_ref().unwrap().as_ref(), Some(job));
        assert_eq!(foreign[index], Ok(None));
        assert_eq!(unknown[index], Ok(None));
    }
}

fn with_keys(owner: i64, key: &str) -> JobRecord {
    let idempotency = Idempotency { key: key.to_owned(), fingerprint: String::new() };
    JobRecord {
        idempotency: Some(idempotency),
        unique_key: Some(format!("unique {key}")),
        ..job_of(user(owner))
    }
}

pub(crate) async fn a_job_is_found_by_its_keys(place: &Place) {
    let jobs = &place.store.jobs;
    let job = with_keys(7, "k");
    store_all(place, &[job.clone(), with_keys(7, "l")]).await;

    assert_eq!(jobs.by_idempotency_key(user(7), "k").await, Ok(Some(job.clone())));
    assert_eq!(jobs.by_idempotency_key(user(7), "unique k").await, Ok(None));
    assert_eq!(jobs.by_unique_key(user(7), "unique k").await, Ok(Some(job)));
    assert_eq!(jobs.by_unique_key(user(7), "k").await, Ok(None));
}

pub(crate) async fn no_question_crosses_owners(place: &Place) {
    let jobs = &place.store.jobs;
    let job = with_keys(7, "k");
    store_all(place, std::slice::from_ref(&job)).await;
    let stranger = user(8);
    let filter = JobFilter { owner: Some(stranger), ..JobFilter::default() };

    assert_eq!(jobs.get_owned(user(7), job.id).await, Ok(Some(job.clone())));
    assert_eq!(jobs.get_owned(stranger, job.id).await, Ok(None));
    assert_eq!(jobs.get_owned(UserId::FEAT, job.id).await, Ok(None));
    assert_eq!(jobs.by_idempotency_key(stranger, "k").await, Ok(None));
    assert_eq!(jobs.by_unique_key(stranger, "unique k").await, Ok(None));
    assert_eq!(jobs.list(&filter, None, 10).await, Ok(vec![]));
    assert_eq!(jobs.count(&filter, 10).await, Ok(0));
}

pub(crate) async fn pages_follow_each_other_newest_first(place: &Place) {
    let jobs = &place.store.jobs;
    let mut stored: Vec<_> = (0..25).map(|_| job()).collect();
    store_all(place, &stored).await;
    store_all(place, &[job_of(user(8))]).await;
    stored.reverse();
    let filter = JobFilter { owner: Some(user(7)), ..JobFilter::default() };

    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = jobs.list(&filter, after, 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        pages.push(page);
    }

    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    assert_eq!(ids(&pages.concat()), ids(&stored));
    assert_eq!(jobs.list(&filter, None, 0).await, Ok(vec![]));
}

pub(crate) async fn every_part_of_a_filter_counts(place: &Place) {
    let jobs = &place.store.jobs;
    let failure = JobFailure { code: "gone".to_owned(), message: "m".to_owned() };
    let records = [
        JobRecord { created_at: at(10), ..job() },
        JobRecord { created_at: at(20), kind: "other".to_owned(), ..job() },
        JobRecord { created_at: at(30), state: JobState::Dead, error: Some(failure), ..job() },
        JobRecord { created_at: at(40), ..job_of(user(8)) },
    ];
    store_all(place, &records).await;
    let any = JobFilter::default;
    let kinds = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let cases = [
        ("all", any(), vec![3, 2, 1, 0]),
        ("owner", JobFilter { owner: Some(user(8)), ..any() }, vec![3]),
        ("one kind", JobFilter { kinds: kinds(&["other"]), ..any() }, vec![1]),
        (
            "kinds",
            JobFilter { kinds: kinds(&["other", "image.delete"]), ..any() },
            vec![3, 2, 1, 0],
        ),
        ("state", JobFilter { states: vec![JobState::Dead, JobState::Failed], ..any() }, vec![2]),
        ("error", JobFilter { error: Some("gone".to_owned()), ..any() }, vec![2]),
        ("other error", JobFilter { error: Some("m".to_owned()), ..any() }, vec![]),
        ("from", JobFilter { created_from: Some(at(30)), ..any() }, vec![3, 2]),
        ("before", JobFilter { created_before: Some(at(30)), ..any() }, vec![1, 0]),
        (
            "several parts",
            JobFilter {
                owner: Some(user(7)),
                kinds: kinds(&["image.delete"]),
                created_before: Some(at(30)),
                ..any()
            },
            vec![0],
        ),
    ];
    for (name, filter, expected) in cases {
        let expected: Vec<_> = expected.into_iter().map(|index: usize| records[index].id).collect();
        let found = jobs.list(&filter, None, 10).await.unwrap();
        let count = jobs.count(&filter, 10).await.unwrap();

        assert_eq!(ids(&found), expected, "{name}");
        assert_eq!(count, u64::try_from(expected.len()).unwrap(), "{name}");
    }
}

pub(crate) async fn a_count_stops_at_its_cap(place: &Place) {
    let stored: Vec<_> = (0..5).map(|_| job()).collect();
    store_all(place, &stored).await;

    for (cap, expected) in [(0, 0), (3, 3), (5, 5), (9, 5)] {
        let count = place.store.jobs.count(&JobFilter::default(), cap).await;
        assert_eq!(count, Ok(expected), "cap {cap}");
    }
}

pub(crate) async fn due_jobs_come_longest_due_first(place: &Place) {
    let jobs = &place.store.jobs;
    let records = [
        job_in(JobState::Waiting, Queue::Images, 30),
        job_in(JobState::Scheduled, Queue::Maintenance, 10),
        job_in(JobState::Unknown, Queue::Images, 20),
        job_in(JobState::Waiting, Queue::Images, 41),
        job_in(JobState::Queued, Queue::Images, 5),
        job_in(JobState::Running, Queue::Images, 5),
        job_in(JobState::Dead, Queue::Images, 5),
        JobRecord { wake_at: None, ..job_in(JobState::Unknown, Queue::Images, 0) },
    ];
    store_all(place, &records).await;
    let due = async |now: Timestamp, limit| ids(&jobs.due(now, limit).await.unwrap());

    assert_eq!(due(at(40), 10).await, [records[1].id, records[2].id, records[0].id]);
    assert_eq!(due(at(40), 2).await, [records[1].id, records[2].id]);
    assert_eq!(due(at(20), 10).await, [records[1].id, records[2].id], "due at this very moment");
    assert_eq!(due(at(9), 10).await, []);
}

pub(crate) async fn lapsed_jobs_are_running_ones_whose_lease_has_ended(place: &Place) {
    let jobs = &place.store.jobs;
    let records = [
        job_in(JobState::Running, Queue::Maintenance, 20),
        job_in(JobState::Running, Queue::Images, 10),
        job_in(JobState::Running, Queue::Images, 31),
        job_in(JobState::Waiting, Queue::Images, 10),
    ];
    store_all(place, &records).await;

    let lapsed = jobs.lapsed(at(30), 10).await.unwrap();
    let first = jobs.lapsed(at(30), 1).await.unwrap();

    assert_eq!(ids(&lapsed), [records[1].id, records[0].id]);
    assert_eq!(ids(&first), [records[1].id]);
}

pub(crate) async fn lingering_jobs_are_queued_ones_of_one_queue(place: &Place) {
    let jobs = &place.store.jobs;
    let records = [
        job_in(JobState::Queued, Queue::Images, 20),
        job_in(JobState::Queued, Queue::Images, 10),
        job_in(JobState::Queued, Queue::Images, 30),
        job_in(JobState::Queued, Queue::Maintenance, 10),
        job_in(JobState::Running, Queue::Images, 10),
    ];
    store_all(place, &records).await;

    let lingering = jobs.lingering(Queue::Images, at(30), 10).await.unwrap();
    let first = jobs.lingering(Queue::Images, at(30), 1).await.unwrap();

    assert_eq!(ids(&lingering), [records[1].id, records[0].id]);
    assert_eq!(ids(&first), [records[1].id]);
}
