//! RabbitMQ with its management plugin.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
    time::Duration,
};

use super::{
    Launch, Progress, ServiceError, docker, install,
    install::RabbitMqHome,
    launch::NativeCommand,
    ports, process,
    server::{Plan, Server},
};

/// The major version of RabbitMQ to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RabbitMqVersion {
    /// What this machine has.
    #[default]
    Any,
    /// 3.x
    Three,
    /// 4.x
    Four,
}

impl RabbitMqVersion {
    /// The environment variable by which `cargo xtask test --rabbitmq` tells the tests.
    pub const VARIABLE: &str = "FEAT_TEST_RABBITMQ_VERSION";

    /// What [`Self::VARIABLE`] says; without it [`Self::Any`].
    #[must_use]
    pub fn from_environment() -> Self {
        std::env::var(Self::VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// As it is given on the command line; `None` for [`Self::Any`].
    #[must_use]
    pub const fn number(self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Three => Some("3"),
            Self::Four => Some("4"),
        }
    }

    const fn image(self) -> &'static str {
        match self {
            Self::Three => "rabbitmq:3.13-management",
            Self::Any | Self::Four => "rabbitmq:4-management",
        }
    }
}

impl FromStr for RabbitMqVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "3" => Ok(Self::Three),
            "4" => Ok(Self::Four),
            _ => Err("either 3 or 4".to_owned()),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    amqp: u16,
    management: u16,
    distribution: u16,
    names: u16,
}

/// A RabbitMQ server of this process, with user `guest`, password `guest`. Dropped, it ends; its
/// folder stays.
///
/// The calls that start or end it block their thread for some seconds, except where they are
/// `async`.
#[derive(Debug)]
pub struct RabbitMq {
    server: Server,
    ports: Ports,
    home: Option<RabbitMqHome>,
    amqp_url: String,
    management_url: String,
}

impl RabbitMq {
    /// Starts a server with its data in `folder`, which is made when missing and emptied of old
    /// data, and returns when it answers: after about 6 s.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NoWay`] when this machine has no RabbitMQ and no Docker engine.
    pub async fn start(folder: &Path, version: RabbitMqVersion) -> Result<Self, ServiceError> {
        Self::start_with(folder, version, &Progress::silent()).await
    }

    /// As [`Self::start`], and says what it does.
    pub(super) async fn start_with(
        folder: &Path,
        version: RabbitMqVersion,
        progress: &Progress,
    ) -> Result<Self, ServiceError> {
        let folder = std::path::absolute(folder).map_err(ServiceError::at(folder))?;
        let home =
            if docker::answers() { None } else { Some(install::rabbitmq(version, progress)?) };
        progress.step("starting RabbitMQ");
        let mut last = None;
        // A port that was free may be taken by the time the server wants it.
        for _ in 0..3 {
            // The node's name is in its data.
            install::remove_folder(&folder.join("data"))?;
            let mut rabbit = Self::describe(&folder, version, home.clone())?;
            match rabbit.start_again().await {
                Ok(()) => return Ok(rabbit),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| unreachable!("three rounds leave an error")))
    }

    fn describe(
        folder: &Path,
        version: RabbitMqVersion,
        home: Option<RabbitMqHome>,
    ) -> Result<Self, ServiceError> {
        let ports = Ports {
            amqp: ports::free(),
            management: ports::free(),
            distribution: ports::free(),
            names: ports::free(),
        };
        let launch = match &home {
            Some(home) => native(folder, home, ports)?,
            None => container(version, ports),
        };
        Ok(Self {
            server: Server::new("RabbitMQ", folder, launch)?,
            ports,
            home,
            amqp_url: format!("amqp://guest:guest@127.0.0.1:{}", ports.amqp),
            management_url: format!("http://guest:guest@127.0.0.1:{}", ports.management),
        })
    }

    /// Address for clients, with user and password, without a path: the default virtual host.
    /// It stays the same over [`Self::stop`] and [`Self::start_again`].
    #[must_use]
    pub fn amqp_url(&self) -> &str {
        &self.amqp_url
    }

    /// Address of the management API, with user and password, without `/api`.
    #[must_use]
    pub fn management_url(&self) -> &str {
        &self.management_url
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) {
        self.server.stop();
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it after [`Self::stop`] or [`Self::kill`], with its old data and ports, and returns
    /// when it answers.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotReady`] with the end of its log.
    pub async fn start_again(&mut self) -> Result<(), ServiceError> {
        self.server.start()?;
        let url = format!(
            "{}/api/health/checks/port-listener/{}",
            self.management_url,
            // A container listens on the port of its image.
            if self.home.is_some() { self.ports.amqp } else { 5672 }
        );
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(2))
            .build()
            .map_err(|error| self.server.not_ready("RabbitMQ", error.to_string()))?;
        let is_ready = || async {
            let answer = client.get(&url).send().await.map_err(|error| error.to_string())?;
            answer.error_for_status().map(drop).map_err(|error| error.to_string())
        };
        self.server.wait_until("RabbitMQ", is_ready).await
    }

    /// Removes all its data: queues, messages, users, virtual hosts. It must have ended.
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

    /// Runs `rabbitmqctl` on it and returns what that wrote, for example with
    /// `["set_vm_memory_high_watermark", "0.00001"]`, which blocks every publisher.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Command`] with its output.
    pub fn ctl(&self, arguments: &[&str]) -> Result<String, ServiceError> {
        let folder = &self.server.plan.folder;
        match &self.server.plan.launch {
            Launch::Container { name, .. } => {
                let mut command = Command::new("docker");
                command.args(["exec", name, "rabbitmqctl"]).args(arguments);
                install::run(command)
            }
            Launch::Native(native) => {
                let words: Vec<_> = arguments.iter().map(|part| quoted(part)).collect();
                let line = format!("exec /usr/lib/rabbitmq/bin/rabbitmqctl {}", words.join(" "));
                let home = self.home.clone().unwrap_or(RabbitMqHome { root: None });
                let parts = home.enter(folder, &line);
                let mut command = Command::new(&parts[0]);
                command.args(&parts[1..]).envs(&native.environment).env(process::MARK, folder);
                install::run(command)
            }
        }
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

/// `word` as one word of a shell's command line.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The server's own configuration, and the command that starts it with a name service of its own.
fn native(folder: &Path, home: &RabbitMqHome, ports: Ports) -> Result<Launch, ServiceError> {
    let path = |name: &str| folder.join(name).display().to_string();
    fs::create_dir_all(folder.join("home")).map_err(ServiceError::at(folder))?;
    let write = |name: &str, text: String| {
        let file = folder.join(name);
        fs::write(&file, text).map_err(ServiceError::at(&file))
    };
    write("enabled_plugins", "[rabbitmq_management].\n".to_owned())?;
    write(
        "rabbitmq.conf",
        format!(
            "listeners.tcp.default = 127.0.0.1:{}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {}\n\
             loopback_users = none\n\
             collect_statistics_interval = 1000\n",
            ports.amqp, ports.management
        ),
    )?;
    let environment = BTreeMap::from(
        [
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("ERL_EPMD_PORT", ports.names.to_string()),
            ("HOME", path("home")),
            ("RABBITMQ_CONFIG_FILE", path("rabbitmq")),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
            ("RABBITMQ_DIST_PORT", ports.distribution.to_string()),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins")),
            ("RABBITMQ_LOG_BASE", path("log")),
            ("RABBITMQ_MNESIA_BASE", path("data")),
            ("RABBITMQ_NODENAME", format!("feat-{}@localhost", ports.amqp)),
            // Without it a shell stands between, which loses signals.
            ("RUNNING_UNDER_SYSTEMD", "true".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    // The name service would start by itself, but as a daemon that outlives its server.
    let start = "epmd & exec /usr/lib/rabbitmq/bin/rabbitmq-server";
    Ok(Launch::Native(NativeCommand { command: home.enter(folder, start), environment }))
}

fn container(version: RabbitMqVersion, ports: Ports) -> Launch {
    let name = format!("feat-rabbitmq-{}", ports.amqp);
    let arguments = [
        "--hostname",
        &name,
        "--publish",
        &format!("127.0.0.1:{}:5672", ports.amqp),
        "--publish",
        &format!("127.0.0.1:{}:15672", ports.management),
        version.image(),
    ]
    .map(str::to_owned)
    .to_vec();
    Launch::Container { name, arguments }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_stays_one_word() {
        let cases = [("plain", "stop", "'stop'"), ("with a quote", "a'b", r"'a'\''b'")];
        for (name, word, expected) in cases {
            assert_eq!(quoted(word), expected, "{name}");
        }
    }

    #[test]
    fn only_known_versions_are_taken() {
        assert_eq!("3".parse(), Ok(RabbitMqVersion::Three));
        assert_eq!("4".parse(), Ok(RabbitMqVersion::Four));
        assert!("5".parse::<RabbitMqVersion>().is_err());
    }
}
