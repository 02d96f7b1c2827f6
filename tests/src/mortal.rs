//! A worker that dies at a chosen point, as a process does, and is followed by another one.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use workers::{Trap, Workers};

/// Where a worker dies next: when a job of one of `kinds` passes `point`.
#[derive(Debug, Clone, Copy)]
pub struct Doom {
    /// Name of the point.
    pub point: &'static str,
    /// Kinds of jobs.
    pub kinds: &'static [&'static str],
}

enum Order {
    Die,
    Stop,
}

/// One worker after the other, each with a runtime of its own that ends without a word.
pub struct Mortal {
    doom: Arc<Mutex<Option<Doom>>>,
    deaths: Arc<AtomicU32>,
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

impl Mortal {
    /// Starts the first one; `make` gives each what it works with, as a new process would have it.
    #[must_use]
    pub fn start(make: impl Fn() -> Workers + Send + 'static) -> Self {
        let doom = Arc::new(Mutex::new(None));
        let deaths = Arc::new(AtomicU32::new(0));
        let (orders, ordered) = channel();
        let trap = trap(Arc::clone(&doom), orders.clone());
        let thread = {
            let deaths = Arc::clone(&deaths);
            std::thread::spawn(move || live(make, &trap, &ordered, &deaths))
        };
        Self { doom, deaths, orders, thread: Some(thread) }
    }

    /// Lets the worker die at `doom`, once.
    pub fn arm(&self, doom: Doom) {
        *lock(&self.doom) = Some(doom);
    }

    /// Takes the doom back, if it has not come to pass.
    pub fn disarm(&self) {
        *lock(&self.doom) = None;
    }

    /// Lets the worker die after `life`, wherever it is then.
    pub fn kill_after(&self, life: Duration) {
        let orders = self.orders.clone();
        tokio::spawn(async move {
            tokio::time::sleep(life).await;
            let _ = orders.send(Order::Die);
        });
    }

    /// How many have died.
    #[must_use]
    pub fn deaths(&self) -> u32 {
        self.deaths.load(Ordering::Relaxed)
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(doom: &Mutex<Option<Doom>>) -> MutexGuard<'_, Option<Doom>> {
    doom.lock().unwrap_or_else(PoisonError::into_inner)
}

fn trap(doom: Arc<Mutex<Option<Doom>>>, orders: Sender<Order>) -> Trap {
    Arc::new(move |point, kind| {
        let mut doom = lock(&doom);
        let here = doom.is_some_and(|doom| doom.point == point && doom.kinds.contains(&kind));
        if here {
            *doom = None;
            let _ = orders.send(Order::Die);
        }
        here
    })
}

fn live(make: impl Fn() -> Workers, trap: &Trap, orders: &Receiver<Order>, deaths: &AtomicU32) {
    loop {
        let runtime = armed(Arc::clone(trap));
        let shutdown = CancellationToken::new();
        let run = runtime.spawn(workers::run(make(), shutdown.clone()));
        if let Ok(Order::Die) = orders.recv() {
            runtime.shutdown_background();
            deaths.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        shutdown.cancel();
        let _ = runtime.block_on(run);
        return;
    }
}

fn armed(trap: Trap) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all();
    builder.on_thread_start(move || workers::arm_thread(Arc::clone(&trap)));
    builder.build().expect("runtime")
}
