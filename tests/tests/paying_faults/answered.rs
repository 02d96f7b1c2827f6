//! What a payer is told while the job's end is still being saved.

use std::time::Duration;

use rand::{SeedableRng, rngs::StdRng};
use schemas::{Event, JobId, JobRecord, JobState};
use tests::seed;
use tokio::{sync::broadcast::Receiver, time::timeout};

use crate::{
    lane::Lane,
    plan::{Plan, Point, ROADS, Stage, Trouble},
};

async fn told(events: &mut Receiver<Event>, id: JobId) -> JobRecord {
    let told = async {
        loop {
            match events.recv().await.expect("events") {
                Event::Answered { job } if job.id == id => return *job,
                _ => {}
            }
        }
    };
    timeout(Duration::from_mins(1), told).await.expect("the payer is told")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_told_before_the_end_where_no_call_waits() {
    let lane = Lane::start().await;
    for road in ROADS.iter().filter(|road| !road.by_card) {
        let mut events = lane.at.rig.broker.events();
        let sn = lane.at.bill().await;
        let seen = lane.at.read(&sn).await;
        let job = lane.at.pay_as_seen(&seen, road.way).await;
        let first_word = async {
            loop {
                match events.recv().await.expect("events") {
                    Event::Answered { job: told } if told.id == job.id => return None,
                    Event::Changed { id, state, .. } if id == job.id => return Some(state),
                    _ => {}
                }
            }
        };
        let word = timeout(Duration::from_mins(1), first_word).await.expect("some word");
        assert_eq!(word, Some(JobState::Succeeded), "{}", road.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_payer_is_told_stands_when_the_worker_dies_right_after() {
    let seed = seed();
    println!("FEAT_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let lane = Lane::start().await;
    for road in ROADS.iter().filter(|road| !road.by_card) {
        let trouble = ("none", Trouble::Nothing);
        let plan = Plan { road, point: Point::Answered, trouble, stage: Stage::Create, seed };
        let mut events = lane.at.rig.broker.events();
        let sn = lane.at.bill().await;
        lane.prepare(&plan, Stage::Create, &mut random);
        let job = lane.at.pay(&sn, road.way).await;

        let told = told(&mut events, job.id).await;
        assert!(told.calls.is_empty(), "{}: what was said to the provider is not told", road.name);
        let bill = lane.at.read(&sn).await;
        let offer = bill.attempts[0].offer.as_ref().expect("the bill has it first");
        let output = told.output.expect("what the client pays with");
        assert_eq!(output["reply"], offer.reply, "{}", road.name);

        let ended = lane.ended(&job, road.name).await;
        assert!(lane.clear().0, "{}: a worker died", road.name);
        assert_eq!(ended.state, JobState::Succeeded, "{}: {:?}", road.name, ended.error);
        assert_eq!(ended.output, Some(output), "{}", road.name);
        assert!(ended.version > told.version, "{}: another run ended it", road.name);
        assert_eq!(lane.at.read(&sn).await.attempts.len(), 1, "{}", road.name);
    }
}
