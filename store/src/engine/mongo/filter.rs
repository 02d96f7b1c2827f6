//! The port's questions in MongoDB's words.

use bson::{Bson, Document, RawBson, doc};

use crate::query::{Condition, Direction, Field, Value};

/// A field's path in a stored document.
pub(super) fn path(path: Field) -> Field {
    if path == "id" { "_id" } else { path }
}

/// A value in its stored form.
pub(super) fn bson(value: &Value) -> Bson {
    match value {
        Value::Number(number) => Bson::Int64(*number),
        Value::Text(text) => Bson::String(text.clone()),
    }
}

/// The same for raw documents.
pub(super) fn raw(value: &Value) -> RawBson {
    match value {
        Value::Number(number) => RawBson::Int64(*number),
        Value::Text(text) => RawBson::String(text.clone()),
    }
}

fn list(values: &[Value]) -> Vec<Bson> {
    values.iter().map(bson).collect()
}

/// All conditions together.
pub(super) fn filter(conditions: &[Condition]) -> Document {
    let each: Vec<_> = conditions.iter().map(condition).collect();
    if each.is_empty() {
        Document::new()
    } else {
        doc! { "$and": each }
    }
}

fn condition(condition: &Condition) -> Document {
    match condition {
        Condition::Eq(field, value) => doc! { path(field): bson(value) },
        Condition::In(field, values) => doc! { path(field): { "$in": list(values) } },
        Condition::Lt(field, value) => doc! { path(field): { "$lt": bson(value) } },
        Condition::Lte(field, value) => doc! { path(field): { "$lte": bson(value) } },
        Condition::Gt(field, value) => doc! { path(field): { "$gt": bson(value) } },
        Condition::Gte(field, value) => doc! { path(field): { "$gte": bson(value) } },
        Condition::Absent(field) => doc! { path(field): { "$exists": false } },
        Condition::ContainsAll(field, texts) => doc! { path(field): { "$all": texts.clone() } },
        Condition::Overlaps(field, texts) => doc! { path(field): { "$in": texts.clone() } },
    }
}

/// The order of a query, or of an index.
pub(super) fn sort(order: &[(Field, Direction)]) -> Document {
    let number = |direction| match direction {
        Direction::Ascending => 1,
        Direction::Descending => -1,
    };
    order.iter().map(|(field, way)| (path(field).to_owned(), number(*way).into())).collect()
}
