//! Where settings come from: `feat.toml`, then `FEAT_…` variables, which win.
//!
//! A variable names its setting with `__` between the parts: `FEAT_MONGODB__URL` is `mongodb.url`.
//! Its text is taken as it is, so a password made of digits stays a password.

use std::path::Path;

use figment::{
    Error, Figment, Metadata, Profile, Provider,
    providers::{Format, Toml},
    util::nest,
    value::{Dict, Map, Value},
};

use super::problem::Problem;

const PREFIX: &str = "FEAT_";
const DIVIDER: &str = "__";

/// Variables that mean something although they are no settings.
const OTHERS: [&str; 3] = ["FEAT_CONFIG", "FEAT_DATA", "FEAT_LOG"];

/// The address of `feat dev`.
const DEV_LISTEN: &str = "FEAT_LISTEN";

/// Every value that was set, each with the place it came from.
#[derive(Debug)]
pub(crate) struct Sources {
    figment: Figment,
    values: Dict,
    /// Variables without a divider, which are no settings but may be misspelt ones.
    plain_variables: Vec<String>,
}

impl Sources {
    /// Reads `file`, when there is one, and the `FEAT_…` ones of `variables`.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is not TOML: nothing more can be said about its settings.
    pub(crate) fn read(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problem> {
        let mut figment = Figment::new();
        if let Some(path) = file {
            std::fs::File::open(path)
                .map_err(|error| Problem::at(path.display(), format!("cannot read it: {error}")))?;
            figment = figment.merge(Toml::file_exact(path));
        }
        let mut plain_variables = Vec::new();
        for (name, text) in variables {
            match setting_of(&name) {
                Some(key) => figment = figment.merge(Variable { name, key, text }),
                None if name.starts_with(PREFIX) => plain_variables.push(name),
                None => {}
            }
        }
        let values = figment.data().map_err(|error| Problem::in_file(file, &error))?;
        let values = values.get(&Profile::Default).cloned().unwrap_or_default();
        Ok(Self { figment, values, plain_variables })
    }

    /// What `key` (parts joined by dots) was set to.
    pub(crate) fn find(&self, key: &str) -> Option<&Value> {
        let mut parts = key.split('.');
        let mut value = self.values.get(parts.next()?)?;
        for part in parts {
            value = value.as_dict()?.get(part)?;
        }
        Some(value)
    }

    /// Where `value` came from, for people.
    pub(crate) fn place(&self, value: &Value) -> String {
        let Some(metadata) = self.figment.get_metadata(value.tag()) else {
            return "configuration".to_owned();
        };
        match &metadata.source {
            Some(source) => source.to_string(),
            None => metadata.name.to_string(),
        }
    }

    /// Every key that was set, with its value, in alphabetical order.
    pub(crate) fn leaves(&self) -> Vec<(String, &Value)> {
        let mut leaves = Vec::new();
        gather(&self.values, "", &mut leaves);
        leaves
    }

    /// What to say of `FEAT_…` variables that do nothing here, a line for each.
    pub(crate) fn idle_variables(&self) -> Vec<String> {
        let names = self.plain_variables.iter().map(String::as_str);
        let idle = names.filter(|name| !OTHERS.contains(name) && !is_of_an_orchestrator(name));
        let line = |name| match name {
            DEV_LISTEN => format!("{name} is for `feat dev`; here write FEAT_API__LISTEN"),
            _ => format!("{name} is no setting and does nothing"),
        };
        idle.map(line).collect()
    }

    /// `FEAT_…` variables that name no setting because they have no `__`.
    pub(crate) fn plain_variables(&self) -> &[String] {
        &self.plain_variables
    }
}

/// Whether an orchestrator makes such a variable for a service that is called `feat…`.
fn is_of_an_orchestrator(name: &str) -> bool {
    name.contains("_SERVICE_") || name.ends_with("_PORT") || name.contains("_PORT_")
}

fn gather<'v>(values: &'v Dict, above: &str, leaves: &mut Vec<(String, &'v Value)>) {
    for (name, value) in values {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value.as_dict() {
            Some(below) => gather(below, &key, leaves),
            None => leaves.push((key, value)),
        }
    }
}

/// The setting that variable `name` holds: `FEAT_MONGODB__URL` holds `mongodb.url`.
fn setting_of(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?;
    rest.contains(DIVIDER).then(|| rest.to_lowercase().replace(DIVIDER, "."))
}

/// The variable that holds setting `key`.
pub(crate) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', DIVIDER))
}

/// What this machine is called, for the names of workers.
pub(super) fn host_name() -> String {
    let file = || std::fs::read_to_string("/etc/hostname").ok();
    let name = std::env::var("HOSTNAME").ok().or_else(file).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "worker".to_owned() } else { name.to_owned() }
}

/// One environment variable, as a layer of its own so that a problem can name it.
struct Variable {
    name: String,
    key: String,
    text: String,
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("variable {}", self.name))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let value = nest(&self.key, Value::from(self.text.as_str()));
        Ok(Profile::Default.collect(value.into_dict().unwrap_or_default()))
    }
}
