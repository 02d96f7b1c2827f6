//! Calls of the store that are made again until it answers.

use std::time::Duration;

use store::StoreError;
use tokio_util::sync::CancellationToken;

/// Pause after the first call without an answer; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// No version of Feat that runs here can read the record: another call changes nothing.
    Unreadable(StoreError),
    /// The time to wait is over; the call may have had its effect.
    Stopped,
}

/// Calls the store until it answers, or until `stop`. A call that is under way then comes to its
/// end. A save that was repeated because its answer was lost may be stale; who reads the record
/// then finds their own change.
///
/// # Errors
///
/// [`NoAnswer`].
pub(crate) async fn patiently<T, F>(
    stop: &CancellationToken,
    call: impl Fn() -> F,
) -> Result<T, NoAnswer>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        match call().await {
            Ok(answer) => return Ok(answer),
            Err(error @ StoreError::Unreadable { .. }) => return Err(NoAnswer::Unreadable(error)),
            Err(error) => tracing::warn!(?error, "the store does not answer"),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = stop.cancelled() => return Err(NoAnswer::Stopped),
        }
    }
}
