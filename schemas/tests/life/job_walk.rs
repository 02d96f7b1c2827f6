//! What holds of a job whatever happens to it in whatever order.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng};
use schemas::{
    JobError, JobRecord, JobState, Timestamp, Verdict,
    job::{IllegalTransition, MAX_CRASHES},
};
use serde_json::json;

use crate::{
    job::{SPEC, new_job},
    random,
};

/// One thing that may happen to a job, at random.
fn happen(
    job: JobRecord,
    now: Timestamp,
    random: &mut StdRng,
) -> Result<JobRecord, IllegalTransition> {
    let worker = if random.random() { "w1" } else { "w2" };
    let until = now + Duration::from_millis(random.random_range(0..20_000));
    let reason = String::new();
    let verdict = match random.random_range(0..9) {
        0 => Verdict::Done(json!({ "n": 1 })),
        1 => Verdict::Error(JobError::Rejected("no")),
        2 => Verdict::Error(JobError::Again { after: None, reason }),
        3 => Verdict::Error(JobError::Throttled { until }),
        4 => Verdict::Error(JobError::Unknown { ask: reason, again: Some(Duration::ZERO) }),
        5 => Verdict::Error(JobError::Cancelled),
        6 => Verdict::Panicked,
        7 => Verdict::TimedOut,
        _ => Verdict::Interrupted,
    };
    match random.random_range(0..8) {
        0 | 1 => job.claim(worker, until, now),
        2 => job.renew(worker, until, now),
        3 => job.lose_lease(worker, now),
        4 => job.publish_due(worker, now),
        5 => job.request_cancel("api", now),
        6 => job.retry(&SPEC, "operator", now),
        _ => job.settle(&SPEC, verdict, worker, now, random.random()),
    }
}

/// What holds for every record that can be reached.
fn check(job: &JobRecord) {
    assert_eq!(job.lease.is_some(), job.state == JobState::Running);
    assert_eq!(job.settled_at.is_some(), job.state.is_settled());
    assert_eq!(job.output.is_some(), job.state == JobState::Succeeded);
    assert!(job.unknown_since.is_none() || !job.state.is_settled());
    // Whatever is open is looked at again, but an unknown outcome that waits for a person.
    assert!(job.wake_at.is_some() || job.state.is_settled() || job.state == JobState::Unknown);
    // Evidence may settle a job whose attempts have run out.
    let evidence = u32::from(job.state.is_settled());
    assert!(job.attempts <= SPEC.retry.attempts() + evidence, "{job:?}");
    assert!(job.crashes <= MAX_CRASHES, "{job:?}");
    assert!(job.history.len() <= 32 && job.history[0].why == "accepted");
    assert!(job.history.is_sorted_by_key(|change| change.version));
}

#[test]
fn whatever_happens_the_record_stays_sound() {
    let mut random = random();
    for _ in 0..500 {
        let mut now = Timestamp::now();
        let mut new = new_job();
        new.run_at = random.random::<bool>().then_some(now);
        let mut job = JobRecord::accept(new, "api", now);
        for _ in 0..100 {
            now = now + Duration::from_millis(random.random_range(0..5_000));
            let Ok(next) = happen(job.clone(), now, &mut random) else { continue };
            if next == job {
                // The one step that may change nothing.
                assert!(job.cancel_requested_at.is_some());
                continue;
            }
            assert_eq!(next.version, job.version + 1, "one change is one version");
            assert!(next.state == job.state || job.state.successors().contains(&next.state));
            check(&next);
            job = next;
        }
    }
}
