//! A job kind for tests: its handler does what the test's script says.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use schemars::JsonSchema;
use schemas::{Job, JobError, Queue, RetryPolicy, job::Claim};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use workers::{Context, Handler, Undo};

/// What one run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Ends well.
    Done,
    /// Panics.
    Panic,
    /// Never ends.
    Hang,
    /// Ends well after the test opened the gate once, or stops when it is cancelled.
    Gate,
    /// Fails and may be tried again at once.
    Again,
    /// Is refused.
    Reject,
}

/// A script and what was seen of it.
pub struct Script {
    name: String,
    steps: Mutex<VecDeque<Step>>,
    seen: Mutex<Seen>,
    gate: Semaphore,
}

/// How often things happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Runs that began.
    pub begun: u32,
    /// Runs that went on at the same time, at most.
    pub at_once: u32,
    /// Runs that go on now.
    pub running: u32,
    /// Effects: runs that came to a good end.
    pub effects: u32,
    /// Cancellations that took something back.
    pub undone: u32,
}

static SCRIPTS: LazyLock<Mutex<HashMap<String, Arc<Script>>>> = LazyLock::new(Mutex::default);

impl Script {
    /// A script with these steps; when they run out the last one stays.
    ///
    /// # Panics
    ///
    /// When another test panicked while it held the list.
    #[must_use]
    pub fn new(steps: &[Step]) -> Arc<Self> {
        let script = Arc::new(Self {
            name: format!("{:016x}", rand::random::<u64>()),
            steps: Mutex::new(steps.iter().copied().collect()),
            seen: Mutex::default(),
            gate: Semaphore::new(0),
        });
        SCRIPTS.lock().expect("scripts").insert(script.name.clone(), Arc::clone(&script));
        script
    }

    /// The payload that names this script.
    #[must_use]
    pub fn payload(&self) -> Scripted {
        Scripted { script: self.name.clone() }
    }

    /// What was seen so far.
    ///
    /// # Panics
    ///
    /// When a handler panicked while it counted.
    #[must_use]
    pub fn seen(&self) -> Seen {
        *self.seen.lock().expect("counts")
    }

    /// Lets `runs` runs at the gate go on.
    pub fn open_gate(&self, runs: usize) {
        self.gate.add_permits(runs);
    }

    fn count(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().expect("counts"));
    }

    fn next(&self) -> Step {
        let mut steps = self.steps.lock().expect("steps");
        if steps.len() > 1 { steps.pop_front() } else { steps.front().copied() }
            .unwrap_or(Step::Done)
    }
}

/// One run that goes on; however it ends, it is counted out.
struct Running(Arc<Script>);

impl Running {
    fn begin(script: &Arc<Script>) -> Self {
        script.count(|seen| {
            seen.begun += 1;
            seen.running += 1;
            seen.at_once = seen.at_once.max(seen.running);
        });
        Self(Arc::clone(script))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.count(|seen| seen.running -= 1);
    }
}

/// Names the script of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scripted {
    script: String,
}

impl Scripted {
    fn script(&self) -> Result<Arc<Script>, JobError> {
        let scripts = SCRIPTS.lock().expect("scripts");
        scripts.get(&self.script).cloned().ok_or(JobError::Rejected("no_script"))
    }

    async fn run(&self, ctx: &Context) -> Result<(), JobError> {
        let script = self.script()?;
        let _running = Running::begin(&script);
        match script.next() {
            Step::Done => {}
            Step::Panic => panic!("as the script says"),
            Step::Hang => std::future::pending::<()>().await,
            Step::Again => return Err(JobError::again("as the script says")),
            Step::Reject => return Err(JobError::Rejected("as_the_script_says")),
            Step::Gate => loop {
                if ctx.is_cancelled() {
                    return Err(JobError::Cancelled);
                }
                let wait = tokio::time::timeout(Duration::from_millis(20), script.gate.acquire());
                if let Ok(Ok(permit)) = wait.await {
                    permit.forget();
                    break;
                }
            },
        }
        script.count(|seen| seen.effects += 1);
        Ok(())
    }

    fn undo(&self) -> Result<Undo, JobError> {
        let script = self.script()?;
        if script.seen().effects > 0 {
            return Ok(Undo::TooLate);
        }
        script.count(|seen| seen.undone += 1);
        Ok(Undo::Undone)
    }
}

macro_rules! scripted_kind {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $claim:expr, $timeout:expr) => {
        $(#[$doc])*
        pub enum $name {}

        impl Job for $name {
            const KIND: &'static str = $kind;
            const QUEUE: Queue = Queue::Images;
            const RETRY: RetryPolicy =
                RetryPolicy::doubling(4, Duration::from_millis(10), Duration::from_millis(50));
            const TIMEOUT: Duration = $timeout;
            const CLAIM: Claim = $claim;
            type Payload = Scripted;
            type Output = ();
        }

        impl Handler for $name {
            async fn run(ctx: &Context, payload: &Scripted) -> Result<(), JobError> {
                payload.run(ctx).await
            }

            async fn undo(_: &Context, payload: &Scripted) -> Result<Undo, JobError> {
                payload.undo()
            }
        }
    };
}

scripted_kind! {
    /// A kind whose effect may be repeated: its first run takes no lease.
    Repeatable, "test.repeatable", Claim::OnRepeat, Duration::from_secs(2)
}
scripted_kind! {
    /// A kind that takes a lease before each run, as money does.
    Leased, "test.leased", Claim::Always, Duration::from_mins(2)
}
scripted_kind! {
    /// A kind like [`Repeatable`] whose service may take its time.
    Slow, "test.slow", Claim::OnRepeat, Duration::from_mins(2)
}
