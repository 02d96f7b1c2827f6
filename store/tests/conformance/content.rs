//! What a record may hold: it comes back as it was, or is refused; it is never altered.

use futures::future::join_all;
use schemas::{JobRecord, Timestamp};
use serde_json::{Value, json};
use store::{Insert, StoreError};

use crate::{place::Place, sample::job};

fn with(payload: Value) -> JobRecord {
    JobRecord { payload, ..job() }
}

/// Lists within lists, so many.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!("core"), |inner, _| json!([inner]))
}

pub(crate) async fn times_keep_their_microseconds(place: &Place) {
    let jobs = &place.store.jobs;
    let micros = [0, 1, 999_999, 1_706_933_106_123_456, 4_102_444_799_999_999];
    for micros in micros {
        let time = Timestamp::from_micros(micros);
        let job = JobRecord { wake_at: Some(time), created_at: time, ..job() };
        assert_eq!(jobs.insert(&job).await, Ok(Insert::Stored));

        assert_eq!(jobs.get(job.id).await, Ok(Some(job)), "{micros}");
    }
}

pub(crate) async fn any_text_comes_back_as_it_was(place: &Place) {
    let jobs = &place.store.jobs;
    let payloads = [
        ("unicode", json!({ "名前": "猫 🐈 \u{feff}\u{202e}", "e\u{301}": "é" })),
        ("operators", json!({ "$set": { "$inc": 1 }, "a": { "$where": "x" } })),
        (
            "extended JSON",
            json!({ "a": { "$oid": "507f1f77bcf86cd799439011" }, "b": { "$date": 1 } }),
        ),
        ("references", json!({ "a": { "$ref": "jobs", "$id": 1, "$db": "x" } })),
        ("dots", json!({ "a.b": 1, ".": 2, "a": { "b.c": { ".d": 3 } } })),
        ("names of our own", json!({ "_id": 1, "id": 2, "revision": 3, "version": "x" })),
        ("empty name", json!({ "": { "": "" } })),
        ("control characters", json!({ "a": "\u{0}\u{1}\n\r\t\u{7f}" })),
        ("quotes", json!({ "'": "\"; DROP TABLE jobs; --", "\\": "\\\"" })),
        ("bare values", json!([null, true, [], {}, "x"])),
        ("null", Value::Null),
    ];
    for (name, payload) in payloads {
        let job = with(payload);
        assert_eq!(jobs.insert(&job).await, Ok(Insert::Stored), "{name}");

        assert_eq!(jobs.get(job.id).await, Ok(Some(job)), "{name}");
    }
}

pub(crate) async fn numbers_are_kept_or_refused_and_never_altered(place: &Place) {
    let jobs = &place.store.jobs;
    let cases = [
        ("zero", json!(0), false),
        ("least", json!(i64::MIN), false),
        ("greatest", json!(i64::MAX), false),
        ("above what doubles keep", json!((1_i64 << 53) + 1), false),
        ("fraction", json!(0.1), false),
        ("whole fraction", json!(1.0), false),
        ("minus zero", json!(-0.0), false),
        ("huge fraction", json!(1.5e300), false),
        ("smallest fraction", json!(5e-324), false),
        ("above 64 bits with a sign", json!(i64::MAX.cast_unsigned() + 1), true),
        ("greatest without a sign", json!(u64::MAX), true),
        ("name with NUL", json!({ "a\u{0}b": 1 }), true),
    ];
    for (name, payload, may_be_refused) in cases {
        let job = with(payload);
        match jobs.insert(&job).await {
            Ok(Insert::Stored) => assert_eq!(jobs.get(job.id).await, Ok(Some(job)), "{name}"),
            Err(StoreError::Unreadable { collection: "jobs", id, .. }) if may_be_refused => {
                assert_eq!(id, job.id.to_string(), "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

pub(crate) async fn what_cannot_be_read_back_is_refused(place: &Place) {
    let jobs = &place.store.jobs;
    let cases = [
        ("nested as deep as allowed", nested(63), true),
        ("nested too deep", nested(64), false),
        ("nested deeper than JSON readers go", nested(200), false),
        ("brackets in a text", json!("[{".repeat(1_000)), true),
        ("large", json!("x".repeat(7 * 1024 * 1024)), true),
        ("too large", json!("x".repeat(8 * 1024 * 1024)), false),
    ];
    for (name, payload, fits) in cases {
        let job = with(payload);
        match jobs.insert(&job).await {
            Ok(Insert::Stored) if fits => {
                assert!(jobs.get(job.id).await.unwrap().unwrap() == job, "{name}");
            }
            Err(StoreError::Unreadable { .. }) if !fits => {}
            other => panic!("{name}: {other:?}"),
        }
    }
}

pub(crate) async fn a_refused_record_does_not_harm_its_neighbours(place: &Place) {
    let jobs = &place.store.jobs;
    let records: Vec<_> = (0..100)
        .map(|index| match index % 10 {
            3 => with(nested(100)),
            6 => with(json!("x".repeat(9 * 1024 * 1024))),
            _ => with(json!({ "$index": index })),
        })
        .collect();

    let answers = join_all(records.iter().map(|job| jobs.insert(job))).await;

    for (index, answer) in answers.into_iter().enumerate() {
        match index % 10 {
            3 | 6 => assert!(matches!(answer, Err(StoreError::Unreadable { .. })), "{index}"),
            _ => assert_eq!(answer, Ok(Insert::Stored), "{index}"),
        }
    }
}
