//! What `feat config` tells besides the values.

use super::{config, problems_of};

#[test]
fn a_misspelt_key_is_told_the_one_that_is_spelt_alike() {
    let cases = [
        ("[worker.queues.imagez]\nconcurrency = 5", "mean worker.queues.images.concurrency?"),
        ("[mongodb]\ndatabse = \"x\"", "mean mongodb.database?"),
        ("[api]\nbill_life = \"1h\"", "mean payments.bill_life?"),
        ("colour = \"red\"", "colour is no setting\n"),
    ];
    for (text, expected) in cases {
        let told = problems_of(config(text, &[]).worker()) + "\n";
        assert!(told.contains(expected), "{text}: {told}");
    }
}

#[test]
fn what_either_process_would_refuse_is_told_with_the_values() {
    let text = r#"
        [[payments.unionpay]]
        name = "shop"
        mode = "live"
        merchant_id = "777290058110048"
        signing = { sm3 = { key = { file = "/nowhere/key" } } }
        [[webhooks]]
        name = "notes"
        url = "nonsense"
        secrets = []
        events = []
        [[apns.accounts]]
        apps = ["com.example.notes"]
        key = { env = "NO_SUCH_KEY" }
        key_id = "ABCDE12345"
        team_id = "FGHIJ67890"
    "#;
    let config = config(text, &[]);
    let (effective, problems) = config.effective();
    let told = problems.to_string() + &crate::place::unusable(&config.parts()).join("\n");

    assert_eq!(effective["webhooks"].value, "(1 of them)");
    let expected = [
        ("the API's", "api.token_key is missing"),
        ("both's, once", "mongodb.url is missing"),
        ("with an account", "payments.sealing_key is missing"),
        ("the workers'", "NO_SUCH_KEY is not set"),
        ("an account", "/nowhere/key"),
        ("a webhook", "webhooks"),
    ];
    for (name, text) in expected {
        assert!(told.contains(text), "{name}: {told}");
    }
    assert_eq!(told.matches("mongodb.url is missing").count(), 1, "{told}");
}
