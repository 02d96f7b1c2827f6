//! Reads one setting after the other and notes everything that is wrong, instead of stopping.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, path::Path};

use secrecy::SecretString;

use super::{
    problem::{Problem, Problems},
    setting::Setting,
    sources::{Sources, variable_of},
};

/// Letters in which a misspelt key differs from the right one, however short it is.
const MISSPELT: usize = 2;

/// How much a command wants a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// It cannot do without.
    Must,
    /// It uses it when it is there.
    May,
    /// It is for other processes: checked as far as that needs no secret to be read.
    Not,
}

impl Need {
    /// The same need, or at most [`Self::Not`] when the setting is beside the point.
    pub(super) fn only_if(self, matters: bool) -> Self {
        if matters { self } else { Self::Not }
    }
}

/// What a process makes of one setting, for `feat config`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Effective {
    /// Its value as text; secrets show as `(secret)`, absent ones are empty.
    pub(crate) value: String,
    /// Where the value came from.
    pub(crate) source: String,
}

/// Reads settings from [`Sources`], and gathers the problems and the effective values.
pub(crate) struct Reader<'s> {
    sources: &'s Sources,
    problems: Vec<Problem>,
    seen: BTreeMap<String, Effective>,
}

impl<'s> Reader<'s> {
    pub(crate) const fn new(sources: &'s Sources) -> Self {
        Self { sources, problems: Vec::new(), seen: BTreeMap::new() }
    }

    /// The setting `key`, or nothing when it is not set or wrong.
    pub(crate) fn optional<T: Setting>(&mut self, key: &str) -> Option<T> {
        self.note(key, "", "not set");
        let value = self.sources.find(key)?;
        let place = self.sources.place(value);
        match T::parse(value) {
            Ok(setting) => {
                self.note(key, setting.shown(), place);
                Some(setting)
            }
            Err(expected) => {
                self.problems.push(Problem::at(place, format!("{key}: {expected}")));
                None
            }
        }
    }

    /// The setting `key`; not having it is a problem when it [`Need::Must`] be there.
    pub(crate) fn required<T: Setting>(&mut self, key: &str, need: Need) -> Option<T> {
        let setting = self.optional(key);
        self.miss_unless_set(key, need, "");
        setting
    }

    /// The setting `key`, or `default` when it is not set.
    pub(crate) fn or<T: Setting>(&mut self, key: &str, default: T) -> T {
        if let Some(setting) = self.optional(key) {
            return setting;
        }
        self.note(key, default.shown(), "default");
        default
    }

    /// The number `key`, or `default`; a number outside `range` is a problem.
    pub(crate) fn number(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let number = self.or(key, default);
        self.expect(key, range.contains(&number), || {
            format!("expected a number from {} to {}", range.start(), range.end())
        });
        number
    }

    /// The secret `key`, or the content of the file that `key` + `_file` names.
    pub(crate) fn secret(&mut self, key: &str, need: Need) -> Option<SecretString> {
        let file_key = format!("{key}_file");
        let plain = self.optional::<SecretString>(key);
        let file = self.optional::<std::path::PathBuf>(&file_key);
        let both = self.sources.find(key).is_some() && self.sources.find(&file_key).is_some();
        if both {
            let text = format!("set one of {key} and {file_key}, not both");
            self.problems.push(Problem::nowhere(text));
        }
        if self.sources.find(&file_key).is_none() {
            self.miss_unless_set(key, need, &format!("; or name a file with it as {file_key}"));
        }
        match file {
            Some(_) if need == Need::Not => None,
            Some(path) => self.secret_in(&file_key, &path),
            None => plain,
        }
    }

    /// Notes a problem with `key` (or the file that holds it), wherever it was set, unless `holds`.
    pub(crate) fn expect(&mut self, key: &str, holds: bool, text: impl FnOnce() -> String) {
        if !holds {
            let file_key = format!("{key}_file");
            let value = self.sources.find(key).or_else(|| self.sources.find(&file_key));
            let place = value.map(|value| self.sources.place(value));
            let place = place.unwrap_or_else(|| "default".to_owned());
            self.problems.push(Problem::at(place, format!("{key}: {}", text())));
        }
    }

    /// Every setting that was read, by key; and everything wrong with them.
    pub(crate) fn finish(mut self) -> (BTreeMap<String, Effective>, Problems) {
        for (key, value) in self.sources.leaves() {
            if !self.seen.contains_key(&key) {
                self.problems
                    .push(Problem::at(self.sources.place(value), unknown(&self.seen, &key)));
            }
        }
        for name in self.sources.plain_variables() {
            let meant = self.seen.keys().map(|key| variable_of(key));
            if let Some(meant) = meant.into_iter().find(|v| v.replace("__", "_") == *name) {
                let text = format!("write {meant}, with two underscores between the parts");
                self.problems.push(Problem::at(format!("variable {name}"), text));
            }
        }
        (self.seen, Problems(self.problems))
    }

    fn secret_in(&mut self, key: &str, path: &Path) -> Option<SecretString> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                self.expect(key, false, || format!("cannot read {}: {error}", path.display()));
                return None;
            }
        };
        let secret = text.trim();
        self.expect(key, !secret.is_empty(), || format!("{} is empty", path.display()));
        Some(SecretString::from(secret))
    }

    fn miss_unless_set(&mut self, key: &str, need: Need, or_file: &str) {
        if need == Need::Must && self.sources.find(key).is_none() {
            let variable = variable_of(key);
            let text = format!("{key} is missing: set it in feat.toml or as {variable}{or_file}");
            self.problems.push(Problem::nowhere(text));
        }
    }

    fn note(&mut self, key: &str, value: impl fmt::Display, source: impl fmt::Display) {
        let effective = Effective { value: value.to_string(), source: source.to_string() };
        self.seen.insert(key.to_owned(), effective);
    }
}

/// A line about a key that no setting has, with the likeliest one that was meant: the one that is
/// spelt alike, or else the only one with the same last part.
fn unknown(known: &BTreeMap<String, Effective>, key: &str) -> String {
    let alike = known.keys().map(|k| (strsim::levenshtein(k, key), k)).min();
    let alike = alike.filter(|(distance, _)| *distance <= MISSPELT.max(key.len() / 5));
    let last = |text: &str| text.rsplit('.').next().unwrap_or(text).to_owned();
    let mut misplaced = known.keys().filter(|k| last(k) == last(key));
    let misplaced = misplaced.next().filter(|_| misplaced.next().is_none());
    match alike.map(|(_, meant)| meant).or(misplaced) {
        Some(meant) => format!("{key} is no setting; did you mean {meant}?"),
        None => format!("{key} is no setting"),
    }
}
