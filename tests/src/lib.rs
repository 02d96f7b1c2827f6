//! The harness of the end-to-end tests: real stores, brokers, files and processes.
//!
//! `cargo xtask test` starts what is needed and sets the environment; each test takes a virtual
//! host, a database and a folder of its own from here and gives them back at its end.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

pub mod accounts;
pub mod apns;
pub mod apns_inside;
pub mod browser;
pub mod cluster;
pub mod collector;
pub mod desk;
pub mod devices;
pub mod front;
pub mod hooks;
pub mod http;
#[cfg(feature = "fault-points")]
pub mod mortal;
pub mod notified;
pub mod payer;
pub mod picture;
pub mod pushed;
pub mod relay;
pub mod rig;
pub mod scripted;
pub mod services;
pub mod shop;
pub mod simulated;

use std::{fmt::Display, time::Duration};

use tokio::time::Instant;

/// Asks `check` again and again until it answers with something.
///
/// # Panics
///
/// When that takes longer than `within`; the message says what was waited for and how long.
pub async fn eventually<T>(
    what: impl Display,
    within: Duration,
    mut check: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(start.elapsed() < within, "waited {within:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether the longer modes of the random tests were asked for.
#[must_use]
pub fn long() -> bool {
    std::env::var_os("FEAT_TEST_LONG").is_some_and(|value| value == "1")
}

/// A seed for a random test: `FEAT_TEST_SEED` or a new one, printed either way.
///
/// # Panics
///
/// When `FEAT_TEST_SEED` is no number.
#[must_use]
pub fn seed() -> u64 {
    let given = std::env::var("FEAT_TEST_SEED").ok();
    let seed =
        given.map_or_else(rand::random, |text| text.parse().expect("FEAT_TEST_SEED is a number"));
    println!("FEAT_TEST_SEED={seed}");
    seed
}
