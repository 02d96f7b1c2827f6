//! The servers that many tests share, and the file that describes them.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{MongoDb, Progress, RabbitMq, RabbitMqVersion, S3, ServiceError, server::Plan};
use crate::workspace;

/// Names the file with the [`Description`] of the servers that the other variables give addresses of.
pub const SERVICES: &str = "FEAT_TEST_SERVICES";
const AMQP: &str = "FEAT_TEST_AMQP_URL";
const MANAGEMENT: &str = "FEAT_TEST_RABBITMQ_MANAGEMENT_URL";
const MONGODB: &str = "FEAT_TEST_MONGODB_URL";
const S3_ENDPOINT: &str = "FEAT_TEST_S3_ENDPOINT";

/// The servers, as another process sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The version of RabbitMQ that was asked for.
    pub rabbitmq_version: Option<String>,
    /// The environment variables that hand the addresses to the tests.
    pub environment: BTreeMap<String, String>,
    /// Those that were started, with all it takes to stop or start them; a server whose address
    /// was given is not among them.
    pub servers: Vec<Plan>,
}

impl Description {
    /// The servers that `cargo xtask services up` left running; `None` when there are none.
    #[must_use]
    pub fn read() -> Option<Self> {
        serde_json::from_slice(&fs::read(file(&home())).ok()?).ok()
    }

    /// Whether every one of its processes lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.servers.iter().all(Plan::is_alive)
    }

    /// Stops every server of it, leaves no process behind, and forgets the data.
    ///
    /// # Errors
    ///
    /// [`ServiceError::File`] when the data cannot be removed.
    pub fn stop(&self) -> Result<(), ServiceError> {
        self.servers.iter().for_each(Plan::remove);
        super::install::remove_folder(&home())
    }
}

/// The folder of the servers that are left running.
fn home() -> PathBuf {
    workspace::target().join("services")
}

fn file(folder: &Path) -> PathBuf {
    folder.join("services.json")
}

/// A set of servers for a run of tests. Dropped, those that it started end.
#[derive(Debug)]
pub struct Services {
    folder: PathBuf,
    rabbitmq: Option<RabbitMq>,
    mongodb: Option<MongoDb>,
    s3: Option<S3>,
    description: Description,
}

impl Services {
    /// Starts what has no address in the environment, for `cargo xtask services up`.
    ///
    /// # Errors
    ///
    /// [`ServiceError`], whose text says what to do.
    pub async fn start_shared(
        version: RabbitMqVersion,
        progress: &Progress,
    ) -> Result<Self, ServiceError> {
        Self::start(&home(), version, progress).await
    }

    /// Starts what has no address in the environment, with its data in `folder`.
    ///
    /// # Errors
    ///
    /// [`ServiceError`], whose text says what to do.
    pub async fn start(
        folder: &Path,
        version: RabbitMqVersion,
        progress: &Progress,
    ) -> Result<Self, ServiceError> {
        let mut services = Self {
            folder: folder.to_path_buf(),
            rabbitmq: None,
            mongodb: None,
            s3: None,
            description: Description {
                rabbitmq_version: version.number().map(str::to_owned),
                ..Description::default()
            },
        };
        fs::create_dir_all(folder).map_err(ServiceError::at(folder))?;
        services.start_missing(version, progress).await?;
        services.describe(version)?;
        progress.done();
        Ok(services)
    }

    async fn start_missing(
        &mut self,
        version: RabbitMqVersion,
        progress: &Progress,
    ) -> Result<(), ServiceError> {
        if !(self.is_given(AMQP) & self.is_given(MANAGEMENT)) {
            let folder = self.folder.join("rabbitmq");
            super::install::remove_folder(&folder)?;
            let rabbitmq = RabbitMq::start_with(&folder, version, progress).await?;
            self.set(AMQP, rabbitmq.amqp_url());
            self.set(MANAGEMENT, rabbitmq.management_url());
            self.rabbitmq = Some(rabbitmq);
        }
        if !self.is_given(MONGODB) {
            let mongodb = MongoDb::start_with(&self.folder.join("mongodb"), progress).await?;
            self.set(MONGODB, mongodb.url());
            self.mongodb = Some(mongodb);
        }
        if !self.is_given(S3_ENDPOINT) {
            let s3 = S3::start_with(&self.folder.join("s3"), progress).await?;
            self.set(S3_ENDPOINT, s3.endpoint());
            self.s3 = Some(s3);
        }
        Ok(())
    }

    /// Whether the caller's environment has the address; then it is handed on.
    fn is_given(&mut self, variable: &str) -> bool {
        let Some(address) = env::var(variable).ok().filter(|address| !address.is_empty()) else {
            return false;
        };
        self.set(variable, &address);
        true
    }

    fn set(&mut self, variable: &str, value: &str) {
        self.description.environment.insert(variable.to_owned(), value.to_owned());
    }

    fn describe(&mut self, version: RabbitMqVersion) -> Result<(), ServiceError> {
        let path = file(&self.folder);
        self.set(SERVICES, &path.display().to_string());
        if let Some(number) = version.number() {
            self.set(RabbitMqVersion::VARIABLE, number);
        }
        let plans = [
            self.rabbitmq.as_ref().map(RabbitMq::plan),
            self.mongodb.as_ref().map(MongoDb::plan),
            self.s3.as_ref().map(S3::plan),
        ];
        self.description.servers = plans.into_iter().flatten().cloned().collect();
        let text = serde_json::to_vec_pretty(&self.description).unwrap_or_default();
        fs::write(&path, text).map_err(ServiceError::at(&path))
    }

    /// How other processes reach them.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Ends the servers that were started, and removes their data.
    ///
    /// # Errors
    ///
    /// [`ServiceError::File`] when the data cannot be removed.
    pub fn stop(self) -> Result<(), ServiceError> {
        drop((self.rabbitmq, self.mongodb, self.s3));
        super::install::remove_folder(&self.folder)
    }

    /// Gives them up: they stay when this process ends, until `cargo xtask services down`.
    #[must_use]
    pub fn leave_running(mut self) -> Description {
        self.rabbitmq.as_mut().map(RabbitMq::leave_running);
        self.mongodb.as_mut().map(MongoDb::leave_running);
        self.s3.as_mut().map(S3::leave_running);
        self.description.clone()
    }
}
