//! The signals that end a process: the first asks it to finish, the second ends it at once.

use std::{io, process};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a process that a second signal ended, as shells know it for Ctrl-C.
const ENDED_BY_SIGNAL: i32 = 130;

/// A token that the first SIGTERM or SIGINT cancels. A second one exits the process.
///
/// # Errors
///
/// The operating system refuses to register a handler: do not start.
pub(crate) fn shutdown() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let first = token.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if first.is_cancelled() {
                process::exit(ENDED_BY_SIGNAL);
            }
            tracing::info!("stopping; a second signal ends this process at once");
            first.cancel();
        }
    });
    Ok(token)
}
