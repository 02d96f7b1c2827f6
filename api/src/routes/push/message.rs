//! Reads one message: Apple's keys, or any payload as it is; every rule of Apple's that can be
//! checked beforehand is checked here.

use std::time::Duration;

use providers::apns::{
    Activity, Aps, CollapseId, Expiration, Message, MessageFlaw, MessageParts, Notification,
    Payload, Priority, PushType,
};
use schemas::{BundleId, Timestamp, push::PushMessage};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Apple keeps no push longer.
const LONGEST_KEPT: Duration = Duration::from_hours(30 * 24);

/// A field, and what is wrong with it.
pub(super) type Problem = (String, String);

const FIELDS: [&str; 11] = [
    "to",
    "aps",
    "activity",
    "custom",
    "payload",
    "push_type",
    "priority",
    "expiration",
    "collapse_id",
    "topic",
    "repeat",
];

/// What a message rests on besides itself.
pub(super) struct Frame<'a> {
    pub(super) app: &'a BundleId,
    /// The expiration of messages that name none.
    pub(super) expiration: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// Reads the message `fields`, whose own name in the request is `at`.
///
/// # Errors
///
/// The first field that is wrong, with its whole name.
pub(super) fn read(
    fields: &Map<String, Value>,
    at: &str,
    frame: &Frame<'_>,
) -> Result<PushMessage, Problem> {
    let told = |field: &str, text: &str| (format!("{at}.{field}"), text.to_owned());
    if let Some(name) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(told(name, "There is no such field."));
    }
    let (payload, usual) = payload(fields).map_err(|(field, text)| told(field, &text))?;
    let push_type = match text(fields, "push_type").map_err(|text| told("push_type", text))? {
        None => usual,
        Some(name) => PushType::of_name(name).ok_or_else(|| {
            let names = PushType::ALL.map(PushType::name).join(", ");
            (format!("{at}.push_type"), format!("Send one of {names}."))
        })?,
    };
    let priority = match present(fields, "priority") {
        None => None,
        Some(number) => {
            let priority = number.as_u64().and_then(Priority::of_number);
            Some(priority.ok_or_else(|| told("priority", "Send 1, 5 or 10."))?)
        }
    };
    let expiration = expiration(fields, frame).map_err(|text| told("expiration", text))?;
    let collapse_id = text(fields, "collapse_id").map_err(|text| told("collapse_id", text))?;
    let collapse_id = collapse_id.map(str::parse::<CollapseId>).transpose();
    let collapse_id = collapse_id.map_err(|flaw| told("collapse_id", &sentence(flaw)))?;
    let topic = text(fields, "topic").map_err(|text| told("topic", text))?.map(str::to_owned);
    let repeat = match present(fields, "repeat") {
        None => collapse_id.is_some() || push_type == PushType::Background,
        Some(Value::Bool(repeat)) => *repeat,
        Some(_) => return Err(told("repeat", "Send true or false.")),
    };
    let app = frame.app.clone();
    let parts = MessageParts { app, push_type, payload, priority, expiration, collapse_id, topic };
    let message = Message::new(parts).map_err(|flaw| told(field_of(flaw), &sentence(flaw)))?;
    Ok(message.to_stored(repeat))
}

/// The payload, and the push type that follows from it.
fn payload(fields: &Map<String, Value>) -> Result<(Payload, PushType), (&'static str, String)> {
    let built = ["aps", "activity", "custom"].into_iter().find(|name| has(fields, name));
    let flawed = |flaw: MessageFlaw| (field_of(flaw), sentence(flaw));
    if let Some(raw) = present(fields, "payload") {
        if let Some(name) = built {
            return Err((name, "Send either this or payload.".to_owned()));
        }
        let payload = Payload::raw(&raw.to_string()).map_err(flawed)?;
        let usual = usual_type(raw.get("aps"), raw.pointer("/aps/event").is_some());
        return Ok((payload, usual));
    }
    if built.is_none() {
        return Err(("aps", "Send aps, activity, custom or payload.".to_owned()));
    }
    let aps: Aps = part(fields, "aps")?.unwrap_or_default();
    let activity: Option<Activity> = part(fields, "activity")?;
    let custom: Map<String, Value> = part(fields, "custom")?.unwrap_or_default();
    let usual = usual_type(present(fields, "aps"), activity.is_some());
    let payload = Payload::new(&Notification { aps, activity, custom }).map_err(flawed)?;
    Ok((payload, usual))
}

fn usual_type(aps: Option<&Value>, activity: bool) -> PushType {
    let has = |key: &str| aps.is_some_and(|aps| aps.get(key).is_some());
    if activity {
        PushType::LiveActivity
    } else if has("content-available") && !["alert", "badge", "sound"].into_iter().any(has) {
        PushType::Background
    } else if has("content-changed") {
        PushType::Widgets
    } else {
        PushType::Alert
    }
}

fn part<T: DeserializeOwned>(
    fields: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<T>, (&'static str, String)> {
    let read = present(fields, name).map(|value| serde_json::from_value(value.clone()));
    read.transpose().map_err(|error| (name, format!("It cannot be read: {error}.")))
}

fn expiration(
    fields: &Map<String, Value>,
    frame: &Frame<'_>,
) -> Result<Option<Expiration>, &'static str> {
    match text(fields, "expiration")? {
        None => Ok(frame.expiration.map(Expiration::At)),
        Some("once") => Ok(Some(Expiration::Once)),
        Some(moment) => {
            let moment: Timestamp =
                moment.parse().map_err(|_| "Send once, or a time such as 2026-02-03T04:05:06Z.")?;
            if moment > frame.now + LONGEST_KEPT {
                return Err("Apple keeps no push longer than 30 days.");
            }
            Ok(Some(Expiration::At(moment)))
        }
    }
}

/// The value of a field; a null is as good as no field.
pub(super) fn present<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn has(fields: &Map<String, Value>, name: &str) -> bool {
    present(fields, name).is_some()
}

/// A text that is not empty.
pub(super) fn text<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, &'static str> {
    match present(fields, name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err("Send a text."),
    }
}

/// The field that a caller has to mend.
const fn field_of(flaw: MessageFlaw) -> &'static str {
    match flaw {
        MessageFlaw::NotAnObject | MessageFlaw::TooLarge { .. } => "payload",
        MessageFlaw::Aps | MessageFlaw::Number => "aps",
        MessageFlaw::CustomAps => "custom",
        MessageFlaw::Activity => "activity",
        MessageFlaw::PayloadForType(_) | MessageFlaw::Unheard => "push_type",
        MessageFlaw::PriorityForType(_) => "priority",
        MessageFlaw::TopicForType(_) => "topic",
        MessageFlaw::CollapseId => "collapse_id",
    }
}

fn sentence(flaw: MessageFlaw) -> String {
    let text = flaw.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
