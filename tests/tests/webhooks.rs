//! Events for the back ends of apps: signed, repeated until they are taken, sent to nobody else.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{collections::BTreeSet, time::Duration};

use providers::{
    payment::Source,
    webhook::{WebhookSettings, Webhooks},
};
use schemas::{
    ApnsEnvironment, JobRecord, JobState, Timestamp,
    kinds::{
        PushTokenReport, WebhookDeliver, push_token_report::Reporting,
        webhook_deliver::WebhookMessage,
    },
    push_token::{PushTokenRecord, Registration, SignedIn, Verdict},
    webhook::{CampaignCounts, CampaignFinished, WebhookEvent},
};
use store::{Insert, Save};
use tests::{
    devices::{app, token},
    eventually,
    front::Front,
    hooks::BackEnd,
    rig::{Engine, Rig, owner},
};

const NEW: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";
const OLD: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs=";
const PATIENCE: Duration = Duration::from_mins(1);

/// An endpoint at `url` that wants everything.
fn endpoint(url: &str, secrets: &[&str]) -> WebhookSettings {
    WebhookSettings {
        name: "shop".to_owned(),
        url: url.to_owned(),
        secrets: secrets.iter().map(|secret| Source::Value((*secret).into())).collect(),
        events: WebhookEvent::TYPES.iter().map(|event| (*event).to_owned()).collect(),
        private: true,
        trust_roots: None,
    }
}

fn finished() -> WebhookEvent {
    let now = Timestamp::now();
    WebhookEvent::CampaignFinished(CampaignFinished {
        id: "campaign-1".to_owned(),
        status: "finished".to_owned(),
        created_at: now,
        finished_at: now,
        counts: CampaignCounts { targeted: 1, accepted: 1, ..CampaignCounts::default() },
    })
}

async fn deliver(rig: &Rig) -> JobRecord {
    let message = WebhookMessage::new("shop", finished(), Timestamp::now());
    rig.submit::<WebhookDeliver>(&message).await
}

async fn many_invalid_tokens_are_a_few_signed_events(engine: Engine) {
    const TOKENS: u32 = 1_000;
    let back_end = BackEnd::start().await;
    let mut rig = Rig::new(engine).await;
    rig.webhooks = Webhooks::open(vec![endpoint(&back_end.url, &[NEW])]).expect("settings");
    let now = Timestamp::now();
    let insert = |number: u32| {
        let registration = Registration {
            owner: owner(),
            app: app(),
            environment: ApnsEnvironment::Production,
            token: token(number).parse().expect("token"),
            device_id: format!("ios:{number}"),
            signed_in: SignedIn::default(),
            locale: None,
            app_version: None,
        };
        let device = PushTokenRecord::new(registration, now);
        let device = device.judge(Verdict::Gone { since: now }, now).expect("put aside");
        let store = rig.store.clone();
        async move { store.push_tokens.insert(&device).await }
    };
    for stored in futures::future::join_all((0..TOKENS).map(insert)).await {
        assert_eq!(stored, Ok(Insert::Stored));
    }
    let worker = rig.worker();
    // Two at once, as when a tick comes late: no token is lost, and none is told twice.
    let jobs = [
        rig.submit::<PushTokenReport>(&Reporting {}).await,
        rig.submit::<PushTokenReport>(&Reporting {}).await,
    ];
    for job in jobs {
        rig.in_state(job.id, JobState::Succeeded).await;
    }
    let named = |told: &[tests::hooks::Told]| {
        let all = told.iter().flat_map(|one| {
            let body = one.json();
            assert_eq!(body["type"], "push_token.invalid");
            let tokens = body["data"]["tokens"].as_array().expect("tokens").clone();
            tokens.into_iter().map(|token| token["device_token"].to_string())
        });
        all.collect::<BTreeSet<_>>()
    };
    let told = eventually("every token is told of", PATIENCE, async || {
        let told = back_end.told();
        (named(&told).len() == TOKENS as usize).then_some(told)
    })
    .await;
    assert!(told.len() <= 20, "{} requests", told.len());
    assert!(told.iter().all(|one| one.signed_by(NEW) == Some(0)));
    let first = &told[0].json()["data"]["tokens"][0];
    assert_eq!((&first["reason"], &first["user"]), (&"gone".into(), &owner().get().into()));
    assert_eq!(rig.store.push_tokens.unreported(Timestamp::now(), 10).await, Ok(Vec::new()));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_tokens_are_told_in_batches_embedded() {
    many_invalid_tokens_are_a_few_signed_events(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_tokens_are_told_in_batches_distributed() {
    many_invalid_tokens_are_a_few_signed_events(Engine::Distributed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_comes_again_under_its_name_until_it_is_taken() {
    let back_end = BackEnd::start().await;
    let mut rig = Rig::new(Engine::Embedded).await;
    rig.webhooks = Webhooks::open(vec![endpoint(&back_end.url, &[NEW, OLD])]).expect("settings");
    back_end.answer_next("500 Broken");
    back_end.answer_next("503 Busy\r\nretry-after: 1");
    back_end.answer_next(&format!("307 Elsewhere\r\nlocation: {}", back_end.url));
    let worker = rig.worker();
    let job = deliver(&rig).await;
    let done = rig.in_state(job.id, JobState::Succeeded).await;
    assert_eq!(done.attempts, 3, "a pause that was asked for spends none");

    let told = back_end.told();
    assert_eq!(told.len(), 4, "no redirect is followed");
    let ids: BTreeSet<_> = told.iter().map(tests::hooks::Told::id).collect();
    assert_eq!(ids.len(), 1);
    assert!(ids.iter().all(|id| id.starts_with("msg_")));
    for one in &told {
        assert_eq!((one.signed_by(NEW), one.signed_by(OLD)), (Some(0), Some(1)));
        assert_eq!(one.json()["type"], "campaign.finished");
        assert_eq!(one.json()["data"]["counts"]["targeted"], 1);
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_gone_or_not_configured_is_not_tried_again() {
    let back_end = BackEnd::start().await;
    let mut rig = Rig::new(Engine::Embedded).await;
    rig.webhooks = Webhooks::open(vec![endpoint(&back_end.url, &[NEW])]).expect("settings");
    back_end.answer_next("410 Gone");
    let worker = rig.worker();
    let job = deliver(&rig).await;
    let gone = rig.in_state(job.id, JobState::Failed).await;
    assert_eq!(gone.error.expect("an error").code, "endpoint_gone");

    let message = WebhookMessage::new("other", finished(), Timestamp::now());
    let job = rig.submit::<WebhookDeliver>(&message).await;
    let unknown = rig.in_state(job.id, JobState::Failed).await;
    assert_eq!(unknown.error.expect("an error").code, "no_such_endpoint");
    assert_eq!(back_end.told().len(), 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_to_this_machine_is_not_called() {
    let back_end = BackEnd::start().await;
    let mut rig = Rig::new(Engine::Embedded).await;
    let port = back_end.url.rsplit(':').next().expect("a port").to_owned();
    let mut settings = endpoint(&format!("https://localhost:{port}"), &[NEW]);
    settings.private = false;
    rig.webhooks = Webhooks::open(vec![settings]).expect("settings");
    let worker = rig.worker();
    let job = deliver(&rig).await;
    let failed = eventually("the attempt fails", PATIENCE, async || {
        let job = rig.job(job.id).await;
        job.error.is_some().then_some(job)
    })
    .await;
    assert!(failed.error.expect("an error").message.contains("no connection"));
    assert_eq!(back_end.told().len(), 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_back_end_with_the_right_certificate_is_told() {
    let back_end = BackEnd::start().await;
    let host = back_end.url.trim_start_matches("http://").trim_end_matches("/events").to_owned();
    let mut rig = Rig::new(Engine::Embedded).await;
    let (front, stranger) =
        (Front::start(host.clone(), "/none").await, Front::start(host, "/none").await);
    let named = front.url.replace("127.0.0.1", "localhost");
    let rows = [
        ("another authority", &front.url, Some(&stranger), false),
        ("none of ours", &front.url, None, false),
        ("another name", &named, Some(&front), false),
        ("the right one", &front.url, Some(&front), true),
    ];
    for (name, url, believed, expected) in rows {
        let mut settings = endpoint(&format!("{url}/events"), &[NEW]);
        settings.trust_roots = believed.map(|front| Source::inline(&front.authority()));
        rig.webhooks = Webhooks::open(vec![settings]).expect("settings");
        let worker = rig.worker();
        let job = deliver(&rig).await;
        let job = eventually(name, PATIENCE, async || {
            let job = rig.job(job.id).await;
            (job.state.is_settled() || job.error.is_some()).then_some(job)
        })
        .await;
        worker.stop().await;
        assert_eq!(job.state == JobState::Succeeded, expected, "{name}: {:?}", job.error);
        assert_eq!(back_end.told().len(), usize::from(expected), "{name}");
        if let Some(error) = job.error {
            assert_eq!(error.message, "no connection", "{name}");
            let left = rig.job(job.id).await;
            let given_up = left.request_cancel("test", Timestamp::now()).expect("it waits");
            assert_eq!(rig.store.jobs.save(&given_up).await, Ok(Save::Stored), "{name}");
        }
    }
    assert_eq!(back_end.told()[0].signed_by(NEW), Some(0));
}
