//! MongoDB as a replica set of one member, which behaves as a larger one does for its clients.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use bson::doc;
use mongodb::{Client, options::ClientOptions};

use super::{
    Launch, Progress, ServiceError, docker, install,
    launch::NativeCommand,
    ports,
    server::{Plan, Server},
};

/// A MongoDB server of this process. Dropped, it ends; its folder stays.
#[derive(Debug)]
pub struct MongoDb {
    server: Server,
    port: u16,
    url: String,
}

impl MongoDb {
    /// Starts a server with its data in `folder`, which is made when missing and emptied of old
    /// data, and returns when it takes writes: after about 3 s.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NoWay`] when this machine has no MongoDB and no Docker engine.
    pub async fn start(folder: &Path) -> Result<Self, ServiceError> {
        Self::start_with(folder, &Progress::silent()).await
    }

    /// As [`Self::start`], and says what it does.
    pub(super) async fn start_with(
        folder: &Path,
        progress: &Progress,
    ) -> Result<Self, ServiceError> {
        let folder = std::path::absolute(folder).map_err(ServiceError::at(folder))?;
        let program = if docker::answers() { None } else { Some(install::mongod(progress)?) };
        progress.step("starting MongoDB");
        let mut last = None;
        for _ in 0..3 {
            // The member's address is in its data.
            install::remove_folder(&folder.join("data"))?;
            let mut mongo = Self::describe(&folder, program.as_deref())?;
            match mongo.start_again().await {
                Ok(()) => return Ok(mongo),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| unreachable!("three rounds leave an error")))
    }

    fn describe(folder: &Path, program: Option<&Path>) -> Result<Self, ServiceError> {
        let port = ports::free();
        let launch = match program {
            Some(program) => native(folder, program, port),
            None => container(port),
        };
        Ok(Self {
            server: Server::new("MongoDB", folder, launch)?,
            port,
            url: format!("mongodb://127.0.0.1:{port}/?replicaSet=rs0"),
        })
    }

    /// Address for clients, with the name of the replica set. It stays the same over
    /// [`Self::stop`] and [`Self::start_again`].
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it after [`Self::stop`] or [`Self::kill`], with its old data and port, and returns
    /// when it takes writes.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotReady`] with the end of its log.
    pub async fn start_again(&mut self) -> Result<(), ServiceError> {
        let data = self.server.plan.folder.join("data");
        fs::create_dir_all(&data).map_err(ServiceError::at(&data))?;
        self.server.start()?;
        let port = self.port;
        self.server.wait_until("MongoDB", || become_primary(port)).await
    }

    /// Removes all its data. It must have ended.
    ///
    /// # Errors
    ///
    /// [`ServiceError::File`] when the data cannot be removed.
    pub fn wipe(&mut self) -> Result<(), ServiceError> {
        if let Launch::Container { name, .. } = &self.server.plan.launch {
            docker::remove(name);
        }
        install::remove_folder(&self.server.plan.folder.join("data"))
    }

    /// Makes it give up its role as primary for about `seconds`, as happens in a failover: writes
    /// fail until it is elected again.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotReady`] when it does not do so.
    pub async fn step_down(&self, seconds: u32) -> Result<(), ServiceError> {
        let command = doc! { "replSetStepDown": seconds, "force": true };
        run_command(self.port, command)
            .await
            .map_err(|reason| self.server.not_ready("MongoDB", reason))
    }

    /// The folder of its data and logs.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.server.plan.folder.clone()
    }

    pub(super) fn leave_running(&mut self) {
        self.server.leave_running();
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.server.plan
    }
}

/// Makes the server the primary of a set of one, when it is none yet.
async fn become_primary(port: u16) -> Result<(), String> {
    let client = client(port).await?;
    let admin = client.database("admin");
    let hello = admin.run_command(doc! { "hello": 1 }).await.map_err(|error| error.to_string())?;
    if hello.get_bool("isWritablePrimary").unwrap_or(false) {
        return Ok(());
    }
    if !hello.contains_key("setName") {
        let member = doc! { "_id": 0, "host": format!("127.0.0.1:{port}") };
        let set = doc! { "_id": "rs0", "members": [member] };
        // Refused while it still reads its old configuration, which is then the one that counts.
        let _ = admin.run_command(doc! { "replSetInitiate": set }).await;
    }
    Err("it is not primary yet".to_owned())
}

async fn run_command(port: u16, command: bson::Document) -> Result<(), String> {
    let admin = client(port).await?.database("admin");
    admin.run_command(command).await.map(drop).map_err(|error| error.to_string())
}

/// A client for this one server, whatever its role is.
async fn client(port: u16) -> Result<Client, String> {
    let url = format!("mongodb://127.0.0.1:{port}/?directConnection=true");
    let mut options = ClientOptions::parse(url).await.map_err(|error| error.to_string())?;
    options.server_selection_timeout = Some(Duration::from_secs(2));
    options.connect_timeout = Some(Duration::from_secs(2));
    Client::with_options(options).map_err(|error| error.to_string())
}

const ARGUMENTS: [&str; 4] = ["--replSet", "rs0", "--wiredTigerCacheSizeGB", "1"];

fn native(folder: &Path, program: &Path, port: u16) -> Launch {
    let mut command = vec![program.display().to_string()];
    command.extend(ARGUMENTS.map(str::to_owned));
    command.extend(["--bind_ip", "127.0.0.1", "--nounixsocket"].map(str::to_owned));
    command.extend(["--port".to_owned(), port.to_string()]);
    command.extend(["--dbpath".to_owned(), folder.join("data").display().to_string()]);
    command.extend(["--setParameter", "diagnosticDataCollectionEnabled=false"].map(str::to_owned));
    Launch::Native(NativeCommand { command, environment: BTreeMap::new() })
}

fn container(port: u16) -> Launch {
    // The port is the same inside and outside, because the set's member is known by it.
    let publish = format!("127.0.0.1:{port}:{port}");
    let mut arguments: Vec<String> =
        ["--publish", &publish, "mongo:8", "--bind_ip_all", "--port", &port.to_string()]
            .map(str::to_owned)
            .to_vec();
    arguments.extend(ARGUMENTS.map(str::to_owned));
    Launch::Container { name: format!("feat-mongodb-{port}"), arguments }
}
