//! What only this engine can show: its plans.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use bson::Document;

use super::*;
use crate::{aggregate::COLLECTIONS, samples::samples};

#[tokio::test]
async fn every_question_of_the_pipeline_is_answered_by_an_index() {
    let uri = std::env::var("FEAT_TEST_MONGODB_URL")
        .expect("FEAT_TEST_MONGODB_URL is not set: use `cargo xtask test`");
    let name = format!("feat-plans-{}", schemas::SessionId::generate());
    let mongo = Mongo::open(&uri.into(), &name, Tempo::Prompt).await.unwrap();
    mongo.migrate(COLLECTIONS).await.unwrap();

    for (name, collection, query) in samples() {
        let find = doc! {
            "find": collection,
            "filter": filter::filter(&query.all),
            "sort": filter::sort(&query.sort),
            "limit": query.limit.map_or(0, u64::cast_signed),
        };
        let explain = doc! { "explain": find, "verbosity": "queryPlanner" };
        let plan: Document = mongo.database.run_command(explain).await.unwrap();
        let plan = plan.get_document("queryPlanner").unwrap();
        let plan = plan.get_document("winningPlan").unwrap().to_string();

        assert!(!plan.contains("COLLSCAN"), "{name}: {plan}");
        assert!(plan.contains("IXSCAN") || plan.contains("IDHACK"), "{name}: {plan}");
    }
    mongo.database.drop().await.unwrap();
}
