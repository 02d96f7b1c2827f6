//! The commands, one module each.

pub(crate) mod services;

/// What a command ends with; the error's text is for the person who typed it.
pub(crate) type Outcome = Result<std::process::ExitCode, Box<dyn std::error::Error>>;

/// Returns when the person, or the system, wants the command to end.
pub(crate) async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};

    let (Ok(mut terminate), Ok(mut hang_up)) =
        (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
}
