//! The written form of what travels: JSON Schema of every message and job kind, and one AsyncAPI
//! document that puts them on their queues.
//!
//! The files in `schemas/` are for readers and for programs in other languages; a test fails when
//! they are behind the code.

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings, schema_for};
use serde_json::{Map, Value, json};

use crate::{Event, Job, Queue, kinds, message::JobMessage};

/// The exchange that broadcasts the events that workers act on.
const EVENTS: &str = "feat.events";
/// The exchange that takes the others to the processes that somebody may wait at.
const NEWS: &str = "feat.news";

/// A file in `schemas/`: its path there, and its text.
pub type Document = (String, String);

/// Every file that this crate alone can write.
#[must_use]
pub fn documents() -> Vec<Document> {
    let mut documents = vec![
        ("asyncapi.json".to_owned(), text(asyncapi())),
        ("job-message.schema.json".to_owned(), text(json!(schema_for!(JobMessage)))),
    ];
    macro_rules! each {
        ($($module:ident :: $job:ident,)+) => { $(documents.extend(of_kind::<kinds::$job>());)+ };
    }
    crate::for_each_job!(each);
    documents
}

/// `value` as it is written: indented, the members of each object in alphabetical order, so that
/// the same content is always the same text.
#[must_use]
pub fn text(value: Value) -> String {
    format!("{:#}\n", sorted(value))
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(members) => {
            let members: BTreeMap<_, _> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(members.into_iter().collect())
        }
        other => other,
    }
}

fn of_kind<J: Job>() -> [Document; 2] {
    let file = |part: &str| format!("jobs/{}.{part}.schema.json", J::KIND);
    [
        (file("payload"), text(json!(schema_for!(J::Payload)))),
        (file("output"), text(json!(schema_for!(J::Output)))),
    ]
}

/// The AsyncAPI 3 document: the queues, the parked queues, the events, and what travels there.
#[must_use]
pub fn asyncapi() -> Value {
    let settings = SchemaSettings::draft07()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();
    let job = reference::<JobMessage>(&mut schemas);
    let events = reference::<Event>(&mut schemas);
    let kinds = job_kinds(&mut schemas);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Feat's messages",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The store is the truth; a message only says that there may be \
                something to do. Delivery is at least once.",
        },
        "defaultContentType": "application/json",
        "channels": channels(),
        "operations": operations(),
        "components": {
            "messages": { "job": job_message(&job), "events": events_message(&events) },
            "schemas": schemas.take_definitions(true),
        },
        "x-job-kinds": kinds,
    })
}

fn reference<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().to_value()
}

/// What a job of each kind carries, and on which queue.
fn job_kinds(schemas: &mut SchemaGenerator) -> Value {
    let mut kinds = Map::new();
    macro_rules! each {
        ($($module:ident :: $job:ident,)+) => { $(add_kind::<kinds::$job>(&mut kinds, schemas);)+ };
    }
    crate::for_each_job!(each);
    kinds.into()
}

fn add_kind<J: Job>(kinds: &mut Map<String, Value>, schemas: &mut SchemaGenerator) {
    let kind = json!({
        "channel": { "$ref": format!("#/channels/{}", J::QUEUE.broker_name()) },
        "payload": reference::<J::Payload>(schemas),
        "output": reference::<J::Output>(schemas),
    });
    kinds.insert(J::KIND.to_owned(), kind);
}

fn channels() -> Value {
    let mut channels = Map::new();
    for queue in Queue::ALL {
        let work = format!("Jobs of area {queue} that wait for a worker.");
        let parked =
            format!("Messages of area {queue} that no worker could read, with the reason.");
        for (name, description) in [(queue.broker_name(), work), (queue.parked_name(), parked)] {
            let channel = json!({
                "address": name,
                "description": description,
                "messages": { "job": { "$ref": "#/components/messages/job" } },
                "bindings": { "amqp": {
                    "is": "queue",
                    "queue": { "name": name, "durable": true, "exclusive": false, "autoDelete": false },
                    "bindingVersion": "0.3.0",
                } },
            });
            channels.insert(name.to_owned(), channel);
        }
    }
    let orders = "What workers act on, to every process. It may be lost.";
    channels.insert(EVENTS.to_owned(), events_channel(EVENTS, orders));
    let news = "News about jobs, to every process that somebody may wait at. They may be lost.";
    channels.insert(NEWS.to_owned(), events_channel(NEWS, news));
    channels.into()
}

fn events_channel(exchange: &str, description: &str) -> Value {
    json!({
        "address": exchange,
        "description": description,
        "messages": { "events": { "$ref": "#/components/messages/events" } },
        "bindings": { "amqp": {
            "is": "routingKey",
            "exchange": { "name": exchange, "type": "fanout", "durable": true },
            "bindingVersion": "0.3.0",
        } },
    })
}

fn operations() -> Value {
    let mut operations = Map::new();
    let mut add = |action: &str, name: &str, channel: &str, summary: &str| {
        let channel = json!({ "$ref": format!("#/channels/{channel}") });
        let operation = json!({ "action": action, "channel": channel, "summary": summary });
        operations.insert(format!("{action}.{name}"), operation);
    };
    for queue in Queue::ALL {
        add("send", queue.name(), queue.broker_name(), "The API and the sweep hand out a job.");
        add("receive", queue.name(), queue.broker_name(), "A worker takes a job.");
        let parked = format!("{queue}.parked");
        add("send", &parked, queue.parked_name(), "A worker sets aside what it cannot read.");
    }
    add("send", "events", EVENTS, "Whoever was told to cancel a job, or holds messages, says so.");
    add("receive", "events", EVENTS, "Whoever works on a job stops.");
    add("send", "news", NEWS, "Whoever changed a job says so.");
    add("receive", "news", NEWS, "Whoever waits for a job looks at it again.");
    operations.into()
}

fn job_message(payload: &Value) -> Value {
    json!({
        "name": "job",
        "title": "There may be something to do",
        "contentType": "application/json",
        "headers": { "type": "object", "properties": {
            "traceparent": { "type": "string", "description": "W3C trace context of the request." },
            "x-feat-reason": {
                "type": "string",
                "description": "On a parked queue: why no worker could read it.",
            },
        } },
        "payload": payload,
    })
}

fn events_message(event: &Value) -> Value {
    json!({
        "name": "events",
        "title": "News, gathered while the news before was being sent",
        "contentType": "application/json",
        "payload": { "type": "array", "items": event },
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn written_schemas_are_current() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (path, text) in documents() {
            let written = fs::read_to_string(folder.join(&path)).unwrap_or_default();
            assert!(written == text, "{path} is behind the code: run `cargo xtask schemas`");
        }
    }

    #[test]
    fn every_reference_in_the_asyncapi_document_leads_somewhere() {
        let document = asyncapi();
        let mut references = BTreeSet::new();
        collect_references(&document, &mut references);

        assert!(references.len() > 10, "{references:?}");
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    found.insert(reference.clone());
                }
                members.values().for_each(|member| collect_references(member, found));
            }
            _ => {}
        }
    }
}
