//! Payment accounts in the form of a settings file.

use serde_json::Value;

/// The section `payments` of `feat.toml`, from the same in JSON.
#[must_use]
pub fn section(payments: &Value) -> String {
    let accounts = payments.as_object().into_iter().flatten();
    let lines = accounts.map(|(name, accounts)| format!("{name} = {}\n", inline(accounts)));
    format!("[payments]\n{}", lines.collect::<String>())
}

/// A value on one line. Texts are written as in JSON, which TOML reads alike.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let given = members.iter().filter(|(_, value)| !value.is_null());
            let pairs = given.map(|(name, value)| format!("{name} = {}", inline(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Array(values) => {
            format!("[{}]", values.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        plain => plain.to_string(),
    }
}
