//! The lives of bills and jobs: pure functions, step by step and at random.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod bill;
mod bill_walk;
mod card;
mod job;
mod job_walk;

use rand::{SeedableRng, rngs::StdRng};

/// Randomness from `FEAT_TEST_SEED`, or from a new seed; it is printed either way.
fn random() -> StdRng {
    let seed = std::env::var("FEAT_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("FEAT_TEST_SEED={seed}");
    StdRng::seed_from_u64(seed)
}
