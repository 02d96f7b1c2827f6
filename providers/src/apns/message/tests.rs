//! Which messages are accepted, and what of them reaches Apple.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use serde_json::{Value, json};

use super::*;
use crate::apns::{
    Activity, ActivityEvent, Alert, AlertText, Aps, InterruptionLevel, Notification, Sound,
};

fn parts(push_type: PushType, payload: &Value) -> MessageParts {
    MessageParts {
        app: "com.example.notes".parse().unwrap(),
        push_type,
        payload: Payload::raw(&payload.to_string()).unwrap(),
        priority: None,
        expiration: None,
        collapse_id: None,
        topic: None,
    }
}

/// A payload that suits the type.
fn suitable(push_type: PushType) -> Value {
    match push_type {
        PushType::Background => json!({ "aps": { "content-available": 1 } }),
        PushType::LiveActivity => {
            json!({ "aps": { "event": "update", "timestamp": 1, "content-state": {} } })
        }
        PushType::Widgets | PushType::Controls => json!({ "aps": { "content-changed": true } }),
        PushType::Mdm => json!({ "mdm": "token" }),
        _ => json!({ "aps": { "alert": "Hello" } }),
    }
}

#[test]
fn type_priority_and_topic_agree() {
    use Priority::{Immediate as Ten, PowerAware as Five, PowerFirst as One};
    let rows: [(PushType, &[Priority], &str); 11] = [
        (PushType::Alert, &[Ten, Five, One], "com.example.notes"),
        (PushType::Background, &[Five], "com.example.notes"),
        (PushType::Voip, &[Ten], "com.example.notes.voip"),
        (PushType::Complication, &[Ten, Five], "com.example.notes.complication"),
        (PushType::FileProvider, &[Ten, Five, One], "com.example.notes.pushkit.fileprovider"),
        (PushType::Mdm, &[Ten, Five, One], "com.apple.mgmt.External.1"),
        (PushType::Location, &[Ten, Five], "com.example.notes.location-query"),
        (PushType::LiveActivity, &[Ten, Five], "com.example.notes.push-type.liveactivity"),
        (PushType::PushToTalk, &[Ten], "com.example.notes.voip-ptt"),
        (PushType::Widgets, &[Ten, Five], "com.example.notes.push-type.widgets"),
        (PushType::Controls, &[Ten, Five], "com.example.notes.push-type.controls"),
    ];
    for (push_type, allowed, topic) in rows {
        for priority in [Ten, Five, One] {
            let mut parts = parts(push_type, &suitable(push_type));
            parts.priority = Some(priority);
            parts.topic = (push_type == PushType::Mdm).then(|| topic.to_owned());
            match Message::new(parts) {
                Ok(message) => {
                    assert!(allowed.contains(&priority), "{push_type} {priority:?}");
                    assert_eq!(message.topic(), topic, "{push_type}");
                }
                Err(flaw) => {
                    assert_eq!(flaw, MessageFlaw::PriorityForType(push_type), "{push_type}");
                    assert!(!allowed.contains(&priority), "{push_type} {priority:?}");
                }
            }
        }
    }
}

#[test]
fn a_payload_suits_its_type() {
    let alert = json!({ "aps": { "alert": "Hello" } });
    let silent = json!({ "aps": { "content-available": 1 } });
    let loud = json!({ "aps": { "content-available": 1, "sound": "default" } });
    let custom = json!({ "call": 7 });
    let changed = json!({ "aps": { "content-changed": true } });
    let not_changed = json!({ "aps": { "content-changed": 1 } });
    let rows = [
        ("an alert", PushType::Alert, &alert, true),
        ("an alert without aps", PushType::Alert, &custom, false),
        ("silent in the background", PushType::Background, &silent, true),
        ("heard in the background", PushType::Background, &loud, false),
        ("seen in the background", PushType::Background, &alert, false),
        ("a call without aps", PushType::Voip, &custom, true),
        ("a widget that changed", PushType::Widgets, &changed, true),
        ("a widget with a number", PushType::Widgets, &not_changed, false),
        ("an alert as Live Activity", PushType::LiveActivity, &alert, false),
        ("MDM with aps", PushType::Mdm, &alert, false),
    ];
    for (name, push_type, payload, valid) in rows {
        let mut parts = parts(push_type, payload);
        parts.topic = (push_type == PushType::Mdm).then(|| "com.apple.mgmt.External.1".to_owned());
        let expected = if valid { None } else { Some(MessageFlaw::PayloadForType(push_type)) };
        assert_eq!(Message::new(parts).err(), expected, "{name}");
    }
}

#[test]
fn size_is_measured_in_bytes_of_the_text_that_is_sent() {
    let of = |push_type, bytes: usize| {
        let frame = json!({ "aps": { "alert": "" } }).to_string().len();
        let payload = json!({ "aps": { "alert": "x".repeat(bytes - frame) } });
        Message::new(parts(push_type, &payload)).err()
    };
    let too_large = |size, limit| Some(MessageFlaw::TooLarge { size, limit });

    assert_eq!(of(PushType::Alert, 4096), None);
    assert_eq!(of(PushType::Alert, 4097), too_large(4097, 4096));
    assert_eq!(of(PushType::Voip, 5120), None);
    assert_eq!(of(PushType::Voip, 5121), too_large(5121, 5120));

    let spaced = format!("{{{}\"aps\":{{\"alert\":\"é\"}}}}", " ".repeat(9000));
    assert_eq!(Payload::raw(&spaced).unwrap().size(), "{\"aps\":{\"alert\":\"é\"}}".len());
}

#[test]
fn hostile_payloads_are_refused_or_made_plain() {
    let deep = format!("{}{}", "{\"a\":".repeat(200), "1".to_owned() + &"}".repeat(200));
    let rows = [
        ("a list", "[1]", MessageFlaw::NotAnObject),
        ("a text", "\"aps\"", MessageFlaw::NotAnObject),
        ("nothing", "", MessageFlaw::NotAnObject),
        ("two objects", "{}{}", MessageFlaw::NotAnObject),
        ("very deep", deep.as_str(), MessageFlaw::NotAnObject),
        ("aps as text", "{\"aps\":\"x\"}", MessageFlaw::Aps),
        ("unknown event", "{\"aps\":{\"event\":\"burst\"}}", MessageFlaw::Activity),
        (
            "a start without attributes",
            "{\"aps\":{\"event\":\"start\",\"timestamp\":1,\"content-state\":{},\"alert\":\"x\"}}",
            MessageFlaw::Activity,
        ),
    ];
    for (name, text, flaw) in rows {
        assert_eq!(Payload::raw(text).err(), Some(flaw), "{name}");
    }
    let twice =
        Payload::raw("{\"aps\":{\"content-available\":1},\"aps\":{\"alert\":\"x\"}}").unwrap();
    assert_eq!(twice.as_bytes(), &"{\"aps\":{\"alert\":\"x\"}}");

    let mut custom = Notification::default();
    custom.custom.insert("aps".into(), json!({}));
    assert_eq!(Payload::new(&custom).err(), Some(MessageFlaw::CustomAps));
}

#[test]
fn the_builder_writes_apples_keys() {
    let mut notification = Notification {
        aps: Aps {
            alert: Some(Alert::Text(Box::new(AlertText {
                title: Some("Title".into()),
                loc_key: Some("KEY".into()),
                loc_args: vec!["a".into()],
                ..AlertText::default()
            }))),
            badge: Some(0),
            sound: Some(Sound::Critical { critical: 1, name: "default".into(), volume: 0.5 }),
            thread_id: Some("thread".into()),
            category: Some("REPLY".into()),
            mutable_content: true,
            interruption_level: Some(InterruptionLevel::TimeSensitive),
            relevance_score: Some(0.25),
            ..Aps::default()
        },
        ..Notification::default()
    };
    notification.custom.insert("note".into(), json!({ "id": 7 }));
    let written: Value =
        serde_json::from_slice(Payload::new(&notification).unwrap().as_bytes()).unwrap();
    let expected = json!({
        "aps": {
            "alert": { "title": "Title", "loc-key": "KEY", "loc-args": ["a"] },
            "badge": 0,
            "sound": { "critical": 1, "name": "default", "volume": 0.5 },
            "thread-id": "thread",
            "category": "REPLY",
            "mutable-content": 1,
            "interruption-level": "time-sensitive",
            "relevance-score": 0.25
        },
        "note": { "id": 7 }
    });
    assert_eq!(written, expected);
}

#[test]
fn a_live_activity_is_written_into_aps() {
    let activity = Activity {
        timestamp: 1_800_000_000,
        event: ActivityEvent::Start,
        content_state: json!({ "score": 1 }).as_object().unwrap().clone(),
        stale_date: Some(1_800_003_600),
        dismissal_date: None,
        attributes_type: Some("Match".into()),
        attributes: Some(json!({ "teams": ["a", "b"] }).as_object().unwrap().clone()),
        input_push_token: true,
        input_push_channel: None,
    };
    let aps = Aps { alert: Some(Alert::Body("Kick-off".into())), ..Aps::default() };
    let notification = Notification { aps, activity: Some(activity), ..Notification::default() };
    let payload = Payload::new(&notification).unwrap();
    let written: Value = serde_json::from_slice(payload.as_bytes()).unwrap();
    let expected = json!({ "aps": {
        "alert": "Kick-off", "timestamp": 1_800_000_000, "event": "start",
        "content-state": { "score": 1 }, "stale-date": 1_800_003_600, "attributes-type": "Match",
        "attributes": { "teams": ["a", "b"] }, "input-push-token": 1
    } });
    assert_eq!(written, expected);
}

#[test]
fn collapse_ids_fit_a_header() {
    let long = "é".repeat(33);
    let fits = "é".repeat(32);
    let rows = [
        ("usual", "score", true),
        ("64 bytes", fits.as_str(), true),
        ("66 bytes", long.as_str(), false),
        ("nothing", "", false),
        ("line break", "a\r\nx: y", false),
        ("a space at the end", "a ", false),
    ];
    for (name, text, valid) in rows {
        assert_eq!(text.parse::<CollapseId>().is_ok(), valid, "{name}");
    }
}

#[test]
fn a_moment_before_1970_is_not_the_word_for_once() {
    assert_eq!(Expiration::Once.seconds(), 0);
    assert_eq!(Expiration::At(Timestamp::from_micros(-5_000_000)).seconds(), 1);
    assert_eq!(Expiration::At(Timestamp::from_micros(7_000_000)).seconds(), 7);
}
