//! Patience with a database that is just electing a primary, and its end.

use std::{future::Future, time::Duration};

use mongodb::error::Error;
use tokio::time::{Instant, sleep, timeout_at};

use super::connect::{is_passing, unavailable};
use crate::StoreError;

/// Longest wait for an answer, repetitions included.
const PATIENCE: Duration = Duration::from_secs(10);

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why a call has no answer.
pub(super) enum Trouble {
    /// It may work a moment later.
    Passing(StoreError),
    /// It will not.
    Final(StoreError),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let sorted = unavailable(&error);
        if is_passing(&error) { Self::Passing(sorted) } else { Self::Final(sorted) }
    }
}

/// Repeats `call` while the reason to fail may pass; it is told whether it is a repetition.
///
/// Each attempt is a task of its own: the driver must not be dropped half-way, neither by a
/// caller that goes away nor by the end of patience with a connection that says nothing.
pub(super) async fn patiently<T, Fut>(call: impl Fn(bool) -> Fut) -> Result<T, StoreError>
where
    T: Send + 'static,
    Fut: Future<Output = Result<T, Trouble>> + Send + 'static,
{
    let deadline = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    let mut repeated = false;
    loop {
        let error = match timeout_at(deadline, tokio::spawn(call(repeated))).await {
            Ok(Ok(Ok(value))) => return Ok(value),
            Ok(Ok(Err(Trouble::Final(error)))) => return Err(error),
            Ok(Ok(Err(Trouble::Passing(error)))) => error,
            Ok(Err(_)) => return Err(StoreError::Unavailable("the driver panicked".to_owned())),
            Err(_) => return Err(StoreError::Unavailable("no answer in time".to_owned())),
        };
        if Instant::now() + pause >= deadline {
            return Err(error);
        }
        tracing::debug!(%error, "MongoDB is asked again");
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        repeated = true;
    }
}
