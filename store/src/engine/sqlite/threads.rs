//! The threads that SQLite's calls block: one that writes, a few that read.

use std::{
    fs::File,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Sender, channel},
    },
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::open::{Opened, READERS};
use crate::StoreError;

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

/// The connections of one file and who works with them.
pub(super) struct Threads {
    writer: Mutex<Option<Writer>>,
    readers: Arc<Mutex<Vec<Connection>>>,
    free_readers: Arc<Semaphore>,
}

struct Writer {
    work: Sender<Work>,
    thread: JoinHandle<()>,
}

impl Threads {
    pub(super) fn start(opened: Opened) -> Self {
        let Opened { mut writer, readers, lock } = opened;
        let (work, inbox) = channel::<Work>();
        let thread = std::thread::spawn(move || {
            let _lock: Option<File> = lock;
            while let Ok(work) = inbox.recv() {
                work(&mut writer);
            }
        });
        Self {
            free_readers: Arc::new(Semaphore::new(readers.len())),
            writer: Mutex::new(Some(Writer { work, thread })),
            readers: Arc::new(Mutex::new(readers)),
        }
    }

    /// Runs `work` on the writing connection, after all earlier work.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            // A caller that went away does not want to know.
            let _ = sender.send(work(connection));
        });
        {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let writer = writer.as_ref().ok_or_else(StoreError::closed)?;
            writer.work.send(work).map_err(|_| StoreError::closed())?;
        }
        receiver.await.unwrap_or_else(|_| Err(StoreError::closed()))
    }

    /// Runs `work` on a connection that nobody else uses meanwhile.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.free_readers)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::closed())?;
        let readers = Arc::clone(&self.readers);
        // The connection goes back also when nobody waits for the answer any more.
        let done = tokio::task::spawn_blocking(move || {
            let lock = || readers.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = lock().pop().ok_or_else(StoreError::closed)?;
            let answer = work(&connection);
            lock().push(connection);
            drop(permit);
            answer
        });
        done.await.map_err(|_| StoreError::closed())?
    }

    /// Waits for the work at hand and closes the file.
    pub(super) async fn close(&self) {
        let all = u32::try_from(READERS).unwrap_or(u32::MAX);
        let _idle = self.free_readers.acquire_many(all).await;
        self.free_readers.close();
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Writer { work, thread }) = writer {
            drop(work);
            // Joining blocks until the last batch is on the disk.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}
