//! The SQL of the port's few statements.

use crate::{
    aggregate::{Collection, IdKind, Index},
    query::{Condition, Direction, Field, Query, Value},
};

/// The field at `path`, the same text in statements and indexes: only then an index is used.
/// Paths come from declarations, never from callers.
fn field(path: &str) -> String {
    match path {
        "id" | "owner" => path.to_owned(),
        _ => format!("json_extract(body, '$.{path}')"),
    }
}

/// The statement that makes a collection's table.
pub(super) fn table(collection: &Collection) -> String {
    let name = collection.name;
    let id = match collection.id {
        IdKind::Text => "TEXT",
        IdKind::Number => "INTEGER",
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {name} \
         (id {id} NOT NULL PRIMARY KEY, owner INTEGER, version INTEGER NOT NULL, body TEXT NOT NULL)"
    )
}

/// The name of an index; SQLite has one name space for all tables.
pub(super) fn index_name(collection: &Collection, index: &Index) -> String {
    format!("{}_{}", collection.name, index.name)
}

/// The statement that makes an index.
pub(super) fn index(collection: &Collection, index: &Index) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    let name = index_name(collection, index);
    let (table, fields) = (collection.name, order(index.fields));
    let present = index.present.map(|path| format!(" WHERE {} IS NOT NULL", field(path)));
    let present = present.unwrap_or_default();
    format!("CREATE {unique}INDEX IF NOT EXISTS {name} ON {table} ({fields}){present}")
}

fn order(fields: &[(Field, Direction)]) -> String {
    let each = fields.iter().map(|(path, way)| match way {
        Direction::Ascending => field(path),
        Direction::Descending => format!("{} DESC", field(path)),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// A query for `columns`, and the values of its parameters.
pub(super) fn select(columns: &str, table: &str, query: &Query) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let conditions: Vec<_> =
        query.all.iter().map(|condition| predicate(condition, &mut values)).collect();
    let mut sql = format!("SELECT {columns} FROM {table}");
    if !conditions.is_empty() {
        sql.push_str(" WHERE ");
        sql.push_str(&conditions.join(" AND "));
    }
    if !query.sort.is_empty() {
        sql.push_str(" ORDER BY ");
        sql.push_str(&order(&query.sort));
    }
    let limit = query.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    sql += " LIMIT ? OFFSET ?";
    values.push(Value::Number(limit));
    values.push(Value::Number(i64::try_from(query.offset).unwrap_or(i64::MAX)));
    (sql, values)
}

fn predicate(condition: &Condition, values: &mut Vec<Value>) -> String {
    let mut compare = |path: &str, operator: &str, value: &Value| {
        values.push(value.clone());
        format!("{} {operator} ?", field(path))
    };
    match condition {
        Condition::Eq(path, value) => compare(path, "=", value),
        Condition::Lt(path, value) => compare(path, "<", value),
        Condition::Lte(path, value) => compare(path, "<=", value),
        Condition::Gt(path, value) => compare(path, ">", value),
        Condition::Gte(path, value) => compare(path, ">=", value),
        Condition::Absent(path) => format!("{} IS NULL", field(path)),
        Condition::In(path, options) => {
            values.extend(options.iter().cloned());
            format!("{} IN ({})", field(path), marks(options.len()))
        }
        Condition::Overlaps(path, options) => holds(path, options, values),
        Condition::ContainsAll(path, options) => {
            let each = options.iter().map(|one| holds(path, std::slice::from_ref(one), values));
            let each: Vec<_> = each.collect();
            if each.is_empty() { "1".to_owned() } else { each.join(" AND ") }
        }
    }
}

fn holds(path: &str, options: &[String], values: &mut Vec<Value>) -> String {
    values.extend(options.iter().map(|option| Value::Text(option.clone())));
    let marks = marks(options.len());
    format!(
        "EXISTS (SELECT 1 FROM json_each(body, '$.{path}') AS held WHERE held.value IN ({marks}))"
    )
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}
