//! Callers that wait for the end of a campaign, and what is written down of those who steer one.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use reqwest::{Method, Response};
use schemas::{
    Timestamp,
    audit::{Action, AuditRecord},
};
use serde_json::{Value, json};
use sim::apns::Settings;
use store::{AuditFilter, Store};
use tests::{
    apns::{APP, Apple},
    cluster::Cluster,
    pushed::{Backend, Pushed, configure, register},
    rig::{Engine, owner},
};

fn to_all() -> Value {
    json!({ "app": APP, "to": { "all": true }, "message": { "aps": { "alert": "Hello" } } })
}

fn later() -> Value {
    let mut body = to_all();
    body["send_at"] = json!(Timestamp::now() + Duration::from_hours(1));
    body
}

/// Status, `Preference-Applied` and what is told of the campaign.
async fn told(reply: Response) -> (u16, Option<String>, Value) {
    let applied = reply.headers().get("preference-applied");
    let applied = applied.map(|value| value.to_str().expect("text").to_owned());
    let status = reply.status().as_u16();
    let mut body: Value = reply.json().await.expect("JSON");
    (status, applied, body["data"].take())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_may_wait_for_the_end_of_a_campaign() {
    let pushed = Pushed::start(Engine::Embedded, Settings::default()).await;
    register(&pushed.rig.store, 120).await;
    let worker = pushed.rig.worker();
    let call = async |method: Method, path: &str, prefer: &str, body: &Value| {
        let request = pushed.backend.request(method, path).header("prefer", prefer).json(body);
        told(request.send().await.expect("reply")).await
    };
    let waits = |seconds: u32| Some(format!("wait={seconds}"));

    let (status, applied, view) = call(Method::POST, "/api/push/", "wait=30", &to_all()).await;
    assert_eq!((status, applied, &view["status"]), (200, waits(30), &json!("finished")), "{view}");
    assert_eq!(view["counts"]["accepted"], 120);
    assert!(view["ended_at"].is_string());

    let (status, applied, view) = call(Method::POST, "/api/push/", "wait=1", &later()).await;
    assert_eq!((status, applied, &view["status"]), (202, waits(1), &json!("scheduled")));
    let path = format!("/api/push/{}/", view["id"].as_str().expect("id"));
    let none = json!({});
    let (status, applied, view) = call(Method::GET, &path, "wait=1", &none).await;
    assert_eq!((status, applied, &view["ended_at"]), (200, waits(1), &Value::Null));
    let (status, applied, _) = call(Method::GET, &path, "respond-async", &none).await;
    assert_eq!((status, applied), (200, None));
    let (status, applied, _) = call(Method::POST, &format!("{path}resume/"), "wait=1", &none).await;
    assert_eq!((status, applied), (200, waits(1)));
    let (status, applied, view) =
        call(Method::POST, &format!("{path}cancel/"), "wait=30", &none).await;
    assert_eq!((status, applied, &view["status"]), (200, waits(30), &json!("cancelled")));
    assert!(view["ended_at"].is_string(), "{view}");
    let (status, applied, _) = call(Method::GET, &path, "wait=30", &none).await;
    assert_eq!((status, applied), (200, waits(30)), "nothing was left to wait for");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_steers_a_campaign_is_in_the_audit_record() {
    use Action::{CampaignCancelled, CampaignMade, CampaignPaused, CampaignResumed};

    let apple = Apple::start(Settings::default()).await;
    let mut cluster = Cluster::new().await;
    configure(&mut cluster, &apple);
    let uri = cluster.corner.mongodb_url.clone().into();
    let store = Store::mongo(&uri, &cluster.corner.database).await.expect("MongoDB");
    let api = cluster.api(None).await;
    let backend = Backend::of(&store, owner(), &format!("http://{}", api.address)).await;
    let (status, made) = backend.call(Method::POST, "/api/push/", Some(&later())).await;
    assert_eq!(status, 202, "{made}");
    let theirs = made["data"]["id"].as_str().expect("id");
    // The second pause changes nothing, so nothing is decided.
    for what in ["pause", "pause", "resume", "cancel"] {
        let path = format!("/api/push/{theirs}/{what}/");
        assert_eq!(backend.call(Method::POST, &path, Some(&json!({}))).await.0, 200);
    }
    let run = |arguments: &[&str]| {
        let more = ["--as", "ada", "--json"];
        let output = cluster.run(&[arguments, &more[..]].concat(), "");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    let in_an_hour = (Timestamp::now() + Duration::from_hours(1)).to_string();
    let send = ["push", "send", "--app", APP, "--all", "--alert", "Hi", "--send-at", &in_an_hour];
    let ours = run(&send)["id"].as_str().expect("id").to_owned();
    for what in ["pause", "resume", "resume", "cancel"] {
        run(&["push", what, &ours]);
    }

    let of = async |subject: &str| {
        let actions = vec![CampaignMade, CampaignPaused, CampaignResumed, CampaignCancelled];
        let filter = AuditFilter { actions, ..AuditFilter::default() };
        let mut found = store.audit.list(&filter, None, 100).await.expect("store");
        found.reverse();
        found.retain(|entry| entry.subject.as_deref() == Some(subject));
        found
    };
    let actions = |found: &[AuditRecord]| found.iter().map(|one| one.action).collect::<Vec<_>>();
    let by_caller = of(theirs).await;
    assert_eq!(actions(&by_caller), [CampaignPaused, CampaignResumed, CampaignCancelled]);
    for entry in by_caller {
        let actor = format!("user {}", owner());
        assert_eq!(
            (entry.owner, entry.actor, entry.detail.as_deref()),
            (owner(), actor, Some(APP))
        );
        assert!(entry.request_id.is_some() && entry.address.is_some());
    }
    let by_operator = of(&ours).await;
    let expected = [CampaignMade, CampaignPaused, CampaignResumed, CampaignCancelled];
    assert_eq!(actions(&by_operator), expected);
    assert!(by_operator.iter().all(|entry| entry.actor == "operator ada"));
    store.close().await;
}
