//! The life of a job: how each verdict ends a run.

use std::time::Duration;

use schemas::{
    ImageId, JobError, JobId, JobRecord, JobSpec, JobState, Timestamp, UserId, Verdict,
    job::{Idempotency, IllegalTransition, MAX_CRASHES, NewJob},
    kinds::{ImageDelete, image_delete::ImageDeletion},
};
use serde_json::json;

pub(crate) const SPEC: JobSpec = JobSpec::of::<ImageDelete>();

pub(crate) fn new_job() -> NewJob {
    let payload = ImageDeletion { image: ImageId::new(41).unwrap() };
    NewJob::of::<ImageDelete>(UserId::new(7).unwrap(), &payload).unwrap()
}

pub(crate) fn queued(now: Timestamp) -> JobRecord {
    let mut new = new_job();
    new.unique_key = Some("image.delete:41".to_owned());
    JobRecord::accept(new, "api", now)
}

fn settle(job: JobRecord, verdict: Verdict, now: Timestamp) -> JobRecord {
    job.settle(&SPEC, verdict, "w1", now, 1.0).unwrap()
}

#[test]
fn each_verdict_leads_to_its_state() {
    let now = Timestamp::now();
    let later = now + Duration::from_secs(90);
    let again = |after| Verdict::Error(JobError::Again { after, reason: "slow disk".to_owned() });
    let unknown = |again| Verdict::Error(JobError::Unknown { ask: "order 1".to_owned(), again });
    let second = Duration::from_secs(1);
    let cases = [
        ("done", Verdict::Done(json!({})), JobState::Succeeded, None, 1),
        ("refused", Verdict::Error(JobError::Rejected("gone")), JobState::Failed, None, 1),
        ("cancelled", Verdict::Error(JobError::Cancelled), JobState::Cancelled, None, 0),
        ("again", again(None), JobState::Waiting, Some(now + second), 1),
        ("again, told when", again(Some(second * 9)), JobState::Waiting, Some(now + second * 9), 1),
        ("panic", Verdict::Panicked, JobState::Waiting, Some(now + second), 1),
        ("time-out", Verdict::TimedOut, JobState::Waiting, Some(now + second), 1),
        (
            "throttled",
            Verdict::Error(JobError::Throttled { until: later }),
            JobState::Waiting,
            Some(later),
            0,
        ),
        ("unknown, ask later", unknown(Some(second)), JobState::Unknown, Some(now + second), 0),
        ("unknown, ask a person", unknown(None), JobState::Unknown, None, 0),
        ("shutdown", Verdict::Interrupted, JobState::Queued, Some(now), 0),
    ];
    for (name, verdict, state, wake_at, attempts) in cases {
        let job = settle(queued(now), verdict, now);
        assert_eq!((job.state, job.wake_at, job.attempts), (state, wake_at, attempts), "{name}");
        assert_eq!(job.settled_at.is_some(), state.is_settled(), "{name}");
        assert_eq!(job.version, 2, "{name}");
    }
}

#[test]
fn the_first_outcome_stays() {
    let now = Timestamp::now();
    let done = settle(queued(now), Verdict::Done(json!({})), now);
    let second = done.settle(&SPEC, Verdict::Panicked, "w2", now, 0.0);

    let from = JobState::Succeeded;
    assert_eq!(second, Err(IllegalTransition { from, to: JobState::Running }));
}

#[test]
fn attempts_run_out() {
    let mut now = Timestamp::now();
    let mut job = queued(now);
    for attempt in 1..=SPEC.retry.attempts() {
        job = settle(job, Verdict::Panicked, now);
        assert_eq!(job.attempts, attempt);
        if let Some(due) = job.wake_at {
            now = due;
            job = job.publish_due("scheduler", now).unwrap();
        }
    }
    assert_eq!(job.state, JobState::Dead);
    assert_eq!(job.error.unwrap().code, "handler_panicked");
}

#[test]
fn no_attempt_begins_after_the_deadline() {
    let now = Timestamp::now();
    let mut job = queued(now);
    job.deadline_at = now;

    assert_eq!(settle(job, Verdict::TimedOut, now).state, JobState::Dead);
}

#[test]
fn a_job_that_kills_its_workers_is_set_aside() {
    let mut now = Timestamp::now();
    let mut job = queued(now);
    for crash in 1..=MAX_CRASHES {
        let until = now + Duration::from_secs(10);
        job = job.claim("w1", until, now).unwrap();
        assert!(job.clone().lose_lease("w2", now).is_err(), "the lease has not ended");
        now = until;
        job = job.lose_lease("w2", now).unwrap();
        assert_eq!(job.crashes, crash);
        if job.state == JobState::Waiting {
            now = job.wake_at.unwrap();
            job = job.publish_due("w2", now).unwrap();
        }
    }
    assert_eq!(job.state, JobState::Dead);
}

#[test]
fn a_run_that_pauses_in_order_ends_a_series_of_crashes() {
    let now = Timestamp::now();
    let until = now + Duration::from_secs(10);
    let crashed = queued(now).claim("w1", until, now).unwrap().lose_lease("w2", until).unwrap();
    assert_eq!(crashed.crashes, 1);
    let running = crashed.claim("w2", until + Duration::from_secs(10), until).unwrap();

    let throttled = Verdict::Error(JobError::Throttled { until });
    assert_eq!(settle(running, throttled, until).crashes, 0);
}

#[test]
fn a_held_job_is_nobody_elses() {
    let now = Timestamp::now();
    let until = now + Duration::from_secs(10);
    let held = queued(now).claim("w1", until, now).unwrap();

    assert!(held.clone().claim("w2", until, now).is_err());
    assert!(held.clone().claim("w1", until, now).is_err());
    assert!(held.clone().publish("due", "w2", now).is_err());
    assert!(held.clone().renew("w2", until, now).is_err());
    assert!(held.renew("w1", until + Duration::from_secs(5), now).is_ok());
}

#[test]
fn cancelling_makes_a_waiting_job_due_and_frees_its_key() {
    let now = Timestamp::now();
    let waiting = settle(queued(now), Verdict::Panicked, now);
    let asked = waiting.request_cancel("api", now).unwrap();

    assert_eq!((asked.state, asked.wake_at), (JobState::Waiting, Some(now)));
    let cancelled = asked.publish_due("w1", now).unwrap();
    let cancelled = settle(cancelled, Verdict::Error(JobError::Cancelled), now);
    assert_eq!((cancelled.state, cancelled.unique_key), (JobState::Cancelled, None));
}

#[test]
fn an_unknown_outcome_cannot_be_cancelled() {
    let now = Timestamp::now();
    let verdict = Verdict::Error(JobError::Unknown { ask: String::new(), again: None });
    let unknown = settle(queued(now), verdict, now);

    assert!(unknown.request_cancel("api", now).is_err());
}

#[test]
fn no_clock_ends_an_unknown_outcome() {
    let mut now = Timestamp::now();
    let verdict =
        Verdict::Error(JobError::Unknown { ask: String::new(), again: Some(Duration::ZERO) });
    let mut job = settle(queued(now), verdict, now).publish_due("w1", now).unwrap();
    job.deadline_at = now;
    now = now + Duration::from_hours(99);

    assert!(job.clone().request_cancel("api", now).is_err());
    let job = settle(job, Verdict::TimedOut, now);
    assert_eq!((job.state, job.wake_at), (JobState::Unknown, None));
}

#[test]
fn an_operator_gives_a_dead_job_new_attempts() {
    let now = Timestamp::now();
    let mut job = queued(now);
    job.deadline_at = now;
    let dead = settle(job, Verdict::TimedOut, now);
    let retried = dead.retry(&SPEC, "operator ada", now).unwrap();

    assert_eq!(
        (retried.state, retried.attempts, retried.wake_at),
        (JobState::Waiting, 0, Some(now))
    );
    assert!(retried.deadline_at > now);
    assert!(retried.settled_at.is_none());
    assert_eq!(retried.history.last().unwrap().by, "operator ada");
}

#[test]
fn only_what_ended_without_success_is_given_new_attempts() {
    let now = Timestamp::now();
    let until = now + Duration::from_secs(10);
    let again = || Verdict::Error(JobError::again("slow disk"));
    let unknown = Verdict::Error(JobError::Unknown { ask: String::new(), again: None });
    let mut late = queued(now);
    late.deadline_at = now;
    let mut scheduled = new_job();
    scheduled.run_at = Some(until);
    let cases = [
        ("scheduled", JobRecord::accept(scheduled, "api", now), false),
        ("queued", queued(now), false),
        ("running", queued(now).claim("w1", until, now).unwrap(), false),
        ("waiting", settle(queued(now), again(), now), false),
        ("unknown", settle(queued(now), unknown, now), false),
        ("succeeded", settle(queued(now), Verdict::Done(json!({})), now), false),
        ("cancelled", settle(queued(now), Verdict::Error(JobError::Cancelled), now), false),
        ("failed", settle(queued(now), Verdict::Error(JobError::Rejected("gone")), now), true),
        ("dead", settle(late, again(), now), true),
    ];
    for (name, job, allowed) in cases {
        assert_eq!(job.state.name(), name);
        assert_eq!(job.retry(&SPEC, "operator ada", now).is_ok(), allowed, "{name}");
    }
}

#[test]
fn a_job_that_gets_on_has_bad_neighbours() {
    let mut now = Timestamp::now();
    let mut job = queued(now);
    for _ in 0..3 * MAX_CRASHES {
        let until = now + Duration::from_secs(10);
        let held = job.claim("w1", until, now).unwrap();
        let renewed = held.gets_on().renew("w1", until, now).unwrap();
        now = until;
        job = renewed.lose_lease("w2", now).unwrap();
        assert_eq!((job.state, job.crashes), (JobState::Queued, 1));
    }
}

#[test]
fn only_evidence_ends_the_wait_for_an_unknown_outcome() {
    let now = Timestamp::now();
    let ask = JobError::Unknown { ask: "the provider".to_owned(), again: None };
    let unknown = settle(queued(now), Verdict::Error(ask), now);
    let cases = [
        ("a late interruption", Verdict::Interrupted),
        ("a panic", Verdict::Panicked),
        ("a time-out", Verdict::TimedOut),
        ("a failure that may pass", Verdict::Error(JobError::again("slow disk"))),
        ("a pause", Verdict::Error(JobError::Throttled { until: now })),
        ("a cancellation", Verdict::Error(JobError::Cancelled)),
    ];
    for (name, verdict) in cases {
        let settled = unknown.clone().settle(&SPEC, verdict, "w1", now, 0.0);
        assert!(settled.is_err(), "{name}: {settled:?}");
    }
    let refused = settle(unknown.clone(), Verdict::Error(JobError::Rejected("no")), now);
    assert_eq!(refused.state, JobState::Failed);
    assert_eq!(settle(unknown, Verdict::Done(json!({})), now).state, JobState::Succeeded);
}

#[test]
fn asking_twice_to_cancel_changes_nothing_more() {
    let now = Timestamp::now();
    let later = now + Duration::from_secs(1);
    let asked = settle(queued(now), Verdict::Panicked, now).request_cancel("owner", now).unwrap();
    assert_eq!(asked.clone().request_cancel("owner", later).unwrap(), asked);

    // It came too late and the next attempt failed as well: the pause before the one after stays.
    let run = asked.publish_due("w1", now).unwrap();
    let waiting = settle(run, Verdict::Error(JobError::again("slow disk")), now);
    assert_eq!(waiting.wake_at, Some(now + Duration::from_secs(2)));
    assert_eq!(waiting.clone().request_cancel("owner", later).unwrap(), waiting);
}

#[test]
fn a_job_takes_over_one_key_and_goes_on_as_it_was() {
    let now = Timestamp::now();
    let one = |key: &str| Idempotency { key: key.to_owned(), fingerprint: "f".to_owned() };
    let job = queued(now);
    let bound = job.clone().bind(one("k-1"), now).unwrap();

    assert_eq!(bound.version, job.version + 1);
    assert_eq!((bound.state, bound.wake_at), (job.state, job.wake_at));
    assert_eq!(bound.idempotency, Some(one("k-1")));
    assert_eq!(bound.bind(one("k-2"), now), None);
}

#[test]
fn an_id_tells_when_it_was_made() {
    let before = Timestamp::now();
    let made = JobId::generate().made_at();

    assert!(before.since(made) <= Duration::from_millis(1), "to the millisecond");
    assert!(made <= Timestamp::now());
}

#[test]
fn a_run_that_may_have_moved_money_and_was_cut_off_is_never_dead() {
    use schemas::{
        BillSn,
        kinds::{PayRefund, pay_refund::RefundWish},
    };
    let spec = JobSpec::of::<PayRefund>();
    let mut now = Timestamp::now();
    let sn = BillSn::generate(now);
    let amount = schemas::Fen::new(1).unwrap();
    let wish = RefundWish { sn, amount, reason: String::new(), held: None };
    let new = NewJob::of::<PayRefund>(UserId::new(7).unwrap(), &wish).unwrap();
    let queued = JobRecord::accept(new, "api", now);

    let mut crashed = queued.clone();
    for _ in 0..MAX_CRASHES {
        if crashed.state == JobState::Waiting {
            now = now + Duration::from_hours(1);
            crashed = crashed.publish_due("scheduler", now).unwrap();
        }
        let held = crashed.claim("w1", now, now).unwrap();
        crashed = held.lose_lease("scheduler", now).unwrap();
    }
    assert_eq!((crashed.state, crashed.wake_at), (JobState::Unknown, None));

    let mut slow = queued;
    while slow.state != JobState::Unknown {
        slow = slow.settle(&spec, Verdict::TimedOut, "w1", now, 1.0).unwrap();
        assert!(!slow.state.is_settled() && slow.unknown_since.is_some());
        if slow.state == JobState::Waiting {
            now = now + Duration::from_hours(1);
            slow = slow.publish_due("scheduler", now).unwrap();
        }
    }
    let asked = slow.publish("asked", "ada", now).unwrap();
    let refused = Verdict::Error(JobError::Rejected("refund_refused"));
    let ended = asked.settle(&spec, refused, "w1", now, 1.0).unwrap();
    assert_eq!((ended.state, ended.unknown_since), (JobState::Failed, None));
}
