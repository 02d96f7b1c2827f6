//! The configuration of the distributed processes: read once, checked as a whole.
//!
//! `feat.toml` and `FEAT_…` variables are layers ([`sources`]); every setting is read in one place
//! of [`groups`], which is also how unknown ones are told; whatever is wrong is reported together
//! ([`problem`]). There is no default for a secret or for the address of an outside service.

mod accounts;
mod apns;
mod bills;
mod devices;
pub(crate) mod duration;
mod edge;
mod groups;
mod problem;
mod reader;
mod setting;
mod sources;
mod telemetry;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

pub(crate) use accounts::PayPart;
pub(crate) use apns::ApnsPart;
pub(crate) use devices::Devices;
pub(crate) use groups::{ApiPart, FileStore, MongoDb, Process, WorkerPart};
pub(crate) use problem::{Problem, Problems};
pub(crate) use reader::Effective;

use groups::{Groups, Needs};
use providers::payment::PaymentSettings;
use reader::{Need, Reader};
use schemas::Channel;
use sources::Sources;

/// The file that is read when no other is named.
const DEFAULT_FILE: &str = "feat.toml";

const API: Needs = Needs {
    mongodb: Need::Must,
    rabbitmq: Need::Must,
    files: Need::Must,
    api: Need::Must,
    apns: Need::Not,
};
const WORKER: Needs = Needs { api: Need::Not, apns: Need::Must, ..API };
const OPERATOR: Needs = Needs {
    mongodb: Need::Must,
    rabbitmq: Need::May,
    files: Need::Not,
    api: Need::Not,
    apns: Need::Not,
};

const ANY: Needs = Needs {
    mongodb: Need::May,
    rabbitmq: Need::May,
    files: Need::May,
    api: Need::May,
    apns: Need::May,
};

/// The configuration as it was found, before it is known what it is needed for.
#[derive(Debug)]
pub(crate) struct Config {
    sources: Sources,
}

/// What operators' commands need.
pub(crate) struct Operator {
    /// Where the records are.
    pub(crate) mongodb: MongoDb,
    /// The broker, when one is configured.
    pub(crate) rabbitmq: Option<secrecy::SecretString>,
    /// Who is paid, where.
    pub(crate) merchants: BTreeSet<(Channel, String)>,
}

/// What is more than values.
pub(crate) struct Parts {
    /// Who is paid, and the keys.
    pub(crate) accounts: PaymentSettings,
    /// The way to Apple, if it is told.
    pub(crate) apns: Option<ApnsPart>,
    /// Among others the webhooks.
    pub(crate) devices: Devices,
}

impl Config {
    /// Reads `file`, or `./feat.toml` when there is one, and this process's variables.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is not TOML.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, Problems> {
        let default = || Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists());
        let file = file.map(Path::to_owned).or_else(default);
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::from(file.as_deref(), variables)
    }

    /// Reads `file` and `variables`.
    fn from(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let sources = Sources::read(file, variables).map_err(|problem| Problems(vec![problem]))?;
        Ok(Self { sources })
    }

    /// Whether a database is configured, rightly or not.
    pub(crate) fn has_database(&self) -> bool {
        ["mongodb.url", "mongodb.url_file"].iter().any(|key| self.sources.find(key).is_some())
    }

    /// The settings of `feat api`, or everything wrong with them.
    pub(crate) fn api(&self) -> Result<(Process, ApiPart), Problems> {
        let (groups, problems, _) = self.read(API);
        match (groups.process(), groups.api) {
            (Some(process), Some(api)) if problems.0.is_empty() => {
                Ok((Process { idle_variables: self.idle_variables(), ..process }, api))
            }
            _ => Err(problems),
        }
    }

    /// The settings of `feat worker`, or everything wrong with them.
    pub(crate) fn worker(&self) -> Result<(Process, WorkerPart), Problems> {
        let (groups, problems, _) = self.read(WORKER);
        match groups.process() {
            Some(process) if problems.0.is_empty() => {
                Ok((Process { idle_variables: self.idle_variables(), ..process }, groups.worker))
            }
            _ => Err(problems),
        }
    }

    /// The settings of commands for operators, or everything wrong with them.
    pub(crate) fn operator(&self) -> Result<Operator, Problems> {
        let (groups, problems, _) = self.read(OPERATOR);
        match groups.mongodb {
            Some(mongodb) if problems.0.is_empty() => {
                let merchants = groups.accounts.merchants();
                Ok(Operator { mongodb, rabbitmq: groups.rabbitmq, merchants })
            }
            _ => Err(problems),
        }
    }

    /// Every setting with its effective value, secrets hidden, and everything that the API or the
    /// workers would say is wrong, as far as the settings alone tell; [`Self::parts`] has the rest.
    pub(crate) fn effective(&self) -> (BTreeMap<String, Effective>, Problems) {
        let (_, mut problems, _) = self.read(API);
        for problem in self.read(WORKER).1.0 {
            if !problems.0.contains(&problem) {
                problems.0.push(problem);
            }
        }
        (self.read(ANY).2, problems)
    }

    /// What has keys or addresses of its own that have to be opened before they can be judged.
    pub(crate) fn parts(&self) -> Parts {
        let (groups, _, _) = self.read(WORKER);
        Parts { accounts: groups.accounts, apns: groups.apns, devices: groups.devices }
    }

    /// What to say of `FEAT_…` variables that do nothing, a line for each.
    pub(crate) fn idle_variables(&self) -> Vec<String> {
        self.sources.idle_variables()
    }

    fn read(&self, needs: Needs) -> (Groups, Problems, BTreeMap<String, Effective>) {
        let mut reader = Reader::new(&self.sources);
        let groups = Groups::read(&mut reader, needs);
        let (effective, problems) = reader.finish();
        (groups, problems, effective)
    }
}

#[cfg(test)]
mod tests;
