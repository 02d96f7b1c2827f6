//! One installation: a store, a queue, an API that hears notices, providers, and a worker that
//! dies.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use providers::{
    payment::{Gateways, PaymentSettings},
    webhook::Webhooks,
};
use rand::{RngExt, rngs::StdRng};
use schemas::{JobRecord, JobState, Timestamp, UserId};
use sim::{Act, AlipayKeys, Fault, Quotas};
use store::JobFilter;
use tests::{
    eventually,
    mortal::{Doom, Mortal},
    rig::{Engine, owner, quick},
    simulated::Simulated,
};
use workers::{PayPace, Settings, Workers};

use crate::plan::{Plan, Stage, Trouble};

/// Longest that one step may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

/// A pause that a test does not wait for: a person retries the job.
const TOO_LONG: Duration = Duration::from_millis(300);

/// Latest that a worker dies at no chosen point, after the step has begun.
const ANYWHERE_MS: u64 = 60;

pub(crate) struct Lane {
    pub(crate) at: Simulated,
    worker: Mortal,
    deaths: AtomicU32,
}

impl Lane {
    pub(crate) async fn start() -> Self {
        let mut simulators = sim::Settings::fixture().expect("fixtures");
        simulators.quotas = Quotas::unlimited();
        simulators.refund_takes = Duration::from_millis(50);
        // Only then does Alipay have a key that can change.
        simulators.merchants[0].alipay.keys = AlipayKeys::Certificate;
        let at = Simulated::with(Engine::Embedded, simulators).await;
        let accounts: PaymentSettings =
            serde_json::from_value(at.sim.payments()).expect("the form of the settings");
        let (store, broker) = (at.rig.store.clone(), at.rig.broker.clone());
        let (blobs, till) = (at.rig.blobs.clone(), at.rig.till.clone());
        let worker = Mortal::start(move || {
            let mut till = till.clone();
            till.gateways = Gateways::open(&accounts).expect("accounts");
            Workers {
                store: store.clone(),
                broker: broker.clone(),
                blobs: blobs.clone(),
                till,
                webhooks: Webhooks::default(),
                apns: None,
                settings: hasty(),
                registry: Arc::new(workers::registry()),
            }
        });
        Self { at, worker, deaths: AtomicU32::new(0) }
    }

    /// Prepares what the plan has for `stage`; before its job is submitted.
    pub(crate) fn prepare(&self, plan: &Plan, stage: Stage, random: &mut StdRng) {
        if let Some((call, act)) = script(plan, stage) {
            self.at.sim.fault(Fault::once(call, act)).expect("script");
        }
        if plan.stage != stage {
            return;
        }
        if let Some(point) = plan.point.name() {
            self.worker.arm(Doom { point, kinds: stage.kinds(plan.road) });
        } else {
            let life = Duration::from_millis(random.random_range(0..ANYWHERE_MS));
            self.worker.kill_after(life);
        }
    }

    /// Takes back what has not come to pass; answers whether a worker died since the last time,
    /// and how many faults applied.
    pub(crate) fn clear(&self) -> (bool, u32) {
        self.worker.disarm();
        let deaths = self.worker.deaths();
        let killed = deaths > self.deaths.swap(deaths, Ordering::Relaxed);
        let applied = self.at.sim.faults().iter().map(|script| script.applied).sum();
        self.at.sim.clear_faults();
        (killed, applied)
    }

    /// The job at its end. Nobody waits here for a long pause.
    pub(crate) async fn ended(&self, job: &JobRecord, what: &str) -> JobRecord {
        eventually(format!("{what}: the end of {} {}", job.kind, job.id), PATIENCE, async || {
            let job = self.at.rig.job(job.id).await;
            self.hurry(&job).await;
            assert_ne!(job.state, JobState::Dead, "{what}: {:?} {:#?}", job.error, job.history);
            job.state.is_settled().then_some(job)
        })
        .await
    }

    async fn hurry(&self, job: &JobRecord) {
        let waits = matches!(job.state, JobState::Waiting | JobState::Unknown);
        let soon = Timestamp::now() + TOO_LONG;
        if !waits || job.wake_at.is_some_and(|at| at < soon) {
            return;
        }
        if let Ok(next) = job.clone().publish("asked", "operator test", Timestamp::now()) {
            // Somebody else may have been quicker; the next look tells.
            let _ = self.at.rig.store.jobs.save(&next).await.expect("store");
        }
    }

    /// Waits until nothing is under way any more but looks that are scheduled.
    pub(crate) async fn all_jobs_end(&self) {
        let states = [JobState::Queued, JobState::Running, JobState::Waiting, JobState::Unknown];
        let kinds = ["pay.create", "pay.charge", "pay.refund", "pay.notify", "pay.close"];
        let kinds = kinds.map(str::to_owned);
        for owner in [owner(), UserId::FEAT] {
            let filter = JobFilter {
                owner: Some(owner),
                kinds: kinds.clone().into(),
                states: states.into(),
                ..JobFilter::default()
            };
            eventually("the end of all jobs", PATIENCE, async || {
                let open = self.at.rig.store.jobs.list(&filter, None, 500).await.ok()?;
                for job in &open {
                    self.hurry(job).await;
                }
                open.is_empty().then_some(())
            })
            .await;
        }
    }
}

/// The call that goes wrong in `stage`, and how.
fn script(plan: &Plan, stage: Stage) -> Option<(&'static str, Act)> {
    let road = plan.road;
    let call = match stage {
        Stage::Create => road.create,
        Stage::Hear => road.notice,
        Stage::Refund => road.refund,
        Stage::Close => road.close,
    };
    let act = match (&plan.trouble.1, stage) {
        (Trouble::Call(act), stage) if stage == plan.stage => act.clone(),
        (Trouble::Notice(act), Stage::Hear) => act.clone(),
        (Trouble::PaidEarly, Stage::Create) => Act::PayEarly,
        (Trouble::KeysRotate, stage) if stage == plan.stage => Act::RotateKeys,
        (Trouble::PaidAfterClose, Stage::Close) => Act::PayAfterClose,
        // Without a call to close, an attempt is over when its offer is lost.
        (Trouble::PaidAfterClose, Stage::Create) if road.close.is_empty() => Act::DropAfter,
        _ => return None,
    };
    Some((call, act))
}

/// Short leases and pauses, and a name of its own for every worker.
fn hasty() -> Settings {
    let pace = PayPace { first: Duration::from_millis(20), give_up: Duration::from_hours(1) };
    Settings {
        lease: Duration::from_millis(900),
        schedule_interval: Duration::from_millis(30),
        pay_pace: pace,
        ..quick()
    }
}
