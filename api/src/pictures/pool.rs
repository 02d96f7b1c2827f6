//! The bounded pool that works on pictures, off the async threads.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

use super::{PictureError, PictureLimits};

/// Waiting is counted in pieces of this many bytes.
const PIECE: u64 = 1024;

/// Places to work and a waiting line that is measured in bytes.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    working: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    most_waiting: u32,
}

impl Pool {
    pub(super) fn new(limits: &PictureLimits) -> Self {
        // A file of the greatest size can always wait, if nothing else does.
        let bytes = limits.waiting_bytes.max(limits.max_bytes);
        let most_waiting = pieces(bytes);
        Self {
            working: Arc::new(Semaphore::new(limits.decoders.clamp(1, Semaphore::MAX_PERMITS))),
            waiting: Arc::new(Semaphore::new(most_waiting as usize)),
            most_waiting,
        }
    }

    /// Runs `work` on a picture of `bytes` when there is a place, in the order of arrival.
    ///
    /// A caller that stops waiting leaves the line. Work that has begun goes on and keeps its
    /// place. A decoder that panics has met a damaged file.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> Result<T, PictureError> + Send + 'static,
    ) -> Result<T, PictureError> {
        let place = self.place(bytes).await?;
        let work = task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        work.await.unwrap_or_else(|stopped| {
            if stopped.is_panic() {
                tracing::warn!("a picture made its decoder panic");
                return Err(PictureError::Damaged);
            }
            Err(PictureError::Busy)
        })
    }

    async fn place(&self, bytes: usize) -> Result<OwnedSemaphorePermit, PictureError> {
        if let Ok(place) = Arc::clone(&self.working).try_acquire_owned() {
            return Ok(place);
        }
        let size = pieces(bytes as u64).min(self.most_waiting);
        let _in_line = self.waiting.try_acquire_many(size).map_err(|_| PictureError::Busy)?;
        // The pool is never closed.
        Arc::clone(&self.working).acquire_owned().await.map_err(|_| PictureError::Busy)
    }
}

fn pieces(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PIECE)).unwrap_or(u32::MAX >> 4).clamp(1, u32::MAX >> 4)
}
