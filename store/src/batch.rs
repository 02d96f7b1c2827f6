//! Group commit: concurrent calls become one batch, and each call gets its own answer.
//!
//! While as many batches as allowed are under way, calls gather; a batch that ends lets the next
//! one go with everything that has gathered. A lone call goes at once. After a crowded batch the
//! next one holds its breath: a store spends more on each batch than on what is in it, so under
//! load a moment of waiting is paid back many times. A call made [`promptly`] ends the breath.

use std::{future::Future, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

use crate::error::StoreError;

/// Calls that may wait for a batch; more are turned away as [`StoreError::Busy`].
const INTAKE: usize = 8_192;

/// Largest batch, in calls and in bytes. A single call may be larger than the bytes.
const MAX_CALLS: usize = 500;
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Calls that make a batch a crowded one.
const CROWD: usize = 8;

tokio::task_local! {
    static PROMPT: ();
}

/// Runs `work`, whose calls to a store do not wait for others to join them: for work that somebody
/// waits for, in a process that mostly works off a queue. Tasks that `work` spawns are not meant.
pub async fn promptly<F: Future>(work: F) -> F::Output {
    PROMPT.scope((), work).await
}

/// How batches follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Batches that are under way at once, 1 or more.
    pub(crate) flights: usize,
    /// How long a batch after a crowded one waits for more calls.
    pub(crate) breath: Duration,
}

impl Pace {
    /// `flights` batches at once, and `breath` after a crowded one.
    pub(crate) const fn of(flights: usize, breath: Duration) -> Self {
        Self { flights, breath }
    }
}

/// One call's part in a batch.
pub(crate) trait Item: Send + 'static {
    /// About how many bytes it adds to a batch.
    fn bytes(&self) -> usize;
}

struct Call<I, O> {
    item: I,
    answer: oneshot::Sender<Result<O, StoreError>>,
}

/// Gathers calls. Cheap to clone; it ends with its last clone, after what is gathered is done.
pub(crate) struct Batcher<I, O>(Arc<Gate<I, O>>);

/// Where calls come in.
struct Gate<I, O> {
    intake: mpsc::Sender<Call<I, O>>,
    signals: Arc<Signals>,
    ended: watch::Receiver<bool>,
}

#[derive(Default)]
struct Signals {
    /// Somebody cannot wait for others.
    hurry: Notify,
    closing: Notify,
}

impl<I, O> Clone for Batcher<I, O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I: Item, O: Send + 'static> Batcher<I, O> {
    /// Starts to gather for `flush`, which answers each item by position.
    pub(crate) fn start<F, Fut>(pace: Pace, flush: F) -> Self
    where
        F: Fn(Vec<I>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<Result<O, StoreError>>> + Send + 'static,
    {
        let (intake, calls) = mpsc::channel(INTAKE);
        let signals = Arc::new(Signals::default());
        let (end, ended) = watch::channel(false);
        let work = gather(calls, pace, Arc::clone(&signals), flush);
        tokio::spawn(async move {
            work.await;
            end.send_replace(true);
        });
        Self(Arc::new(Gate { intake, signals, ended }))
    }

    /// Takes part in the next batch. A caller that goes away does not stop the write.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] when too many calls wait; else what the batch says.
    pub(crate) async fn call(&self, item: I) -> Result<O, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.0.intake.try_send(Call { item, answer }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::closed(),
        })?;
        if PROMPT.try_with(|()| ()).is_ok() {
            self.0.signals.hurry.notify_one();
        }
        answered.await.unwrap_or_else(|_| {
            Err(StoreError::Unavailable("the batch ended without an answer".to_owned()))
        })
    }

    /// Takes no more calls, and returns when every gathered one is answered.
    pub(crate) async fn close(&self) {
        self.0.signals.closing.notify_one();
        let _ = self.0.ended.clone().wait_for(|ended| *ended).await;
    }
}

async fn gather<I, O, F, Fut>(
    mut calls: mpsc::Receiver<Call<I, O>>,
    pace: Pace,
    signals: Arc<Signals>,
    flush: F,
) where
    I: Item,
    O: Send + 'static,
    F: Fn(Vec<I>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Vec<Result<O, StoreError>>> + Send + 'static,
{
    let runway = Arc::new(Semaphore::new(pace.flights));
    let flush = Arc::new(flush);
    let mut crowded = false;
    while let Some(first) = next(&mut calls, &signals.closing).await {
        let Ok(permit) = Arc::clone(&runway).acquire_owned().await else { return };
        if crowded && !pace.breath.is_zero() && calls.len() < MAX_CALLS {
            tokio::select! {
                () = tokio::time::sleep(pace.breath) => {}
                () = signals.hurry.notified() => {}
            }
        }
        // Calls that were made in the same moment join the first one.
        tokio::task::yield_now().await;
        // Who hurried until now goes with this batch.
        let _ = signals.hurry.notified().now_or_never();
        let (items, answers) = fill(first, &mut calls);
        crowded = items.len() >= CROWD;
        let flush = Arc::clone(&flush);
        tokio::spawn(async move {
            let results = flush(items).await;
            drop(permit);
            for (answer, result) in answers.into_iter().zip(results) {
                let _ = answer.send(result);
            }
        });
    }
    let all = u32::try_from(pace.flights).unwrap_or(u32::MAX);
    let _ = runway.acquire_many(all).await;
}

async fn next<T>(calls: &mut mpsc::Receiver<T>, closing: &Notify) -> Option<T> {
    tokio::select! {
        biased;
        call = calls.recv() => call,
        () = closing.notified() => {
            calls.close();
            calls.recv().await
        }
    }
}

type Answers<O> = Vec<oneshot::Sender<Result<O, StoreError>>>;

fn fill<I: Item, O>(
    first: Call<I, O>,
    calls: &mut mpsc::Receiver<Call<I, O>>,
) -> (Vec<I>, Answers<O>) {
    let mut bytes = first.item.bytes();
    let (mut items, mut answers) = (vec![first.item], vec![first.answer]);
    while items.len() < MAX_CALLS && bytes < MAX_BYTES {
        let Ok(call) = calls.try_recv() else { break };
        bytes += call.item.bytes();
        items.push(call.item);
        answers.push(call.answer);
    }
    (items, answers)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use futures::future::join_all;
    use tokio::time::Instant;

    use super::*;

    impl Item for u32 {
        fn bytes(&self) -> usize {
            4
        }
    }

    const BREATH: Duration = Duration::from_secs(10);

    fn doubling() -> Batcher<u32, u32> {
        let double = |items: Vec<u32>| async move { items.iter().map(|n| Ok(2 * n)).collect() };
        Batcher::start(Pace::of(1, BREATH), double)
    }

    async fn crowd(batcher: &Batcher<u32, u32>) {
        let answers = join_all((0..50).map(|n| batcher.call(n))).await;
        let doubled: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(doubled, (0..50).map(|n| 2 * n).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_crowd_a_call_waits_for_company_once() {
        let batcher = doubling();
        crowd(&batcher).await;
        let start = Instant::now();
        batcher.call(1).await.unwrap();
        assert!(start.elapsed() >= BREATH);

        let start = Instant::now();
        batcher.call(1).await.unwrap();
        assert!(start.elapsed() < BREATH);
    }

    #[tokio::test(start_paused = true)]
    async fn a_prompt_call_takes_along_who_waits() {
        let batcher = doubling();
        crowd(&batcher).await;
        let start = Instant::now();
        let patient = batcher.call(1);
        let prompt = async {
            tokio::time::sleep(BREATH / 2).await;
            promptly(batcher.call(2)).await
        };
        let (one, two) = tokio::join!(patient, prompt);
        assert_eq!((one.unwrap(), two.unwrap()), (2, 4));
        assert!(start.elapsed() < BREATH);
    }

    #[tokio::test(start_paused = true)]
    async fn who_hurried_once_does_not_hurry_the_next() {
        let batcher = doubling();
        promptly(crowd(&batcher)).await;
        let start = Instant::now();
        batcher.call(1).await.unwrap();
        assert!(start.elapsed() >= BREATH);
    }
}
