//! The form of messages on the wire.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use schemas::{JobRecord, Queue};

use super::publisher::Letter;

/// Header that says why a message was set aside.
const REASON: &str = "x-feat-reason";
/// Header with which the server says why it set a message aside by itself.
const SERVER_REASON: &str = "x-first-death-reason";
/// The longest reason, in bytes.
const MAX_REASON: usize = 1_000;
/// Survives a restart of the server.
const PERSISTENT: u8 = 2;

fn properties(headers: FieldTable) -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers)
}

/// A short string holds 255 bytes; what does not fit is left out.
fn short(text: &str) -> ShortString {
    ShortString::try_new(text).unwrap_or_default()
}

/// The message of `job`: its id, its kind and, if it began with a traced request, the trace.
pub(super) fn job(job: &JobRecord, body: Vec<u8>) -> Letter {
    let mut headers = FieldTable::default();
    if let Some(parent) = &job.trace_parent {
        headers.insert("traceparent".into(), AMQPValue::LongString(parent.as_str().into()));
    }
    let properties =
        properties(headers).with_message_id(short(&job.id.to_string())).with_type(short(&job.kind));
    Letter { queue: job.queue.broker_name().into(), body, properties }
}

/// `body`, set aside with `reason`.
pub(super) fn parked(queue: Queue, body: Vec<u8>, reason: &str) -> Letter {
    let end = reason.floor_char_boundary(MAX_REASON);
    let mut headers = FieldTable::default();
    headers.insert(REASON.into(), AMQPValue::LongString(reason[..end].into()));
    Letter { queue: queue.parked_name().into(), body, properties: properties(headers) }
}

/// Why a message was set aside, by a worker or by the server.
pub(super) fn reason(properties: &BasicProperties) -> String {
    let headers = properties.headers().as_ref().map(FieldTable::inner);
    let header = |name: &str| match headers?.get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    };
    header(REASON).or_else(|| header(SERVER_REASON)).unwrap_or_else(|| "not said".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        let long = "x".repeat(MAX_REASON - 1) + "é";
        let cut = reason(&parked(Queue::Images, Vec::new(), &long).properties);

        assert_eq!(cut, "x".repeat(MAX_REASON - 1));
        assert_eq!(reason(&BasicProperties::default()), "not said");
    }
}
