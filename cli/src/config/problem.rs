//! What is wrong with a configuration: a list, so that one look is enough to mend it.

use std::{fmt, path::Path};

/// One thing to mend, with the place where it stands. Never holds the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    place: Option<String>,
    text: String,
}

impl Problem {
    /// Something wrong at `place`.
    pub(crate) fn at(place: impl fmt::Display, text: impl Into<String>) -> Self {
        Self { place: Some(place.to_string()), text: text.into() }
    }

    /// Something that is not there.
    pub(crate) fn nowhere(text: impl Into<String>) -> Self {
        Self { place: None, text: text.into() }
    }

    /// A file that is not TOML. Says where, and leaves out the line itself: it may hold a secret.
    pub(crate) fn in_file(file: Option<&Path>, error: &figment::Error) -> Self {
        let place = file.map_or_else(|| "configuration".to_owned(), |f| f.display().to_string());
        let text = error.kind.to_string();
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let first = lines.next().unwrap_or("not readable").to_owned();
        Self::at(place, lines.next_back().map_or(first.clone(), |last| format!("{first}: {last}")))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "the configuration has {count} {noun} (feat.example.toml shows every setting):")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl std::error::Error for Problems {}
