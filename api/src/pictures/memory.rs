//! The memory that all decodes share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{PictureError, PictureLimits};

/// Memory is lent in pieces of this many bytes.
const PIECE: u64 = 64 * 1024;

/// Lends memory for decodes, so that their sum is bounded however many run. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    free: Arc<Semaphore>,
    most: u32,
}

impl Memory {
    /// [`PictureLimits::total_memory`] in all, and never too little for one decode.
    pub(super) fn new(limits: &PictureLimits) -> Self {
        let most = pieces(limits.total_memory.max(limits.max_memory));
        Self { free: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// Lends `bytes`, or all there is if that is less, until the answer is dropped. Blocks, in the
    /// order of asking, until others gave back enough.
    ///
    /// # Errors
    ///
    /// Never in practice: the lender is not closed.
    pub(super) fn lend(&self, bytes: u64) -> Result<OwnedSemaphorePermit, PictureError> {
        let loan = Arc::clone(&self.free).acquire_many_owned(pieces(bytes).min(self.most));
        futures::executor::block_on(loan).map_err(|_| PictureError::Busy)
    }
}

fn pieces(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(PIECE)).unwrap_or(u32::MAX >> 4).clamp(1, u32::MAX >> 4)
}
