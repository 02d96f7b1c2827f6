//! One delivery of one job: take it in hand, run it, settle it.

use std::{
    future::pending,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use broker::Broker;
use schemas::{
    Event, JobId, JobRecord, JobState, Queue, Timestamp, Verdict,
    job::{Claim, Lease},
    message::{Beside, Subject},
};
use store::{Save, StoreError, promptly};
use tokio::time::Instant;
use tracing::Instrument;

use crate::{
    Shared,
    attempt::{guarded, label, prepare},
    fault, given_up,
    handler::Context,
    held::Hold,
    in_flight::InHand,
    lease::{self, Holder},
    patience::{NoAnswer, patiently},
    registry::Entry,
    trace,
};

/// How long the end of a job whose caller has its answer waits for a moment of calm at most.
const UNHURRIED: Duration = Duration::from_millis(100);

/// What to tell the broker about a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done with, or cared for elsewhere.
    Ack,
    /// Not worked on: give it to another worker.
    Requeue,
    /// No worker of this build can ever work on it, for this reason.
    Park(String),
}

/// Why a run ends before its job is settled; the answer says who cares for the job from here on.
struct Leave(Answer);

/// The job is settled, not due, or held by another worker: its record takes care of it.
const CARED_FOR: Leave = Leave(Answer::Ack);

/// A job as its message shows it.
struct Message {
    job: JobRecord,
    /// Whether the message may have been worked on.
    again: bool,
    beside: Option<Beside>,
}

/// Runs jobs for the pipelines of one process.
#[derive(Clone)]
pub(crate) struct Runner(Arc<Shared>);

impl Runner {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.0.workers.broker
    }

    /// Takes note that `queue` delivered this message; `again` when it may have done so before.
    pub(crate) fn received(&self, queue: Queue, subject: &Subject, again: bool) -> Hold {
        let (id, published_at) = match subject {
            Subject::Job(job) => (job.id, job.wake_at.unwrap_or(job.updated_at)),
            // No earlier than that.
            Subject::JobId(id) => (*id, id.made_at()),
        };
        if !again && matches!(subject, Subject::Job(_)) {
            self.0.flow.delivered(queue, published_at);
        }
        self.0.held.take(queue, id, published_at)
    }

    /// Runs the job whose record is too large for a message.
    pub(crate) async fn run_by_id(&self, id: JobId, hold: &Hold) -> Answer {
        match self.0.workers.store.jobs.get(id).await {
            // Read from the store, so it is not certain to be the first delivery.
            Ok(Some(job)) => self.run_again(job, hold).await,
            Ok(None) => Answer::Ack,
            Err(error) => {
                tracing::warn!(job_id = %id, ?error, "a job cannot be read now");
                Answer::Requeue
            }
        }
    }

    /// Runs `job` as a message shows it that may have been worked on.
    pub(crate) async fn run_again(&self, job: JobRecord, hold: &Hold) -> Answer {
        self.run(job, true, None, hold).await
    }

    /// Runs `job` as a message shows it that is delivered for the first time.
    pub(crate) async fn run_first(
        &self,
        job: JobRecord,
        beside: Option<Beside>,
        hold: &Hold,
    ) -> Answer {
        self.run(job, false, beside, hold).await
    }

    async fn run(
        &self,
        job: JobRecord,
        again: bool,
        beside: Option<Beside>,
        hold: &Hold,
    ) -> Answer {
        let Some(entry) = self.0.workers.registry.entry(&job.kind) else {
            return Answer::Park(format!("unknown kind {}", job.kind));
        };
        let Some(in_hand) = self.0.in_flight.take(job.id) else {
            return Answer::Ack;
        };
        let (span, awaited) = (trace::span(&job), job.queue.is_awaited());
        if awaited {
            self.0.calm.stir();
        }
        let work =
            self.work(entry, Message { job, again, beside }, &in_hand, hold).instrument(span);
        let result = if awaited { promptly(work).await } else { work.await };
        match result {
            Ok(()) => Answer::Ack,
            Err(Leave(answer)) => answer,
        }
    }

    async fn work(
        &self,
        entry: Entry,
        message: Message,
        in_hand: &InHand,
        hold: &Hold,
    ) -> Result<(), Leave> {
        let started = Instant::now();
        fault::point("worker.before_run", entry.spec.kind).await;
        let (job, ctx) = self.begin(entry, message, in_hand, hold).await?;
        let verdict = self.verdict(entry, &job, Arc::clone(&ctx)).await;
        let Some(verdict) = verdict else {
            // The lease went to another worker, so the outcome is theirs to record; or a hold ended,
            // and the sweep finds the job.
            tracing::warn!("a run lost its lease");
            return Err(CARED_FOR);
        };
        fault::point("worker.after_effect", entry.spec.kind).await;
        let label = self.settle(entry, job, verdict, &ctx).await?;
        fault::point("worker.after_settle", entry.spec.kind).await;
        metrics::histogram!("feat_job_run_seconds", "kind" => entry.spec.kind, "verdict" => label)
            .record(started.elapsed());
        Ok(())
    }

    /// Takes the job under a lease where its kind or its past ask for one; and what its run works
    /// with.
    async fn begin(
        &self,
        entry: Entry,
        message: Message,
        in_hand: &InHand,
        hold: &Hold,
    ) -> Result<(JobRecord, Arc<Context>), Leave> {
        let Message { job, again, beside } = message;
        let always = entry.spec.claim == Claim::Always;
        let repeat =
            again || job.republished > 0 || job.cancel_requested_at.is_some() || in_hand.wished;
        // Without a lease, a wish to cancel is met only by whoever has heard of it.
        let unheard = !job.wake_at.is_some_and(|at| self.0.in_flight.hears_of(at));
        let asks = !repeat && unheard && (!always || entry.prepare.is_some());
        let repeat = repeat || (asks && self.is_cancelled(job.id).await?);
        let claim = repeat || always;

        // What came along may be old, and only a first run finds out by itself.
        let beside = beside.filter(|_| !repeat);
        let context = |job: &JobRecord, claimed| {
            Context::of(&self.0, job, claimed, in_hand.cancelled.clone())
        };
        if !claim {
            let ctx = Context { beside, ..context(&job, false) };
            return Ok((job, Arc::new(ctx)));
        }
        if let Some(handler) = entry.prepare.filter(|_| !repeat) {
            let ctx = Context { beside, hold: Some(self.hold()), ..context(&job, false) };
            let ctx = Arc::new(ctx);
            prepare(handler, &entry.spec, Arc::clone(&ctx), &job).await;
            if ctx.is_prepared() {
                return Ok((job, ctx));
            }
        }
        let claimed = self.claim(job, again).await?;
        hold.let_go();
        let ctx = context(&claimed, true);
        Ok((claimed, Arc::new(ctx)))
    }

    /// What a first run holds its work with in place of a lease of its job.
    fn hold(&self) -> Lease {
        let settings = &self.0.workers.settings;
        Lease { holder: settings.name.clone(), until: Timestamp::now() + settings.lease }
    }

    /// Whether the record holds a wish to cancel, for a message that is older than this process.
    async fn is_cancelled(&self, id: JobId) -> Result<bool, Leave> {
        let job = self.read(id).await?;
        if job.state.is_settled() { Err(CARED_FOR) } else { Ok(job.cancel_requested_at.is_some()) }
    }

    fn claimed(&self, job: JobRecord) -> Result<JobRecord, Leave> {
        let (settings, now) = (&self.0.workers.settings, Timestamp::now());
        job.claim(&settings.name, now + settings.lease, now).map_err(|_| CARED_FOR)
    }

    /// Takes the job under a lease. The record of a message that comes for the first time is most
    /// likely the latest; if it is not, the guarded save says so.
    async fn claim(&self, seen: JobRecord, again: bool) -> Result<JobRecord, Leave> {
        let settings = &self.0.workers.settings;
        let id = seen.id;
        let fresh = !again && seen.state == JobState::Queued && seen.cancel_requested_at.is_none();
        let mut job = if fresh { seen } else { self.read(id).await? };
        loop {
            let next = if job.lease.is_some() {
                job.lose_lease(&settings.name, Timestamp::now()).map_err(|_| CARED_FOR)?
            } else {
                self.claimed(job)?
            };
            self.give_up(&next).await?;
            match self.save(&next).await? {
                Save::Stored if next.state == JobState::Running => return Ok(next),
                // Saved another step, or somebody else did: look again.
                Save::Stored | Save::Stale => job = self.read(id).await?,
            }
        }
    }

    /// Runs the handler; `None` when the lease was lost meanwhile.
    async fn verdict(&self, entry: Entry, job: &JobRecord, ctx: Arc<Context>) -> Option<Verdict> {
        let run = guarded(entry, Arc::clone(&ctx), job);
        let lost = async {
            match &ctx.hold {
                _ if ctx.claimed => lease::keep(&self.0, job, &ctx).await,
                Some(hold) => lease::follow(&self.0, job, hold, &ctx).await,
                None => pending().await,
            }
        };
        // A hold that ended while it was being saved is seen before the run makes its first step.
        tokio::select! {
            biased;
            () = lost => None,
            verdict = run => Some(verdict),
            () = self.0.cut_off.cancelled() => Some(self.interrupted()),
        }
    }

    fn interrupted(&self) -> Verdict {
        self.0.returned.fetch_add(1, Ordering::Relaxed);
        Verdict::Interrupted
    }

    /// Saves how the run ended, over whatever else was saved meanwhile.
    async fn settle(
        &self,
        entry: Entry,
        job: JobRecord,
        verdict: Verdict,
        ctx: &Context,
    ) -> Result<&'static str, Leave> {
        let claimed = ctx.claimed;
        let calls = ctx.take_calls();
        if verdict == Verdict::Interrupted && !claimed && ctx.hold.is_none() {
            // Nothing was saved, so nothing has to be taken back but the message.
            return Err(Leave(Answer::Requeue));
        }
        let me = &self.0.workers.settings.name;
        let label = label(&verdict);
        tracing::Span::current().record("verdict", label);
        let jitter = rand::random();
        let done = matches!(verdict, Verdict::Done(_));
        let stands = done && entry.answer_stands && ctx.is_awaited();
        let (mut current, mut answered) = (job, false);
        loop {
            let (id, now) = (current.id, Timestamp::now());
            let next = current
                .settle(&entry.spec, verdict.clone(), me, now, jitter)
                .map_err(|_| CARED_FOR)?
                .with_calls(calls.clone());
            if stands && !answered {
                self.broker().send_event(Event::answered(&next));
                answered = true;
                fault::point("worker.answered", entry.spec.kind).await;
                // The answer and the next caller's writes go first.
                self.0.calm.stir();
                self.0.calm.wait(UNHURRIED).await;
            }
            self.give_up(&next).await?;
            if self.save(&next).await? == Save::Stored {
                self.note_end(&next, label);
                let event = if answered { Event::changed(&next) } else { Event::ended(next) };
                self.broker().send_event(event);
                return if label == "interrupted" {
                    Err(Leave(Answer::Requeue))
                } else {
                    Ok(label)
                };
            }
            current = self.read(id).await?;
            let ours = match lease::holder(&current, me) {
                Holder::Us => true,
                // An effect that happened is recorded, whoever else is at it.
                _ if done && !claimed => true,
                Holder::Nobody => ctx.hold.is_some() && current.is_untried(),
                Holder::Another => false,
            };
            if !ours {
                return Err(CARED_FOR);
            }
        }
    }

    /// Lets `next` be saved, also when it is the end of a job that others wait for.
    async fn give_up(&self, next: &JobRecord) -> Result<(), Leave> {
        // Its lease ends then, or the sweep finds it.
        if given_up::is_settled(&self.0, next).await { Ok(()) } else { Err(CARED_FOR) }
    }

    /// Counts and logs an end that was saved.
    fn note_end(&self, job: &JobRecord, label: &'static str) {
        if label != "interrupted" {
            self.0.finished.fetch_add(1, Ordering::Relaxed);
        }
        metrics::counter!("feat_jobs_run_total", "kind" => job.kind.clone(), "verdict" => label)
            .increment(1);
        match (&job.error, job.state) {
            (Some(failure), JobState::Dead) => {
                tracing::error!(code = failure.code, reason = failure.message, "job is dead");
            }
            // Nothing is wrong here: somebody asked for what cannot be.
            (Some(failure), JobState::Failed) => {
                tracing::info!(code = failure.code, reason = failure.message, "job refused");
            }
            (Some(failure), state) => {
                tracing::warn!(code = failure.code, reason = failure.message, %state, "attempt did not succeed");
            }
            (None, state) => tracing::debug!(%state, "job settled"),
        }
    }

    /// Reads a record, for as long as this process lives.
    async fn read(&self, id: JobId) -> Result<JobRecord, Leave> {
        let jobs = &self.0.workers.store.jobs;
        self.patiently(|| jobs.get(id)).await?.ok_or(CARED_FOR)
    }

    /// Saves a record, for as long as this process lives. A save that was repeated because its
    /// answer was lost may be stale; the reader of the record then finds its own change.
    async fn save(&self, job: &JobRecord) -> Result<Save, Leave> {
        let jobs = &self.0.workers.store.jobs;
        self.patiently(|| jobs.save(job)).await
    }

    /// Calls the store until it answers, unless the shutdown's deadline comes first: then the
    /// message goes back and its next delivery finds what was saved.
    async fn patiently<T, F, C>(&self, call: C) -> Result<T, Leave>
    where
        F: Future<Output = Result<T, StoreError>>,
        C: Fn() -> F,
    {
        patiently(&self.0.cut_off, call).await.map_err(|error| match error {
            NoAnswer::Unreadable(_) => Leave(Answer::Park("record unreadable".to_owned())),
            NoAnswer::Stopped => Leave(Answer::Requeue),
        })
    }
}
