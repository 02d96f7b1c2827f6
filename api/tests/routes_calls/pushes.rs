//! Pushes: what is refused and by which field, what is recorded, and whose it is.

use reqwest::Method;
use schemas::{
    JobState, PushId,
    audit::Action,
    kinds::PushFanOut,
    push::{Audience, PushOrder, PushState},
};
use serde_json::{Value, json};
use store::AuditFilter;

use crate::rig::App;

const APP: &str = "com.example.notes";

async fn start() -> App {
    App::start_with(|settings| settings.push_apps = vec![APP.parse().unwrap()], 100).await
}

impl App {
    async fn push(&self, body: &Value, key: Option<&str>) -> (u16, Value, Option<String>) {
        let request = self.request(Method::POST, "/api/push/", &self.ada).json(body);
        let request = match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        let reply = request.send().await.unwrap();
        let header =
            |name: &str| reply.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, location) = (reply.status().as_u16(), header("location"));
        (status, reply.json().await.unwrap(), location)
    }

    async fn steer(&self, id: &str, what: &str) -> (u16, Value) {
        let path = format!("/api/push/{id}/{what}/");
        let reply = self.request(Method::POST, &path, &self.ada).send().await.unwrap();
        (reply.status().as_u16(), reply.json().await.unwrap())
    }
}

fn alert() -> Value {
    json!({ "aps": { "alert": "Hello" } })
}

fn to_all(message: &Value) -> Value {
    json!({ "app": APP, "to": { "all": true }, "message": message })
}

#[tokio::test]
async fn what_is_wrong_is_said_by_field() {
    let app = start().await;
    let long = "x".repeat(5_000);
    let with = |name: &str, value: Value| {
        let mut message = alert();
        message[name] = value;
        to_all(&message)
    };
    let also = |name: &str, value: Value| {
        let mut body = to_all(&alert());
        body[name] = value;
        body
    };
    let to = |to: Value| json!({ "app": APP, "to": to, "message": alert() });
    let cases = [
        ("no app", json!({ "to": { "all": true }, "message": alert() }), "app"),
        ("another's app", also("app", json!("com.example.other")), "app"),
        ("nobody", json!({ "app": APP, "message": alert() }), "to"),
        ("nothing", json!({ "app": APP, "to": { "all": true } }), "message"),
        ("both forms", also("messages", json!([])), "messages"),
        ("misspelt", also("mesage", json!(1)), "mesage"),
        ("too large", to_all(&json!({ "aps": { "alert": long } })), "message.payload"),
        ("unknown key", to_all(&json!({ "aps": { "alarm": 1 } })), "message.aps"),
        ("custom aps", with("custom", json!({ "aps": {} })), "message.custom"),
        ("no object", to_all(&json!({ "payload": [1] })), "message.payload"),
        ("two payloads", with("payload", json!({})), "message.aps"),
        ("type", with("push_type", json!("shout")), "message.push_type"),
        ("type and payload", with("push_type", json!("background")), "message.push_type"),
        ("priority", with("priority", json!(7)), "message.priority"),
        (
            "priority and type",
            to_all(&json!({ "aps": { "content-available": 1 }, "priority": 10 })),
            "message.priority",
        ),
        ("topic", with("topic", json!("com.example.other")), "message.topic"),
        ("header", with("collapse_id", json!("a\r\nx: y")), "message.collapse_id"),
        ("collapse id", with("collapse_id", json!("x".repeat(65))), "message.collapse_id"),
        ("expiration", with("expiration", json!("2999-01-01T00:00:00Z")), "message.expiration"),
        ("an activity", with("activity", json!({ "event": "dance" })), "message.activity"),
        ("expired", also("expires_at", json!("2020-01-01T00:00:00Z")), "expires_at"),
        ("in a century", also("send_at", json!("2126-01-01T00:00:00Z")), "send_at"),
        ("rate", also("rate", json!(0)), "rate"),
        ("environment", also("environment", json!("staging")), "environment"),
        ("no such user", to(json!({ "users": [0] })), "to"),
        ("no token", to(json!({ "tokens": ["xyz"] })), "to"),
        ("nobody named", to(json!({ "users": [] })), "to"),
        ("no language", to(json!({ "locale": "z h" })), "to"),
        ("too much named", to(json!({ "users": [1], "all": true })), "to"),
        (
            "one of many",
            json!({ "app": APP, "messages": [
                { "to": { "users": [1] }, "aps": { "alert": "a" } },
                { "to": { "users": [2] }, "aps": { "alert": "b" }, "priority": 3 },
            ] }),
            "messages[1].priority",
        ),
        (
            "everybody in one of many",
            json!({ "app": APP, "messages": [{ "to": { "all": true }, "aps": { "alert": "a" } }] }),
            "messages[0].to",
        ),
        ("too many", json!({ "app": APP, "messages": vec![alert(); 1_001] }), "messages"),
    ];
    for (name, body, field) in cases {
        let (status, told, _) = app.push(&body, None).await;
        assert_eq!((status, &told["code"]), (400, &json!("VALIDATION_EXCEPTION")), "{name}");
        assert!(told["data"][field].is_array(), "{name}: {field} is not told in {told}");
    }
    let both = json!({ "app": "no app", "to": {}, "message": { "aps": { "badge": -1 } } });
    let told = app.push(&both, None).await.1;
    let fields: Vec<_> = told["data"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(fields, ["app", "message.aps", "to"], "all at once");
    assert!(app.store.pushes.list(None, None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_hostile_payload_arrives_as_it_was_sent() {
    let app = start().await;
    let custom = json!({
        "$where": "1", "a.b": { "": null }, "\u{0}": "\u{0}", "n": u64::MAX, "f": 1e308,
        "deep": (0..50).fold(json!(1), |inner, _| json!([inner])),
    });
    let message = json!({ "aps": { "alert": "</script>\u{202e}" }, "custom": custom });
    let (status, told, _) = app.push(&to_all(&message), None).await;
    assert_eq!(status, 202, "{told}");

    let id: PushId = told["data"]["id"].as_str().unwrap().parse().unwrap();
    let job = app.store.jobs.get(id.job()).await.unwrap().unwrap();
    let order: PushOrder = serde_json::from_value(job.payload).unwrap();
    let mut sent: Value = serde_json::from_str(&order.messages[0].payload).unwrap();
    let aps = sent.as_object_mut().unwrap().remove("aps").unwrap();
    assert_eq!((sent, &aps["alert"]), (custom, &json!("</script>\u{202e}")));
}

#[tokio::test]
async fn a_campaign_is_recorded_once_and_read_by_its_owner() {
    let app = start().await;
    let body = to_all(&alert());
    let (status, told, location) = app.push(&body, Some("news-1")).await;
    let id = told["data"]["id"].as_str().unwrap();
    assert_eq!((status, location), (202, Some(format!("/api/push/{id}/"))));
    assert_eq!(told["data"]["status"], "active");
    assert_eq!(told["data"]["counts"]["targeted"], 0);

    let (status, again, _) = app.push(&body, Some("news-1")).await;
    assert_eq!((status, &again["data"]["id"]), (202, &json!(id)));
    let (status, ..) = app.push(&to_all(&json!({ "aps": { "badge": 1 } })), Some("news-1")).await;
    assert_eq!(status, 422);
    assert_eq!(app.push(&body, None).await.0, 202);
    let list = app.read("/api/push/", &app.ada).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    assert_eq!(list["data"][1]["id"], id);
    let first = app.read("/api/push/?page_size=1", &app.ada).await;
    let next = first["cursor"]["next"].as_str().unwrap();
    let second = app.read(&format!("/api/push/?page_size=1&cursor={next}"), &app.ada).await;
    assert_eq!((&second["data"][0]["id"], &second["cursor"]["next"]), (&json!(id), &Value::Null));
    assert_eq!(app.get(&format!("/api/push/{id}/"), &app.bob).await.status(), 404);

    let narrow = app.narrow_token().await;
    let reply = app.anonymous(Method::GET, "/api/push/").bearer_auth(narrow).send().await.unwrap();
    assert_eq!(reply.status(), 403);
}

#[tokio::test]
async fn a_thousand_messages_are_one_request() {
    let app = start().await;
    let text = "x".repeat(3_900);
    let message = |user: i64| json!({ "to": { "users": [user] }, "aps": { "alert": text } });
    let messages: Vec<_> = (1..=1_000).map(message).collect();
    let (status, told, _) = app.push(&json!({ "app": APP, "messages": messages }), None).await;
    assert_eq!(status, 202, "{told}");

    let id: PushId = told["data"]["id"].as_str().unwrap().parse().unwrap();
    let job = app.store.jobs.get(id.job()).await.unwrap().unwrap();
    let order: PushOrder = serde_json::from_value(job.payload).unwrap();
    let Audience::Listed(all) = &order.audience else { panic!("a list") };
    assert_eq!((order.messages.len(), all.len(), all[999].message), (1_000, 1_000, 999));
}

#[tokio::test]
async fn a_scheduled_campaign_can_be_stopped_before_it_begins() {
    let app = start().await;
    let mut body = to_all(&alert());
    body["send_at"] = json!(schemas::Timestamp::now() + std::time::Duration::from_hours(1));
    let told = app.push(&body, None).await.1;
    let id = told["data"]["id"].as_str().unwrap();
    assert_eq!(told["data"]["status"], "scheduled");
    let push: PushId = id.parse().unwrap();
    let job = app.store.jobs.get(push.job()).await.unwrap().unwrap();
    assert_eq!(
        (job.state, job.kind.as_str()),
        (JobState::Scheduled, <PushFanOut as schemas::Job>::KIND)
    );

    for (what, status) in [("pause", "paused"), ("pause", "paused"), ("resume", "scheduled")] {
        let (code, told) = app.steer(id, what).await;
        assert_eq!((code, &told["data"]["status"]), (200, &json!(status)), "{what}");
    }
    let (code, told) = app.steer(id, "cancel").await;
    assert_eq!((code, &told["data"]["status"]), (200, &json!("cancelled")));
    assert_eq!(app.steer(id, "resume").await.0, 409);
    let job = app.store.jobs.get(push.job()).await.unwrap().unwrap();
    assert!(job.cancel_requested_at.is_some(), "a worker ends it now");
    let campaign = app.store.pushes.get(push).await.unwrap().unwrap();
    assert_eq!(campaign.state, PushState::Cancelled);
}

#[tokio::test]
async fn a_campaign_that_is_cancelled_by_its_job_is_written_down_once() {
    let app = start().await;
    let told = app.push(&to_all(&alert()), None).await.1;
    let push: PushId = told["data"]["id"].as_str().unwrap().parse().unwrap();
    let path = format!("/api/job/{}/cancel/", push.job());
    for _ in 0..2 {
        let reply = app.request(Method::POST, &path, &app.ada).send().await.unwrap();
        assert_eq!(reply.status(), 202);
    }

    let filter = AuditFilter { actions: vec![Action::CampaignCancelled], ..AuditFilter::default() };
    let entries = app.store.audit.list(&filter, None, 10).await.unwrap();
    let subjects: Vec<_> = entries.iter().map(|entry| entry.subject.as_deref()).collect();
    assert_eq!(subjects, [Some(push.to_string().as_str())]);
}
