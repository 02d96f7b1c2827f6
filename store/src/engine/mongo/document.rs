//! The stored form of a record: its serde form with `id` as `_id`, and a revision.

use std::ops::Range;

use bson::{RawBsonRef, RawDocument, RawDocumentBuf, cstr, spec::ElementType};

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
    let id = element(&plain, "id").ok_or_else(refused)?;
    let mut body = plain.into_bytes();
    body.reserve(1 + REVISION);
    body.insert(id.start + 1, b'_');
    let mut document = sized(body).ok_or_else(refused)?;
    let revision = rand::random();
    document.append(cstr!("revision"), revision);
    Ok(Document { version: record.version(), revision, body: document.into_bytes(), key })
}

/// Bytes of a revision: its type, its name with the NUL, a number.
const REVISION: usize = 1 + "revision".len() + 1 + 8;

/// Where in the bytes of `document` the first element called `name` lies, from its type on.
fn element(document: &RawDocument, name: &str) -> Option<Range<usize>> {
    // The length of the document comes first.
    let mut start = 4;
    for element in document.iter_elements() {
        let element = element.ok()?;
        // A type, the name with its NUL, the value.
        let end = start + 1 + element.key().len() + 1 + element.size();
        if element.key().as_str() == name {
            return Some(start..end);
        }
        start = end;
    }
    None
}

/// The document of these bytes, whose length was changed.
fn sized(mut body: Vec<u8>) -> Option<RawDocumentBuf> {
    let length = i32::try_from(body.len()).ok()?;
    body.get_mut(..4)?.copy_from_slice(&length.to_le_bytes());
    RawDocumentBuf::from_bytes(body).ok()
}

/// How deeply a document is nested, counted up to a little above what is allowed.
fn depth(document: &RawDocument) -> usize {
    fn below(value: RawBsonRef<'_>, left: usize) -> usize {
        if left == 0 {
            return 0;
        }
        let elements = match value {
            RawBsonRef::Document(inner) => inner.iter_elements(),
            RawBsonRef::Array(inner) => inner.iter_elements(),
            _ => return 0,
        };
        let nested = elements.filter_map(Result::ok).filter(|element| {
            matches!(element.element_type(), ElementType::EmbeddedDocument | ElementType::Array)
        });
        let depths = nested.filter_map(|element| element.value().ok());
        1 + depths.map(|value| below(value, left - 1)).max().unwrap_or(0)
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
    let id = || read::id(body).map_or_else(|| "without an id".to_owned(), |id| id.to_string());
    let document = RawDocument::from_bytes(body).map_err(|_| refused(String::new()))?;
    let plain = plain(document.to_owned()).ok_or_else(|| refused(id()))?;
    bson::deserialize_from_slice(plain.as_bytes()).map_err(|_| refused(id()))
}

/// The serde form of a stored record.
fn plain(stored: RawDocumentBuf) -> Option<RawDocumentBuf> {
    let (id, revision) = (element(&stored, "_id"), element(&stored, "revision"));
    let mut body = stored.into_bytes();
    // From behind, so that what is removed moves nothing that is still to be found.
    let mut gone: Vec<_> = revision.into_iter().collect();
    gone.extend(id.map(|id| id.start + 1..id.start + 2));
    gone.sort_by_key(|range| std::cmp::Reverse(range.start));
    for range in gone {
        body.drain(range);
    }
    sized(body)
}

/// The revision of a stored document.
pub(super) fn revision(document: &RawDocument) -> Option<i64> {
    match document.get("revision") {
        Ok(Some(RawBsonRef::Int64(revision))) => Some(revision),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use schemas::{
        JobRecord, Timestamp, UserId,
        id::ImageId,
        job::NewJob,
        kinds::{ImageDelete, image_delete::ImageDeletion},
    };
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_record_itself_has_its_id_renamed_and_a_revision() {
        let payload = ImageDeletion { image: ImageId::generate() };
        let new = NewJob::of::<ImageDelete>(UserId::FEAT, &payload).unwrap();
        let mut job = JobRecord::accept(new, "api", Timestamp::now());
        job.payload = json!({ "id": "a", "_id": "b", "revision": "c", "in": [{ "id": "d" }] });
        let encoded = encode(&job).unwrap();

        let stored = bson::deserialize_from_slice::<bson::Document>(&encoded.body).unwrap();
        assert_eq!(stored.get_str("_id").unwrap(), job.id.to_string());
        assert!(!stored.contains_key("id"));
        assert_eq!(stored.get_i64("revision").unwrap(), encoded.revision);
        let nested = bson::serialize_to_document(&job.payload).unwrap();
        assert_eq!(*stored.get_document("payload").unwrap(), nested);

        assert_eq!(decode::<JobRecord>(&encoded.body).unwrap(), job);
        let fields: Vec<_> = stored.into_iter().collect();
        let backwards: bson::Document = fields.into_iter().rev().collect();
        let backwards = bson::serialize_to_vec(&backwards).unwrap();
        assert_eq!(decode::<JobRecord>(&backwards).unwrap(), job, "in any order");
        assert!(decode::<JobRecord>(&encoded.body[..encoded.body.len() - 1]).is_err());
    }
}
