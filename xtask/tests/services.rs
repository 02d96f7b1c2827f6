//! Servers of a test's own: they keep their data and address over a restart, forget when they are
//! told to, and end with whoever started them.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;

use bson::doc;
use mongodb::Client;
use xtask::services::{MongoDb, RabbitMq, RabbitMqVersion, process};

/// Names of the server's virtual hosts, over its management API.
async fn virtual_hosts(rabbit: &RabbitMq) -> Vec<String> {
    let url = format!("{}/api/vhosts", rabbit.management_url());
    let answer = reqwest::get(url).await.unwrap().text().await.unwrap();
    let hosts: Vec<serde_json::Value> = serde_json::from_str(&answer).unwrap();
    hosts.iter().map(|host| host["name"].as_str().unwrap().to_owned()).collect()
}

fn is_empty(folder: &Path) -> bool {
    process::of(folder).is_empty()
}

#[tokio::test]
async fn rabbitmq_keeps_its_data_when_killed_and_loses_it_when_wiped() {
    let folder = tempfile::tempdir_in(xtask::workspace::target()).unwrap();
    let version = RabbitMqVersion::from_environment();
    let mut rabbit = RabbitMq::start(folder.path(), version).await.unwrap();
    let address = rabbit.amqp_url().to_owned();
    rabbit.ctl(&["add_vhost", "kept"]).unwrap();

    rabbit.kill();
    assert!(is_empty(folder.path()));
    rabbit.start_again().await.unwrap();
    assert_eq!(rabbit.amqp_url(), address);
    assert_eq!(virtual_hosts(&rabbit).await, ["/", "kept"]);

    rabbit.stop();
    rabbit.wipe().unwrap();
    rabbit.start_again().await.unwrap();
    assert_eq!(virtual_hosts(&rabbit).await, ["/"]);

    drop(rabbit);
    assert!(is_empty(folder.path()));
}

#[tokio::test]
async fn mongodb_keeps_its_data_when_killed_and_ends_when_dropped() {
    let folder = tempfile::tempdir_in(xtask::workspace::target()).unwrap();
    let mut mongo = MongoDb::start(folder.path()).await.unwrap();
    let client = Client::with_uri_str(mongo.url()).await.unwrap();
    let things = client.database("test").collection("things");
    things.insert_one(doc! { "_id": 1 }).await.unwrap();

    mongo.kill();
    mongo.start_again().await.unwrap();
    assert_eq!(things.count_documents(doc! {}).await.unwrap(), 1);

    drop(mongo);
    assert!(is_empty(folder.path()));
}
