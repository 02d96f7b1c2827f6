//! What only this engine can show: its plans, and how deep a text is nested.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use super::*;
use crate::{aggregate::COLLECTIONS, samples::samples};

#[test]
fn nesting_is_counted_outside_of_texts() {
    let cases = [
        ("flat", "{\"a\":1}", 1),
        ("nested", "{\"a\":[[{}]]}", 4),
        ("text", r#"{"a":"[[\"{"}"#, 1),
        ("escaped backslash", r#"{"a":"\\","b":[]}"#, 2),
    ];
    for (name, json, expected) in cases {
        assert_eq!(depth(json.as_bytes()), expected, "{name}");
    }
}

#[test]
fn every_question_of_the_pipeline_is_answered_by_an_index() {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate(&mut connection, COLLECTIONS).unwrap();

    for (name, collection, query) in samples() {
        let (statement, values) = sql::select("body", collection, &query);
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
        let values = rusqlite::params_from_iter(values);
        let steps = explain.query_map(values, |row| row.get::<_, String>(3)).unwrap();
        let plan: Vec<_> = steps.map(Result::unwrap).collect();

        assert!(plan.iter().any(|step| step.starts_with("SEARCH")), "{name}: {plan:?}");
    }
}
