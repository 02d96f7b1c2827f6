//! Memory that uploads under way share: each byte of a form is counted before anybody keeps it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use poem::Body;
use tokio::{sync::Semaphore, task::yield_now};

/// Unit in which memory is lent, and most bytes that are passed on at a time.
const UNIT: usize = 16 << 10;

/// Memory that uploads under way share. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct UploadMemory(Arc<Semaphore>);

impl UploadMemory {
    /// `bytes` in all.
    pub(super) fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes).unwrap_or(usize::MAX) / UNIT;
        Self(Arc::new(Semaphore::new(units.clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// The account of one upload, of which nothing has come.
    pub(super) fn open(&self) -> Loan {
        let (received, refused) = (AtomicUsize::new(0), AtomicBool::new(false));
        Loan(Arc::new(Account { memory: self.0.clone(), received, refused }))
    }
}

/// What one upload has borrowed. Clones share one; the last of them gives all of it back.
#[derive(Debug, Clone)]
pub(super) struct Loan(Arc<Account>);

#[derive(Debug)]
struct Account {
    memory: Arc<Semaphore>,
    /// Bytes that were lent.
    received: AtomicUsize,
    refused: AtomicBool,
}

impl Loan {
    /// Bytes that have come.
    pub(super) fn received(&self) -> usize {
        self.0.received.load(Ordering::Relaxed)
    }

    /// Whether the memory was used up.
    pub(super) fn is_refused(&self) -> bool {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// The pieces of `body`, each lent before it is passed on; an error ends them when the memory
    /// is used up. After each piece others have their turn, so that who reads looks at one piece
    /// before the next one comes.
    pub(super) fn count(&self, body: Body) -> impl Stream<Item = io::Result<Bytes>> + use<> {
        let coming = body.into_bytes_stream().boxed();
        let counted = Counted { coming, piece: Bytes::new(), loan: self.clone() };
        stream::unfold(Some(counted), |counted| async move {
            let mut counted = counted?;
            yield_now().await;
            match counted.next().await? {
                Ok(piece) => Some((Ok(piece), Some(counted))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    fn borrow(&self, bytes: usize) -> io::Result<()> {
        let before = self.received();
        let more = units(before + bytes) - units(before);
        let Ok(lent) = self.0.memory.try_acquire_many(more) else {
            self.0.refused.store(true, Ordering::Relaxed);
            return Err(io::Error::other("the memory for uploads is used up"));
        };
        lent.forget();
        self.0.received.store(before + bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.memory.add_permits(units(*self.received.get_mut()) as usize);
    }
}

/// Units for so many bytes. A body is bounded far below what a `u32` holds.
fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

struct Counted {
    coming: BoxStream<'static, io::Result<Bytes>>,
    /// What came and was not passed on.
    piece: Bytes,
    loan: Loan,
}

impl Counted {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        while self.piece.is_empty() {
            match self.coming.next().await? {
                Ok(piece) => self.piece = piece,
                Err(error) => return Some(Err(error)),
            }
        }
        let next = self.piece.split_to(self.piece.len().min(UNIT));
        Some(self.loan.borrow(next.len()).map(|()| next))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn body(bytes: usize) -> Body {
        Body::from_bytes(vec![0; bytes].into())
    }

    #[tokio::test]
    async fn every_byte_is_lent_once_and_given_back_at_the_end() {
        let memory = UploadMemory::new(4 * UNIT as u64);
        let first = memory.open();
        let pieces: Vec<_> = first.count(body(2 * UNIT + 1)).collect().await;

        let lengths: Vec<_> = pieces.into_iter().map(|piece| piece.unwrap().len()).collect();
        assert_eq!(lengths, [UNIT, UNIT, 1]);
        assert_eq!((first.received(), memory.0.available_permits()), (2 * UNIT + 1, 1));
        drop(first);
        assert_eq!(memory.0.available_permits(), 4);
    }

    #[tokio::test]
    async fn what_cannot_be_lent_is_not_passed_on() {
        let memory = UploadMemory::new(2 * UNIT as u64);
        let (first, second) = (memory.open(), memory.open());
        assert!(first.count(body(UNIT)).all(async |piece| piece.is_ok()).await);
        let pieces: Vec<_> = second.count(body(3 * UNIT)).collect().await;

        assert_eq!(pieces.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
        assert!(second.is_refused() && !first.is_refused());
        drop(second);
        assert!(memory.open().count(body(UNIT)).all(async |piece| piece.is_ok()).await);
    }

    #[tokio::test]
    async fn small_pieces_share_a_unit() {
        let memory = UploadMemory::new(2 * UNIT as u64);
        let loan = memory.open();
        let drops = stream::iter(0..UNIT).map(|_| Ok::<_, io::Error>(Bytes::from_static(b"x")));
        let passed = loan.count(Body::from_bytes_stream(drops)).count().await;

        assert_eq!((passed, memory.0.available_permits()), (UNIT, 1));
    }
}
