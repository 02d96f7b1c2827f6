//! The end of a campaign, as the back end of an app hears of it.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use sim::apns::Settings;
use store::Store;
use tests::{
    apns::{APP, Apple},
    cluster::Cluster,
    eventually,
    front::Front,
    hooks::BackEnd,
    pushed::{Backend, configure_with, register},
    rig::owner,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";
const SOON: Duration = Duration::from_mins(1);

fn lines(cluster: &Cluster, arguments: &[&str]) -> Vec<Value> {
    let output = cluster.run(arguments, "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Settings of an endpoint behind `front`.
fn endpoint(apple: &Apple, front: &Front) -> String {
    let roots = apple.folder.path().join("back-end-roots.pem");
    std::fs::write(&roots, front.authority()).expect("roots");
    format!(
        "[[webhooks]]\nname = \"shop\"\nurl = \"{}/events\"\nsecrets = [{{ value = {SECRET:?} }}]\n\
         events = [\"campaign.finished\"]\nprivate = true\ntrust_roots = {{ file = \"{}\" }}\n",
        front.url,
        roots.display(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_campaign_is_told_once_over_tls_and_again_when_an_operator_wants_it() {
    let apple = Apple::start(Settings::default()).await;
    let back_end = BackEnd::start().await;
    let host = back_end.url.trim_start_matches("http://").trim_end_matches("/events");
    let front = Front::start(host.to_owned(), "/none").await;
    let mut cluster = Cluster::new().await;
    configure_with(&mut cluster, &apple, &endpoint(&apple, &front));
    let uri = cluster.corner.mongodb_url.clone().into();
    let store = Store::mongo(&uri, &cluster.corner.database).await.expect("MongoDB");
    register(&store, 60).await;
    let (api, _worker) = (cluster.api(None).await, cluster.worker(None).await);
    let sender = Backend::of(&store, owner(), &format!("http://{}", api.address)).await;

    let request = json!({
        "app": APP, "to": { "all": true }, "message": { "aps": { "alert": "Hello" } },
    });
    let made = sender.request(Method::POST, "/api/push/").header("prefer", "wait=30");
    let made = made.json(&request).send().await.expect("reply");
    assert_eq!(made.status(), 200);
    let made: Value = made.json().await.expect("JSON");
    let told = eventually("the back end is told", SOON, async || back_end.told().pop()).await;

    assert_eq!(told.signed_by(SECRET), Some(0));
    let body = told.json();
    assert_eq!(
        (&body["type"], &body["data"]["id"]),
        (&json!("campaign.finished"), &made["data"]["id"])
    );
    assert_eq!(body["data"]["counts"]["targeted"], 60);
    assert_eq!(body["data"]["counts"], without_pending(&made["data"]["counts"]));
    assert_eq!(
        (&body["data"]["status"], &made["data"]["status"]),
        (&json!("finished"), &json!("finished"))
    );

    let list = ["webhook", "list", "--json"];
    let delivery = eventually("it is listed as taken", SOON, async || {
        let listed = lines(&cluster, &list);
        let [one] = listed.as_slice() else { panic!("{listed:?}") };
        (one["state"] == "succeeded").then(|| one.clone())
    })
    .await;
    assert_eq!(delivery["message"], told.id());
    assert_eq!(back_end.told().len(), 1, "once");

    let job = delivery["id"].as_str().expect("id");
    lines(&cluster, &["webhook", "resend", job, "--as", "ada", "--json"]);
    let again = eventually("it is told again", SOON, async || back_end.told().into_iter().nth(1));
    let again = again.await;
    assert_eq!((again.id(), &again.body), (told.id(), &told.body));
    assert_eq!(again.signed_by(SECRET), Some(0));
    store.close().await;
}

/// An event tells of ends only.
fn without_pending(counts: &Value) -> Value {
    let mut counts = counts.clone();
    let pending = counts.as_object_mut().expect("counts").remove("pending");
    assert_eq!(pending, Some(json!(0)));
    counts
}
