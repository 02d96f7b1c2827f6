//! Jobs that are cancelled before, while and after they run.

use schemas::{Event, JobState, Timestamp};
use store::Save;
use tests::{
    rig::{Engine, Rig},
    scripted::{Leased, Repeatable, Script, Step},
};

tests::on_both_engines! {
    a_job_cancelled_while_it_runs_is_taken_back,
    a_job_cancelled_before_it_runs_never_runs,
    a_cancellation_that_comes_too_late_changes_nothing,
}

/// Asks to cancel as the API does: record, news, message.
async fn cancel(rig: &Rig, id: schemas::JobId) {
    loop {
        let asked = rig.job(id).await.request_cancel("api", Timestamp::now()).expect("open job");
        if rig.store.jobs.save(&asked).await.expect("store") == Save::Stored {
            rig.broker.send_event(Event::CancelRequested { id });
            rig.broker.publish(&asked).await.expect("publish");
            return;
        }
    }
}

async fn a_job_cancelled_while_it_runs_is_taken_back(engine: Engine) {
    let rig = Rig::new(engine).await;
    let script = Script::new(&[Step::Gate]);
    let worker = rig.worker();
    let job = rig.submit::<Leased>(&script.payload()).await;
    rig.in_state(job.id, JobState::Running).await;
    cancel(&rig, job.id).await;
    rig.in_state(job.id, JobState::Cancelled).await;
    worker.stop().await;

    let seen = script.seen();
    assert_eq!((seen.effects, seen.undone, seen.running), (0, 1, 0));
}

async fn a_job_cancelled_before_it_runs_never_runs(engine: Engine) {
    let rig = Rig::new(engine).await;
    let script = Script::new(&[Step::Done]);
    let job = rig.submit::<Leased>(&script.payload()).await;
    cancel(&rig, job.id).await;
    let worker = rig.worker();
    rig.in_state(job.id, JobState::Cancelled).await;
    worker.stop().await;

    let seen = script.seen();
    assert_eq!((seen.begun, seen.undone), (0, 1));
}

async fn a_cancellation_that_comes_too_late_changes_nothing(engine: Engine) {
    let rig = Rig::new(engine).await;
    let script = Script::new(&[Step::Done]);
    let worker = rig.worker();
    let job = rig.submit::<Repeatable>(&script.payload()).await;
    let done = rig.in_state(job.id, JobState::Succeeded).await;

    assert!(done.clone().request_cancel("api", Timestamp::now()).is_err());
    worker.stop().await;
}
