//! The stored form of a record: its serde form with `id` as `_id`, and a revision.

use bson::{RawBsonRef, RawDocument, RawDocumentBuf, cstr};

use crate::{
    StoreError,
    aggregate::Aggregate,
    engine::{Document, MAX_DEPTH, unreadable},
};

use super::read;

/// The stored form of `record`.
pub(in crate::engine) fn encode<A: Aggregate>(record: &A) -> Result<Document, StoreError> {
    let key = record.key();
    let refused = || unreadable::<A>(&key, "MongoDB cannot hold one of its numbers or names");
    let plain = bson::serialize_to_raw_document_buf(record).map_err(|_| refused())?;
    if depth(&plain) > MAX_DEPTH {
        return Err(unreadable::<A>(&key, "nested deeper than 64 levels"));
    }
    let revision = rand::random();
    let mut document = RawDocumentBuf::new();
    for element in &plain {
        let (name, value) = element.map_err(|_| refused())?;
        let name = if name.as_str() == "id" { cstr!("_id") } else { name };
        document.append(name, value);
    }
    document.append(cstr!("revision"), revision);
    Ok(Document { version: record.version(), revision, body: document.into_bytes(), key })
}

/// How deeply a document is nested, counted up to a little above what is allowed.
fn depth(document: &RawDocument) -> usize {
    fn below(value: RawBsonRef<'_>, left: usize) -> usize {
        if left == 0 {
            return 0;
        }
        let items: Box<dyn Iterator<Item = usize> + '_> = match value {
            RawBsonRef::Document(inner) => Box::new(
                inner.iter().filter_map(Result::ok).map(move |(_, value)| below(value, left - 1)),
            ),
            RawBsonRef::Array(inner) => Box::new(
                inner.into_iter().filter_map(Result::ok).map(move |value| below(value, left - 1)),
            ),
            _ => return 0,
        };
        1 + items.max().unwrap_or(0)
    }
    below(RawBsonRef::Document(document), MAX_DEPTH + 1)
}

/// The record with this stored form.
pub(in crate::engine) fn decode<A: Aggregate>(body: &[u8]) -> Result<A, StoreError> {
    let refused = |id: String| StoreError::Unreadable {
        collection: A::COLLECTION.name,
        id,
        reason: "this build does not understand its fields",
    };
    let document = RawDocument::from_bytes(body).map_err(|_| refused(String::new()))?;
    let id = || read::id(body).map_or_else(|| "without an id".to_owned(), |id| id.to_string());
    let mut plain = RawDocumentBuf::new();
    for element in document {
        let (name, value) = element.map_err(|_| refused(id()))?;
        match name.as_str() {
            "_id" => plain.append(cstr!("id"), value),
            "revision" => {}
            _ => plain.append(name, value),
        }
    }
    bson::deserialize_from_slice(plain.as_bytes()).map_err(|_| refused(id()))
}

/// The revision of a stored document.
pub(super) fn revision(document: &RawDocument) -> Option<i64> {
    match document.get("revision") {
        Ok(Some(RawBsonRef::Int64(revision))) => Some(revision),
        _ => None,
    }
}
