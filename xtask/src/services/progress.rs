//! What is going on, for a person who waits.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// A line with the elapsed time for every step, on standard error; on a terminal a clock ticks
/// below them until [`Self::done`] or the end of this value.
#[derive(Debug)]
pub struct Progress {
    begun: Instant,
    bar: Option<ProgressBar>,
    silent: bool,
}

impl Progress {
    /// For a command.
    #[must_use]
    pub fn shown() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{elapsed:>3}  {spinner} {msg}");
            let bar = ProgressBar::new_spinner();
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { begun: Instant::now(), bar, silent: false }
    }

    /// For a test: says nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self { begun: Instant::now(), bar: None, silent: true }
    }

    /// Says that a step begins.
    pub fn step(&self, what: &str) {
        let line = format!("{:>2}s  {what}", self.begun.elapsed().as_secs());
        match &self.bar {
            Some(bar) => bar.println(line),
            None if self.silent => {}
            None => eprintln!("{line}"),
        }
    }

    /// Says that all is done, and stops the clock.
    pub fn done(&self) {
        self.step("ready");
        self.clear();
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
