//! What is going on, for a person who waits.

use std::{
    io::{IsTerminal, stderr},
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Lines with elapsed time on standard error: the running one ticks on a terminal.
#[derive(Debug)]
pub struct Progress {
    begun: Instant,
    bar: Option<ProgressBar>,
    current: Mutex<Option<(Instant, String)>>,
    silent: bool,
}

impl Progress {
    /// For a command.
    #[must_use]
    pub fn shown() -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(
                ProgressStyle::with_template("{elapsed:>4} {spinner} {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self { begun: Instant::now(), bar, current: Mutex::default(), silent: false }
    }

    /// For a test: says nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self { begun: Instant::now(), bar: None, current: Mutex::default(), silent: true }
    }

    /// Begins a step, which ends the one before.
    pub fn step(&self, what: &str) {
        self.end_step();
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None if self.silent => {}
            None => eprintln!("{:>3} s  {what}", self.begun.elapsed().as_secs()),
        }
        if let Ok(mut current) = self.current.lock() {
            *current = Some((Instant::now(), what.to_owned()));
        }
    }

    /// Ends the last step.
    pub fn done(&self) {
        self.end_step();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn end_step(&self) {
        let ended = self.current.lock().ok().and_then(|mut current| current.take());
        if let (Some(bar), Some((begun, what))) = (&self.bar, ended) {
            bar.println(format!("{what}: {:.1} s", begun.elapsed().as_secs_f32()));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done();
    }
}
