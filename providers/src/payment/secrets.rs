//! Where a secret comes from, and its content without ever printing it.

use std::{fs::File, io::Read, path::PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use serde::Deserialize;

/// Largest secret or certificate file, in bytes.
const MAX_BYTES: u64 = 256 * 1024;

/// Where a secret or a certificate comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A file, read again when it changes.
    File(PathBuf),
    /// An environment variable of this process.
    Env(String),
    /// The settings themselves.
    Value(SecretString),
}

impl Source {
    /// The text there, without white space around it.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without its content.
    pub(crate) fn text(&self) -> Result<SecretString, String> {
        match self {
            Self::File(path) => {
                let bytes = read(path)?;
                let text = std::str::from_utf8(bytes.expose_secret())
                    .map_err(|_| format!("{} is no text", path.display()))?;
                filled(text, &path.display().to_string())
            }
            Self::Env(name) => {
                let text = SecretString::from(
                    std::env::var(name).map_err(|_| format!("variable {name} is not set"))?,
                );
                filled(text.expose_secret(), &format!("variable {name}"))
            }
            Self::Value(text) => filled(text.expose_secret(), "the value"),
        }
    }

    /// The bytes there: of a file as they are, elsewhere from base64.
    ///
    /// # Errors
    ///
    /// What is wrong with them, without their content.
    pub(crate) fn bytes(&self) -> Result<SecretSlice<u8>, String> {
        match self {
            Self::File(path) => read(path),
            Self::Env(_) | Self::Value(_) => {
                let text = self.text()?;
                let bytes = STANDARD.decode(text.expose_secret().replace(['\n', '\r'], ""));
                bytes.map(SecretSlice::from).map_err(|_| "expected base64".to_owned())
            }
        }
    }
}

fn filled(text: &str, place: &str) -> Result<SecretString, String> {
    match text.trim() {
        "" => Err(format!("{place} is empty")),
        text => Ok(SecretString::from(text)),
    }
}

fn read(path: &PathBuf) -> Result<SecretSlice<u8>, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("{} is too large", path.display()));
    }
    Ok(SecretSlice::from(bytes))
}
