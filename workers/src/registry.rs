//! Every handler, by kind, with its types taken away.

use std::{collections::HashMap, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use schemas::{JobError, JobSpec};
use serde_json::Value;

use crate::handler::{Context, Handler, Undo};

type Run = fn(Arc<Context>, Value) -> BoxFuture<'static, Result<Value, JobError>>;
pub(crate) type Prepare = fn(Arc<Context>, Value) -> BoxFuture<'static, ()>;
type GiveUp = fn(Arc<Context>, Value) -> BoxFuture<'static, Result<(), JobError>>;
type TakeBack = fn(Arc<Context>, Value) -> BoxFuture<'static, Result<Undo, JobError>>;

/// The handler of one kind.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) spec: JobSpec,
    pub(crate) prepare: Option<Prepare>,
    /// See [`Handler::ANSWER_STANDS`].
    pub(crate) answer_stands: bool,
    pub(crate) run: Run,
    pub(crate) undo: TakeBack,
    pub(crate) give_up: GiveUp,
}

/// The handlers that a worker has.
#[derive(Default, Clone)]
pub struct Registry {
    entries: HashMap<&'static str, Entry>,
}

impl Registry {
    /// Adds the handler of kind `J`, in place of an earlier one.
    #[must_use]
    pub fn register<J: Handler>(mut self) -> Self {
        let spec = JobSpec::of::<J>();
        let prepare = J::PREPARES.then_some(prepare::<J> as Prepare);
        let (run, undo, give_up) = (run::<J>, undo::<J>, give_up::<J>);
        let answer_stands = J::ANSWER_STANDS;
        let entry = Entry { spec, prepare, answer_stands, run, undo, give_up };
        self.entries.insert(J::KIND, entry);
        self
    }

    pub(crate) fn entry(&self, kind: &str) -> Option<Entry> {
        self.entries.get(kind).copied()
    }
}

macro_rules! register_all {
    ($($module:ident :: $job:ident,)+) => {
        Registry::default()$(.register::<schemas::kinds::$job>())+
    };
}

/// Every handler, by kind. A job kind without a handler does not compile.
#[must_use]
pub fn registry() -> Registry {
    schemas::for_each_job!(register_all)
}

fn payload<J: Handler>(payload: Value) -> Result<J::Payload, JobError> {
    serde_json::from_value(payload).map_err(|_| JobError::Rejected("payload_unreadable"))
}

fn prepare<J: Handler>(ctx: Arc<Context>, raw: Value) -> BoxFuture<'static, ()> {
    async move {
        if let Ok(payload) = payload::<J>(raw) {
            J::prepare(&ctx, &payload).await;
        }
    }
    .boxed()
}

fn run<J: Handler>(ctx: Arc<Context>, raw: Value) -> BoxFuture<'static, Result<Value, JobError>> {
    async move {
        let output = J::run(&ctx, &payload::<J>(raw)?).await?;
        serde_json::to_value(output).map_err(|_| JobError::Rejected("output_unwritable"))
    }
    .boxed()
}

fn undo<J: Handler>(ctx: Arc<Context>, raw: Value) -> BoxFuture<'static, Result<Undo, JobError>> {
    async move { J::undo(&ctx, &payload::<J>(raw)?).await }.boxed()
}

fn give_up<J: Handler>(ctx: Arc<Context>, raw: Value) -> BoxFuture<'static, Result<(), JobError>> {
    async move { J::give_up(&ctx, &payload::<J>(raw)?).await }.boxed()
}
