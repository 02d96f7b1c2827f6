//! `feat apns` and `feat webhook`, on an embedded folder.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::{path::Path, time::Duration};

use schemas::{
    ApnsEnvironment, BundleId, JobRecord, Timestamp, UserId, Verdict as JobVerdict,
    job::NewJob,
    kinds::{WebhookDeliver, webhook_deliver::WebhookMessage},
    push_token::{PushTokenRecord, PushTokenState, Registration, SignedIn, Verdict},
    webhook::{CampaignCounts, CampaignFinished, WebhookEvent},
};
use serde_json::Value;
use store::{Insert, Save, Store};
use support::{assert_refused, json, run};
use tempfile::TempDir;

fn with<T>(folder: &Path, work: impl AsyncFnOnce(&Store) -> T) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::sqlite(folder).await.unwrap();
        let outcome = work(&store).await;
        store.close().await;
        outcome
    })
}

/// `words`, about this folder.
fn on<'a>(folder: &'a TempDir, words: &[&'a str]) -> Vec<&'a str> {
    let mut all = words.to_vec();
    all.extend(["--data", folder.path().to_str().unwrap()]);
    all
}

fn one(folder: &TempDir, words: &[&str]) -> Value {
    let mut lines = json(&on(folder, words));
    assert_eq!(lines.len(), 1, "{words:?}: {lines:?}");
    lines.remove(0)
}

const APP: &str = "com.example.notes";

fn app() -> BundleId {
    APP.parse().unwrap()
}

fn device(number: u32, received: Timestamp) -> PushTokenRecord {
    let registration = Registration {
        owner: UserId::new(7).unwrap(),
        app: app(),
        environment: ApnsEnvironment::Sandbox,
        token: format!("{number:08x}").parse().unwrap(),
        device_id: format!("ios:{number}"),
        signed_in: SignedIn::default(),
        locale: None,
        app_version: None,
    };
    PushTokenRecord::new(registration, received)
}

/// Ten devices: two put aside a week ago, three just now, one belongs to production, one is stale.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    with(folder.path(), async |store| {
        let (now, day) = (Timestamp::now(), Duration::from_hours(24));
        for number in 0..10 {
            let made = device(number, now - day * if number == 9 { 60 } else { 6 });
            let device = match number {
                0 | 1 => made.judge(Verdict::Gone { since: now - day * 5 }, now - day * 5),
                2..5 => made.judge(Verdict::Gone { since: now }, now),
                5 => {
                    let environment = ApnsEnvironment::Production;
                    made.judge(Verdict::Accepted { environment }, now)
                }
                _ => Some(made),
            };
            let stored = store.push_tokens.insert(&device.unwrap()).await;
            assert_eq!(stored, Ok(Insert::Stored));
        }
    });
    folder
}

#[test]
fn the_doctor_says_how_the_devices_of_an_app_stand() {
    let folder = folder();
    let all = json(&on(&folder, &["apns", "doctor", "--json"]));
    assert_eq!(all.len(), 2);
    let (sandbox, production) = (&all[0], &all[1]);
    assert_eq!((&sandbox["app"], &sandbox["environment"]), (&APP.into(), &"sandbox".into()));
    let expected =
        [("active", 4), ("quarantined", 5), ("wrong_environment", 1), ("stale", 1), ("held", 0)];
    for (field, count) in expected {
        assert_eq!(sandbox[field], count, "{field}: {sandbox}");
    }
    assert_eq!(sandbox["reasons"]["gone"], 5);
    assert_eq!((&production["active"], &production["quarantined"]), (&1.into(), &0.into()));
    let other = on(&folder, &["apns", "doctor", "--app", "com.example.other", "--json"]);
    assert_eq!(json(&other), Vec::<Value>::new());
}

#[test]
fn what_was_put_aside_is_taken_back_and_written_down() {
    let folder = folder();
    let undo = ["apns", "undo", "--app", APP, "--since", "1h"];
    let dry = one(&folder, &[&undo[..], &["--dry-run"]].concat());
    assert_eq!((&dry["restored"], &dry["dry_run"]), (&3.into(), &true.into()));
    assert_eq!(one(&folder, &undo)["restored"], 3);
    assert_eq!(one(&folder, &undo)["restored"], 0, "once");
    let single = ["apns", "undo", "--app", APP, "--token", "00000001"];
    assert_eq!(one(&folder, &single)["restored"], 1);
    with(folder.path(), async |store| {
        let app = app();
        let count = |state| store.push_tokens.count(&app, ApnsEnvironment::Sandbox, state, 100);
        assert_eq!(count(PushTokenState::Active).await, Ok(8));
        assert_eq!(count(PushTokenState::Quarantined).await, Ok(1));
    });
    let entries = json(&on(&folder, &["audit", "list", "--action", "devices_restored"]));
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1]["detail"], "3 devices");
    assert_eq!(entries[1]["actor"], "operator ada");
}

#[test]
fn the_brake_is_taken_off_by_name() {
    let folder = folder();
    let words = ["apns", "release", "--app", APP, "--environment", "sandbox", "--for", "2h"];
    let released = one(&folder, &words);
    assert_eq!(released["released_by"], "operator ada");
    assert!(one(&folder, &words)["version"].as_u64().unwrap() > 1, "again is longer");
    let entries = json(&on(&folder, &["audit", "list", "--action", "cohort_released"]));
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["subject"], format!("sandbox/{APP}"));
}

#[test]
fn a_delivery_that_has_ended_is_sent_again_under_its_name() {
    let folder = folder();
    let now = Timestamp::now();
    let event = WebhookEvent::CampaignFinished(CampaignFinished {
        id: "campaign-1".to_owned(),
        status: "finished".to_owned(),
        created_at: now,
        finished_at: now,
        counts: CampaignCounts::default(),
    });
    let message = WebhookMessage::new("shop", event, now);
    let open = with(folder.path(), async |store| {
        let new = NewJob::of::<WebhookDeliver>(UserId::FEAT, &message).unwrap();
        let job = JobRecord::accept(new, "test", now);
        assert_eq!(store.jobs.insert(&job).await, Ok(Insert::Stored));
        job
    });
    let id = open.id.to_string();
    let words = on(&folder, &["webhook", "resend", &id]);
    assert_refused(&run(&words), &["queued", "by itself"]);
    with(folder.path(), async |store| {
        let spec = schemas::kinds::spec(&open.kind).unwrap();
        let done = JobVerdict::Done(serde_json::json!({ "taken_at": now }));
        let ended = open.settle(spec, done, "test", now, 0.5).unwrap();
        assert_eq!(store.jobs.save(&ended).await, Ok(Save::Stored));
    });
    let again = one(&folder, &["webhook", "resend", &id]);
    assert_eq!(again["message"], Value::from(message.id.clone()));
    assert_ne!(again["id"], Value::from(id.clone()));
    let listed = json(&on(&folder, &["webhook", "list"]));
    let states: Vec<_> = listed.iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["queued", "succeeded"]);
    assert!(listed.iter().all(|one| one["about"] == "campaign campaign-1"));
    let entries = json(&on(&folder, &["audit", "list", "--action", "webhook_resent"]));
    assert_eq!(entries.len(), 1);
}
