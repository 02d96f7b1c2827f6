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

    /// All at once: each of them mostly waits.
    async fn start_missing(
        &mut self,
        version: RabbitMqVersion,
        progress: &Progress,
    ) -> Result<(), ServiceError> {
        let folder = |name: &str| self.folder.join(name);
        let folders = [folder("rabbitmq"), folder("mongodb"), folder("s3")];
        let rabbitmq = async {
            let start = RabbitMq::start_with(&folders[0], version, progress);
            if is_given(AMQP) && is_given(MANAGEMENT) { Ok(None) } else { start.await.map(Some) }
        };
        let mongodb = async {
            let start = MongoDb::start_with(&folders[1], progress);
            if is_given(MONGODB) { Ok(None) } else { start.await.map(Some) }
        };
        let s3 = async {
            let start = S3::start_with(&folders[2], progress);
            if is_given(S3_ENDPOINT) { Ok(None) } else { start.await.map(Some) }
        };
        (self.rabbitmq, self.mongodb, self.s3) = tokio::try_join!(rabbitmq, mongodb, s3)?;
        Ok(())
    }

    fn describe(&mut self, version: RabbitMqVersion) -> Result<(), ServiceError> {
        let path = file(&self.folder);
        let file = path.display().to_string();
        let started = [
            (SERVICES, Some(file.as_str())),
            (RabbitMqVersion::VARIABLE, version.number()),
            (AMQP, self.rabbitmq.as_ref().map(RabbitMq::amqp_url)),
            (MANAGEMENT, self.rabbitmq.as_ref().map(RabbitMq::management_url)),
            (MONGODB, self.mongodb.as_ref().map(MongoDb::url)),
            (S3_ENDPOINT, self.s3.as_ref().map(S3::endpoint)),
        ];
        let given = [AMQP, MANAGEMENT, MONGODB, S3_ENDPOINT]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), env::var(name).ok()?)));
        let started = started
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        // What was started comes later, and so wins over one half of an address that was given.
        self.description.environment = given.chain(started).collect();
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

/// Whether the caller's environment has the address.
fn is_given(variable: &str) -> bool {
    env::var(variable).is_ok_and(|address| !address.is_empty())
}
