//! Every operation of the OpenAPI document, called by a second user with the first one's ids, on
//! both engines.
//!
//! [`ROWS`] says of each operation what that must come to. An operation without a row fails the
//! test: whoever adds one says here whose things it is about.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

mod rows;
mod stage;
mod victim;

use std::collections::BTreeSet;

use serde_json::Value;
use tests::rig::Engine;

use crate::{
    rows::{ROWS, Row},
    stage::Stage,
    victim::Victim,
};

/// `METHOD path` of every operation of the document.
fn documented() -> BTreeSet<String> {
    let document = api::openapi();
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    operations.collect()
}

async fn sweep(engine: Engine) {
    let stage = Stage::new(engine).await;
    let store = &stage.rig.store;
    let ada = Victim::of(store).await;
    for (operation, row) in ROWS {
        match row {
            Row::NotFound(calls) => {
                for call in calls(&ada) {
                    let name = format!("{operation} with {}{}", call.id, call.query);
                    let reply = stage.send(operation, &call).await;
                    assert_eq!(reply.status(), 404, "{name}");
                    let body: Value = reply.json().await.expect("JSON");
                    assert_eq!(body["code"], "NOT_FOUND", "{name}");
                    ada.is_untouched(store, &name).await;
                }
            }
            Row::OwnOnly(calls) => {
                for call in calls(&ada) {
                    let name = format!("{operation} with {}{}", call.id, call.query);
                    let reply = stage.send(operation, &call).await;
                    let status = reply.status();
                    let body = reply.text().await.expect("body");
                    assert!(status.is_success(), "{name}: {status} {body}");
                    for mark in ada.marks() {
                        assert!(!body.contains(&mark), "{name} shows {mark}: {body}");
                    }
                    ada.is_untouched(store, &name).await;
                }
            }
            Row::Nobodys(_) => {}
        }
    }
}

#[test]
fn every_operation_has_its_row() {
    let rows: BTreeSet<_> = ROWS.iter().map(|(operation, _)| (*operation).to_owned()).collect();
    let documented = documented();
    let missing: Vec<_> = documented.difference(&rows).collect();
    let stale: Vec<_> = rows.difference(&documented).collect();

    assert!(missing.is_empty(), "say in ROWS whose things these are about: {missing:?}");
    assert!(stale.is_empty(), "these are gone: {stale:?}");
    assert_eq!(rows.len(), ROWS.len(), "a row is written twice");
    for (operation, row) in ROWS {
        let Row::Nobodys(reason) = row else { continue };
        assert!(!reason.is_empty() && !operation.contains('{'), "{operation} names something");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_user_reaches_nothing_of_the_first_on_sqlite() {
    sweep(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_user_reaches_nothing_of_the_first_on_mongodb() {
    sweep(Engine::Distributed).await;
}
