//! The types that a setting may have, and how each is read from TOML or from a variable's text.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use api::Quota;
use figment::{error::Kind, value::Value};
use schemas::BundleId;
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::duration;
use crate::address;

/// A type that one setting can have.
pub(crate) trait Setting: Sized {
    /// Reads it from a TOML value or from text.
    ///
    /// # Errors
    ///
    /// What was expected instead; never the value itself, which may be a misplaced secret.
    fn parse(value: &Value) -> Result<Self, String>;

    /// The text for `feat config`; secrets hide here.
    fn shown(&self) -> String;
}

impl Setting for String {
    fn parse(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            _ => Err("expected a text that is not empty".to_owned()),
        }
    }

    fn shown(&self) -> String {
        self.clone()
    }
}

impl Setting for SecretString {
    fn parse(value: &Value) -> Result<Self, String> {
        String::parse(value).map(Self::from)
    }

    fn shown(&self) -> String {
        "(secret)".to_owned()
    }
}

impl Setting for PathBuf {
    fn parse(value: &Value) -> Result<Self, String> {
        String::parse(value).map(Self::from)
    }

    fn shown(&self) -> String {
        self.display().to_string()
    }
}

/// A list of accounts or endpoints, each a table of its own.
pub(crate) struct Accounts<T>(pub(crate) Vec<T>);

impl<T: DeserializeOwned> Setting for Accounts<T> {
    fn parse(value: &Value) -> Result<Self, String> {
        if value.as_array().is_none() {
            return Err("expected a list of tables, [[…]], which only the file can hold".to_owned());
        }
        value.deserialize::<Vec<T>>().map(Self).map_err(|error| {
            // Only names are told: a value may be a misplaced secret.
            let place = error.path.join(".");
            let what = match &error.kind {
                Kind::MissingField(name) => format!("{name} is missing"),
                Kind::UnknownField(name, known) => {
                    format!("{name} is no setting; there are {}", known.join(", "))
                }
                _ => "is not of the expected form".to_owned(),
            };
            if place.is_empty() { what } else { format!("{place}: {what}") }
        })
    }

    fn shown(&self) -> String {
        format!("({} of them)", self.0.len())
    }
}

impl Setting for SocketAddr {
    fn parse(value: &Value) -> Result<Self, String> {
        address::listen(value.as_str().unwrap_or_default())
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Setting for BundleId {
    fn parse(value: &Value) -> Result<Self, String> {
        let app = value.as_str().and_then(|text| text.trim().parse().ok());
        app.ok_or_else(|| "expected a bundle id such as com.example.notes".to_owned())
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Setting for Duration {
    fn parse(value: &Value) -> Result<Self, String> {
        duration::parse(value.as_str().unwrap_or_default()).map_err(|error| error.to_string())
    }

    fn shown(&self) -> String {
        duration::text(*self)
    }
}

impl Setting for bool {
    fn parse(value: &Value) -> Result<Self, String> {
        let written = value.as_str().and_then(|text| text.trim().parse().ok());
        value.to_bool().or(written).ok_or_else(|| "expected true or false".to_owned())
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Setting for u64 {
    fn parse(value: &Value) -> Result<Self, String> {
        let expected = || "expected a whole number, 0 or more".to_owned();
        let written = value.as_str().and_then(|text| text.trim().parse().ok());
        let number = value.to_u128().and_then(|n| Self::try_from(n).ok());
        let signed = value.to_i128().and_then(|n| Self::try_from(n).ok());
        written.or(number).or(signed).ok_or_else(expected)
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

/// A list of texts: a TOML array, or one text with commas.
impl Setting for Vec<String> {
    fn parse(value: &Value) -> Result<Self, String> {
        let expected = || "expected a list of texts".to_owned();
        if let Some(items) = value.as_array() {
            return items
                .iter()
                .map(String::parse)
                .collect::<Result<_, _>>()
                .map_err(|_| expected());
        }
        let text = value.as_str().ok_or_else(expected)?;
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Ok(items.map(str::to_owned).collect())
    }

    fn shown(&self) -> String {
        self.join(", ")
    }
}

/// A limit of requests, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Option<Quota>);

impl Setting for Limit {
    fn parse(value: &Value) -> Result<Self, String> {
        let expected =
            || "expected requests and a span from 1s to 1d, such as 600/1m, or \"off\"".to_owned();
        let text = value.as_str().ok_or_else(expected)?.trim();
        if text == "off" {
            return Ok(Self(None));
        }
        let (requests, window) = text.split_once('/').ok_or_else(expected)?;
        let requests = requests.trim().parse().ok().filter(|requests| *requests > 0);
        let window = duration::parse(window).ok();
        let window = window
            .filter(|window| (Duration::from_secs(1)..=Duration::from_hours(24)).contains(window));
        match (requests, window) {
            (Some(requests), Some(window)) => Ok(Self(Some(Quota { requests, window }))),
            _ => Err(expected()),
        }
    }

    fn shown(&self) -> String {
        match self.0 {
            Some(quota) => format!("{}/{}", quota.requests, duration::text(quota.window)),
            None => "off".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_requests_in_a_span_or_none() {
        let cases = [
            ("a minute", "600/1m", Some("600/1m")),
            ("blanks", " 5 / 10s ", Some("5/10s")),
            ("none", "off", Some("off")),
            ("no requests", "0/1m", None),
            ("no span", "600", None),
            ("too short a span", "600/10ms", None),
            ("too long a span", "600/2d", None),
            ("negative", "-1/1m", None),
        ];
        for (name, text, expected) in cases {
            let limit = Limit::parse(&Value::from(text));
            assert_eq!(limit.ok().map(|limit| limit.shown()).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_list_is_an_array_or_has_commas() {
        let list = |value: Value| Vec::<String>::parse(&value);
        let both = Ok(vec!["a".to_owned(), "b".to_owned()]);

        assert_eq!(list(Value::from("a, b,")), both);
        assert_eq!(list(Value::from(vec!["a", "b"])), both);
        assert_eq!(list(Value::from("")), Ok(vec![]));
        assert!(list(Value::from(5)).is_err());
        assert!(list(Value::from(vec![5])).is_err());
    }
}
