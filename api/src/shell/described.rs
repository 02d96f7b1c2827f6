//! What the OpenAPI document says beyond poem-openapi: the closed list of error codes, and the
//! spelling of types and headers that replies really have.

use schemas::ErrorCode;
use serde_json::{Map, Value};

/// poem-openapi's name for JSON; replies have the short one, which needs no charset (RFC 8259,
/// section 11).
const LONG_JSON: &str = "application/json; charset=utf-8";
const JSON: &str = "application/json";

/// Brings `document` to its final form.
pub(super) fn complete(document: &mut Value) {
    let operations = document["paths"].as_object_mut().into_iter().flatten();
    let operations = operations.filter_map(|(_, methods)| methods.as_object_mut()).flatten();
    for (_, operation) in operations {
        let replies = operation["responses"].as_object_mut().into_iter().flatten();
        for (_, reply) in replies {
            if let Some(content) = reply["content"].as_object_mut()
                && let Some(body) = content.remove(LONG_JSON)
            {
                content.insert(JSON.to_owned(), body);
            }
            if let Some(headers) = reply["headers"].as_object_mut() {
                *headers = std::mem::take(headers).into_iter().map(usually_spelt).collect();
            }
        }
    }
    list_codes(&mut document["components"]["schemas"]["Error"]["properties"]["code"]);
}

/// `RETRY-AFTER` becomes `Retry-After`.
fn usually_spelt((name, header): (String, Value)) -> (String, Value) {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_owned() + &rest.to_ascii_lowercase()
    };
    (name.split('-').map(word).collect::<Vec<_>>().join("-"), header)
}

fn list_codes(code: &mut Value) {
    let rows = ErrorCode::ALL.iter().map(|code| {
        let (name, status, meaning) = (code.name(), code.status(), code.meaning());
        format!("| `{name}` | {status} | {meaning} |\n")
    });
    let table: String = rows.collect();
    let names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
    *code = Value::Object(Map::from_iter([
        ("type".to_owned(), "string".into()),
        ("enum".to_owned(), names.into()),
        (
            "description".to_owned(),
            format!(
                "Machine code; the list is closed.\n\n| code | status | |\n|---|---|---|\n{table}"
            )
            .into(),
        ),
    ]));
}
