//! The commands, one module each.

pub(crate) mod boundaries;
pub(crate) mod child;
pub(crate) mod ci;
pub(crate) mod schemas;
pub(crate) mod services;
pub(crate) mod test;

use std::{io, process::ExitCode};

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// What a command ends with; the error's text is for the person who typed it.
pub(crate) type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

/// The signals by which a person, or the system, ends a command. Once this exists they no longer
/// end the process by themselves.
#[derive(Debug)]
pub(crate) struct Interrupts {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Interrupts {
    /// Begins to listen.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next of them, including one that came before this call.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hang_up.recv() => Signal::HUP,
        }
    }
}
