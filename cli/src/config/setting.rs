//! The types that a setting may have, and how each is read from TOML or from a variable's text.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use figment::{error::Kind, value::Value};
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::duration;

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

/// A list of accounts, each a table of its own.
pub(crate) struct Accounts<T>(pub(crate) Vec<T>);

impl<T: DeserializeOwned> Setting for Accounts<T> {
    fn parse(value: &Value) -> Result<Self, String> {
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
        format!("({} accounts)", self.0.len())
    }
}

impl Setting for SocketAddr {
    fn parse(value: &Value) -> Result<Self, String> {
        let expected = "expected an address with a port, such as 0.0.0.0:8080";
        value.as_str().and_then(|text| text.trim().parse().ok()).ok_or_else(|| expected.to_owned())
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
