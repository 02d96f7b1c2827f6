//! Workers die at every point where money could be lost or move twice, and the providers fail in
//! every way they can, while bills are paid and paid back: afterwards the simulators' ledger and
//! the bills agree to the fen.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

mod answered;
mod books;
mod lane;
mod plan;
mod tally;
mod walk;

use std::{collections::VecDeque, sync::Mutex};

use futures::future::join_all;
use rand::{SeedableRng, rngs::StdRng};
use tests::{long, seed};

use crate::{books::Verdict, lane::Lane, plan::Plan, tally::Tally};

/// Installations side by side, each with a worker, a store and providers of its own.
const LANES: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_moves_once_whatever_fails_and_whoever_dies() {
    let seed = seed();
    let runs = if long() { 5_000 } else { 520 };
    let mut random = StdRng::seed_from_u64(seed);
    let plans = Mutex::new(VecDeque::from(plan::plans(runs, &mut random)));
    let tally = Mutex::new(Tally::default());
    join_all((0..LANES).map(|_| work_off(&plans, &tally))).await;
    let tally = tally.into_inner().expect("tally");
    println!("{tally}");
    println!("FEAT_TEST_SEED={seed}");
    assert_eq!(tally.sum(), Verdict { lost: 0, doubled: 0, different: 0 });
    assert!(tally.runs() >= runs, "{} runs", tally.runs());
    tally.assert_every_point_was_met();
}

/// Walks plan after plan in one installation, then compares its books.
async fn work_off(plans: &Mutex<VecDeque<Plan>>, tally: &Mutex<Tally>) {
    let lane = Lane::start().await;
    let mut walked = Vec::new();
    loop {
        let next = plans.lock().expect("plans").pop_front();
        let Some(plan) = next else { break };
        let sn = walk::walk(&lane, &plan).await;
        let (killed, applied) = lane.clear();
        walked.push((sn, plan, killed, applied));
    }
    lane.all_jobs_end().await;
    lane.at.sim.settled().await;
    for (sn, plan, killed, applied) in walked {
        let bill = lane.at.read(&sn).await;
        let verdict = books::compare(&bill, &lane.at.sim);
        if verdict != Verdict::default() {
            println!("{plan:?}: {verdict:?}\n{bill:#?}");
        }
        tally.lock().expect("tally").add(&plan, killed, applied, verdict);
    }
}
