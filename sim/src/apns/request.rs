//! Checks a push as far as it can be seen from the request alone.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, request::Parts};
use serde_json::Value;
use uuid::Uuid;

use super::Refusal;

const MAX_TOKEN_DIGITS: usize = 200;
const MAX_PAYLOAD: usize = 4096;
const MAX_VOIP_PAYLOAD: usize = 5120;
const MAX_COLLAPSE_ID: usize = 64;

/// Push types: name, what follows the bundle id in the topic, priorities.
const TYPES: [(&str, &str, &[u8]); 11] = [
    ("alert", "", &[10, 5, 1]),
    ("background", "", &[5]),
    ("voip", ".voip", &[10]),
    ("complication", ".complication", &[10, 5]),
    ("fileprovider", ".pushkit.fileprovider", &[10, 5, 1]),
    ("mdm", "", &[10, 5, 1]),
    ("location", ".location-query", &[10, 5]),
    ("liveactivity", ".push-type.liveactivity", &[10, 5]),
    ("pushtotalk", ".voip-ptt", &[10]),
    ("widgets", ".push-type.widgets", &[10, 5]),
    ("controls", ".push-type.controls", &[10, 5]),
];

/// What a push asks for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) id: Uuid,
    pub(super) device: Arc<str>,
    pub(super) topic: Arc<str>,
    /// Bundle id within the topic.
    pub(super) app: String,
    pub(super) push_type: &'static str,
    pub(super) priority: u8,
    pub(super) collapse_id: Option<String>,
}

/// The id to answer with: the sender's if it is one, else a new one.
pub(super) fn id(headers: &HeaderMap) -> Uuid {
    let given = headers.get("apns-id").and_then(|value| value.to_str().ok());
    given.and_then(|text| text.parse().ok()).unwrap_or_else(Uuid::now_v7)
}

/// Reads method, path and headers.
pub(super) fn read(parts: &Parts) -> Result<Asked, Refusal> {
    let refuse = |word| Err(Refusal::of(word));
    if parts.method != Method::POST {
        return refuse("MethodNotAllowed");
    }
    let Some(device) = parts.uri.path().strip_prefix("/3/device/") else {
        return refuse("BadPath");
    };
    let headers = &parts.headers;
    if headers.keys().any(|name| headers.get_all(name).iter().count() > 1) {
        return refuse("DuplicateHeaders");
    }
    if device.is_empty() {
        return refuse("MissingDeviceToken");
    }
    let plain = device.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !plain || !device.len().is_multiple_of(2) || device.len() > MAX_TOKEN_DIGITS {
        return refuse("BadDeviceToken");
    }
    check_id(headers)?;
    let kind = text(headers, "apns-push-type").unwrap_or_default();
    let Some(&(push_type, suffix, priorities)) = TYPES.iter().find(|(name, ..)| *name == kind)
    else {
        return refuse("InvalidPushType");
    };
    let Some(topic) = text(headers, "apns-topic") else { return refuse("MissingTopic") };
    let Some(app) = topic.strip_suffix(suffix).filter(|app| !app.is_empty()) else {
        return refuse("TopicDisallowed");
    };
    if !topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte)) {
        return refuse("BadTopic");
    }
    let priority = match text(headers, "apns-priority") {
        None => 10,
        Some(text) => text.parse().map_err(|_| Refusal::of("BadPriority"))?,
    };
    if !priorities.contains(&priority) {
        return refuse("BadPriority");
    }
    if text(headers, "apns-expiration").is_some_and(|text| text.parse::<u64>().is_err()) {
        return refuse("BadExpirationDate");
    }
    let collapse_id = match headers.get("apns-collapse-id").map(HeaderValue::as_bytes) {
        None => None,
        Some(bytes) if (1..=MAX_COLLAPSE_ID).contains(&bytes.len()) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        Some(_) => return refuse("BadCollapseId"),
    };
    let device = device.to_ascii_lowercase().into();
    let (app, topic) = (app.to_owned(), topic.into());
    Ok(Asked { id: id(headers), device, topic, app, push_type, priority, collapse_id })
}

fn check_id(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get("apns-id") else { return Ok(()) };
    let text = value.to_str().unwrap_or_default();
    let canonical = text.parse::<Uuid>().is_ok_and(|id| id.hyphenated().to_string() == text);
    if canonical { Ok(()) } else { Err(Refusal::of("BadMessageId")) }
}

/// Checks size, form and what the push type asks of the payload.
pub(super) fn check_payload(asked: &Asked, payload: &[u8]) -> Result<(), Refusal> {
    let limit = if asked.push_type == "voip" { MAX_VOIP_PAYLOAD } else { MAX_PAYLOAD };
    if payload.len() > limit {
        return Err(Refusal::of("PayloadTooLarge"));
    }
    // The real service says no more about what it cannot read.
    let Ok(Value::Object(root)) = serde_json::from_slice(payload) else {
        return Err(Refusal::of("PayloadEmpty"));
    };
    let aps = root.get("aps").and_then(Value::as_object);
    let has = |key: &str| aps.is_some_and(|aps| aps.contains_key(key));
    let suits = match asked.push_type {
        "background" => has("content-available") && !has("alert") && !has("badge") && !has("sound"),
        "liveactivity" => has("event") && has("timestamp"),
        "widgets" | "controls" => has("content-changed"),
        "alert" => aps.is_some(),
        _ => true,
    };
    if suits { Ok(()) } else { Err(Refusal::of("InvalidPushType")) }
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use http::Request;

    use super::*;

    const ID: &str = "0190163c-8d3b-7c3e-8000-000000000001";

    /// A good push with some headers put in place of its own; an empty value leaves one out.
    fn read_with(method: &str, path: &str, changed: &[(&str, &str)]) -> String {
        let mut headers = vec![
            ("apns-id", ID),
            ("apns-topic", "com.example.notes"),
            ("apns-push-type", "alert"),
            ("apns-priority", "10"),
        ];
        headers.retain(|(name, _)| !changed.iter().any(|(changed, _)| changed == name));
        headers.extend(changed.iter().filter(|(_, value)| !value.is_empty()));
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        match read(&request.body(()).unwrap().into_parts().0) {
            Ok(asked) => format!("{} {} {}", asked.app, asked.push_type, asked.device),
            Err(refusal) => refusal.to_string(),
        }
    }

    /// Name, method, path, changed headers, answer.
    type Row<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);

    #[test]
    fn every_flaw_of_a_request_has_its_reason() {
        let path = "/3/device/ABCD";
        let long = "x".repeat(65);
        let rows: [Row<'_>; 19] = [
            ("good", "POST", path, &[], "com.example.notes alert abcd"),
            ("not POST", "GET", path, &[], "405 MethodNotAllowed"),
            ("another path", "POST", "/4/device/abcd", &[], "404 BadPath"),
            ("no token", "POST", "/3/device/", &[], "400 MissingDeviceToken"),
            ("half a byte", "POST", "/3/device/abc", &[], "400 BadDeviceToken"),
            ("no digits", "POST", "/3/device/wxyz", &[], "400 BadDeviceToken"),
            (
                "id in capitals",
                "POST",
                path,
                &[("apns-id", "0190163C-8D3B-7C3E-8000-000000000001")],
                "400 BadMessageId",
            ),
            ("no UUID", "POST", path, &[("apns-id", "7")], "400 BadMessageId"),
            (
                "twice",
                "POST",
                path,
                &[("apns-priority", "10"), ("apns-priority", "5")],
                "400 DuplicateHeaders",
            ),
            ("no type", "POST", path, &[("apns-push-type", "")], "400 InvalidPushType"),
            ("unknown type", "POST", path, &[("apns-push-type", "pigeon")], "400 InvalidPushType"),
            ("no topic", "POST", path, &[("apns-topic", "")], "400 MissingTopic"),
            ("bad topic", "POST", path, &[("apns-topic", "com example")], "400 BadTopic"),
            (
                "topic of another type",
                "POST",
                path,
                &[("apns-push-type", "voip")],
                "400 TopicDisallowed",
            ),
            ("priority 7", "POST", path, &[("apns-priority", "7")], "400 BadPriority"),
            (
                "background now",
                "POST",
                path,
                &[("apns-push-type", "background")],
                "400 BadPriority",
            ),
            ("expires soon", "POST", path, &[("apns-expiration", "soon")], "400 BadExpirationDate"),
            ("long collapse id", "POST", path, &[("apns-collapse-id", &long)], "400 BadCollapseId"),
            (
                "voip",
                "POST",
                path,
                &[("apns-push-type", "voip"), ("apns-topic", "com.example.notes.voip")],
                "com.example.notes voip abcd",
            ),
        ];
        for (name, method, path, changed, expected) in rows {
            assert_eq!(read_with(method, path, changed), expected, "{name}");
        }
    }

    #[test]
    fn every_flaw_of_a_payload_has_its_reason() {
        let large = format!("{{\"aps\":{{\"alert\":\"{}\"}}}}", "x".repeat(4096));
        let rows = [
            ("good", "alert", r#"{"aps":{"alert":"x"}}"#, "good"),
            ("nothing", "alert", "", "400 PayloadEmpty"),
            ("no JSON", "alert", "aps", "400 PayloadEmpty"),
            ("no object", "alert", "[]", "400 PayloadEmpty"),
            ("large", "alert", large.as_str(), "413 PayloadTooLarge"),
            ("large, but a call", "voip", large.as_str(), "good"),
            (
                "seen in the background",
                "background",
                r#"{"aps":{"content-available":1,"alert":"x"}}"#,
                "400 InvalidPushType",
            ),
        ];
        for (name, push_type, payload, expected) in rows {
            let asked = Asked {
                id: Uuid::nil(),
                device: "ab".into(),
                topic: "t".into(),
                app: "t".into(),
                push_type,
                priority: 10,
                collapse_id: None,
            };
            let found = check_payload(&asked, payload.as_bytes());
            let found = found.map_or_else(|refusal| refusal.to_string(), |()| "good".to_owned());
            assert_eq!(found, expected, "{name}");
        }
    }
}
