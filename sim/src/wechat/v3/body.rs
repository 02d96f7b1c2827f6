//! The fields of JSON bodies and of queries, checked one by one.

use serde_json::Value;

use super::{Call, Problem};

/// A JSON object out of a request.
pub(super) struct Body(Value);

impl Body {
    pub(super) fn read(call: &Call<'_>) -> Result<Self, Problem> {
        let value: Value = serde_json::from_slice(&call.request.body).map_err(|error| {
            Problem::new(400, "PARAM_ERROR", format!("请求体不是 JSON：{error}"))
        })?;
        if value.is_object() {
            Ok(Self(value))
        } else {
            Err(Problem::new(400, "PARAM_ERROR", "请求体不是 JSON 对象"))
        }
    }

    /// The value at a JSON pointer, unless it is absent or null.
    pub(super) fn get(&self, field: &str) -> Option<&Value> {
        self.0.pointer(field).filter(|value| !value.is_null())
    }

    /// A problem with the value at `field`.
    pub(super) fn bad(&self, field: &str, issue: &str) -> Problem {
        Problem::field(field, self.get(field).unwrap_or(&Value::Null), issue, "body")
    }

    /// A text of at most `longest` bytes, not empty.
    pub(super) fn optional(&self, field: &str, longest: usize) -> Result<Option<String>, Problem> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.bad(field, "is not a string"))?;
        if text.is_empty() {
            return Err(self.bad(field, "is empty"));
        }
        if text.len() > longest {
            return Err(self.bad(field, &format!("is longer than {longest} bytes")));
        }
        Ok(Some(text.to_owned()))
    }

    /// The same, and it must be there.
    pub(super) fn text(&self, field: &str, longest: usize) -> Result<String, Problem> {
        self.optional(field, longest)?.ok_or_else(|| self.bad(field, "is missing"))
    }

    /// A whole amount in fen, 1 or more.
    pub(super) fn amount(&self, field: &str) -> Result<i64, Problem> {
        let value = self.get(field).ok_or_else(|| self.bad(field, "is missing"))?;
        value
            .as_i64()
            .filter(|amount| *amount >= 1)
            .ok_or_else(|| self.bad(field, "is not a whole number of fen, 1 or more"))
    }

    /// The merchant number in the body, which must be the signer's.
    pub(super) fn merchant(&self, call: &Call<'_>) -> Result<(), Problem> {
        if self.text("/mchid", 32)? == call.account.mchid() {
            Ok(())
        } else {
            Err(self.bad("/mchid", "is not the merchant who signed"))
        }
    }
}

/// A parameter of the query that must be there.
pub(super) fn query(call: &Call<'_>, name: &str) -> Result<String, Problem> {
    query_optional(call, name)
        .ok_or_else(|| Problem::field(name, &Value::Null, "is missing", "query"))
}

/// A parameter of the query.
pub(super) fn query_optional(call: &Call<'_>, name: &str) -> Option<String> {
    call.request.query_pairs().remove(name).filter(|value| !value.is_empty())
}
