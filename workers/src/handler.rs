//! What a job kind has to provide: its work, and what cancelling it means.

use std::{
    any::Any,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use broker::Broker;
use providers::{blobs::Blobs, till::Till, webhook::Webhooks};
use schemas::{
    Job, JobError, JobId, JobRecord, JobState, Queue, Timestamp, UserId,
    job::{CallNote, Lease},
    message::Beside,
};
use serde::de::DeserializeOwned;
use store::{Store, StoreError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    Shared,
    calm::Calm,
    pushing::Pushing,
    settings::{PayPace, TokenLife},
};

/// The work of one job kind.
///
/// A handler reads top to bottom: load, ask, act. It never acknowledges, sleeps or retries; it
/// says by its answer what should happen next. It may be dropped at any `await`.
pub trait Handler: Job {
    /// Does the work. Called again after a failed or cut-off attempt, so it must find and accept
    /// what an earlier attempt did.
    fn run(
        ctx: &Context,
        payload: &Self::Payload,
    ) -> impl Future<Output = Result<Self::Output, JobError>> + Send;

    /// Whether what a run answers with success is stored by then, where later runs find it: a caller
    /// that waits hears it before the job's end is saved.
    const ANSWER_STANDS: bool = false;

    /// Whether [`Self::prepare`] does anything.
    const PREPARES: bool = false;

    /// Takes the work of a first run in hand by a guarded save of another aggregate, with
    /// `Context::hold` in it, and leaves it for [`Self::run`] with `Context::prepared`. That save is
    /// the run's lease: it can be made once, so nobody else runs the job before the hold ends, and
    /// the job's own record is not saved before its end. A run that finds such a hold of an earlier
    /// one says that the outcome is unknown, and waits for the hold's end.
    ///
    /// Whatever fails here is left to the run, which then has a lease of the job.
    #[must_use = "nothing happens before it is awaited"]
    fn prepare(_: &Context, _: &Self::Payload) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Takes back what accepting the job has already changed, because it was cancelled. The job
    /// is held under a lease meanwhile, and repeated after an error like any attempt.
    fn undo(
        ctx: &Context,
        payload: &Self::Payload,
    ) -> impl Future<Output = Result<Undo, JobError>> + Send;

    /// Settles what others wait for, because the job ends without success and nobody works on it
    /// from now on. Done before that end is saved, so a crash in between repeats it; an operator
    /// may give the job new attempts afterwards. Most kinds owe nothing.
    #[must_use = "nothing happens before it is awaited"]
    fn give_up(
        _: &Context,
        _: &Self::Payload,
    ) -> impl Future<Output = Result<(), JobError>> + Send {
        async { Ok(()) }
    }
}

/// What came of the attempt to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// Nothing of the job remains.
    Undone,
    /// The effect has begun or happened: the job goes on to its end instead.
    TooLate,
}

/// What a handler works with.
pub struct Context {
    /// Where pictures are recorded.
    pub store: Store,
    /// Where files are.
    pub blobs: Blobs,
    /// Where bills are paid.
    pub till: Till,
    /// The back ends that want to hear of events.
    pub webhooks: Webhooks,
    /// How often unanswered questions about money are asked.
    pub pace: PayPace,
    /// How long device tokens live.
    pub tokens: TokenLife,
    /// How long reports about providers' bills are kept.
    pub reports_kept: std::time::Duration,
    /// The job that runs.
    pub job: JobId,
    /// The queue on which it came.
    pub queue: Queue,
    /// Whose job it is.
    pub owner: UserId,
    /// Whether the job is held under a lease, so that nobody else runs or cancels it now.
    pub claimed: bool,
    /// How long settled jobs are kept.
    pub retention: std::time::Duration,
    /// Whether the job is given up because its attempts did not succeed, and not because of an
    /// answer; for [`Handler::give_up`].
    pub died: bool,
    /// Since when the job's outcome is unknown, if it is.
    pub unknown_since: Option<Timestamp>,
    /// Where the messages of further jobs go.
    pub(crate) broker: Broker,
    /// When nobody waits for this process.
    pub(crate) calm: Arc<Calm>,
    /// What the shards of push campaigns share.
    pub(crate) push: Arc<Pushing>,
    /// Name of this process.
    pub(crate) worker: String,
    pub(crate) stopping: CancellationToken,
    /// Set at the deadline of the shutdown.
    pub(crate) cut_off: CancellationToken,
    pub(crate) beside: Option<Beside>,
    pub(crate) cancelled: CancellationToken,
    /// Workers of this job have crashed before.
    pub(crate) crashed: AtomicBool,
    pub(crate) gets_on: Notify,
    pub(crate) calls: Mutex<Vec<CallNote>>,
    pub(crate) prepared: Mutex<Option<Box<dyn Any + Send>>>,
    /// What a prepared run holds its work with, in place of a lease of the job.
    pub(crate) hold: Option<Lease>,
}

impl Context {
    /// For one run of `job`; it hears of the wish to stop by `cancelled`.
    pub(crate) fn of(
        shared: &Shared,
        job: &JobRecord,
        claimed: bool,
        cancelled: CancellationToken,
    ) -> Self {
        let workers = &shared.workers;
        Self {
            store: workers.store.clone(),
            blobs: workers.blobs.clone(),
            till: workers.till.clone(),
            broker: workers.broker.clone(),
            calm: Arc::clone(&shared.calm),
            push: Arc::clone(&shared.push),
            worker: workers.settings.name.clone(),
            stopping: shared.stopping.clone(),
            cut_off: shared.cut_off.clone(),
            webhooks: workers.webhooks.clone(),
            pace: workers.settings.pay_pace,
            tokens: workers.settings.tokens,
            reports_kept: workers.settings.reports_kept,
            job: job.id,
            queue: job.queue,
            owner: job.owner,
            claimed,
            retention: workers.settings.retention,
            died: job.state == JobState::Dead,
            unknown_since: job.unknown_since,
            beside: None,
            cancelled,
            crashed: AtomicBool::new(job.crashes > 0),
            gets_on: Notify::new(),
            calls: Mutex::default(),
            prepared: Mutex::default(),
            hold: None,
        }
    }

    /// Whether somebody asked to cancel this job. A handler that sees it before its first effect
    /// answers [`JobError::Cancelled`]; after that it goes on.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// Whether this process shuts down: a handler that works in steps begins no further one.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Says that a step is done which the next run does not repeat: earlier crashes of its workers
    /// were not this job's doing.
    pub(crate) fn gets_on(&self) {
        if self.crashed.swap(false, Ordering::Relaxed) {
            self.gets_on.notify_one();
        }
    }

    /// What the sender of the job had just saved, as it was then: it may be old, so only a guarded
    /// save may build on it. `None` when it did not come along or this is not the first run.
    pub(crate) fn beside<T: DeserializeOwned>(&self) -> Option<T> {
        self.beside.as_ref()?.read()
    }

    /// Whether the call that started the job waits for this, its first run.
    pub(crate) fn is_awaited(&self) -> bool {
        self.beside.as_ref().is_some_and(Beside::is_awaited)
    }

    /// Leaves `what` for the run that is being prepared.
    pub(crate) fn prepared<T: Send + 'static>(&self, what: T) {
        *self.prepared.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(what));
    }

    /// Whether [`Handler::prepare`] left something for this run.
    pub(crate) fn is_prepared(&self) -> bool {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What [`Handler::prepare`] left for this run, once.
    pub(crate) fn take_prepared<T: 'static>(&self) -> Option<T> {
        let prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        prepared.downcast().ok().map(|prepared| *prepared)
    }

    /// Keeps what was said to an outside service for the job's record.
    pub(crate) fn note_call(&self, call: CallNote) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    pub(crate) fn take_calls(&self) -> Vec<CallNote> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A store that does not answer is a reason to try again; nothing was decided.
pub(crate) fn store_again(error: StoreError) -> JobError {
    JobError::again(error)
}
