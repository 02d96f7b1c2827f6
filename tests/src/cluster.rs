//! Feat as it runs in production: `feat api` and `feat worker` as processes that can be killed.

use std::{
    collections::BTreeMap,
    fs::File,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret;
use tempfile::TempDir;

use crate::{
    accounts, eventually,
    http::Client,
    services::{Corner, announced},
};

/// Username of the one account in a cluster.
pub const USERNAME: &str = "+86-13900000001";
/// Its password.
pub const PASSWORD: &str = "correct-horse-battery";

/// Settings, addresses and files that the processes of one Feat share.
pub struct Cluster {
    /// Virtual host and database.
    pub corner: Corner,
    /// Variables that every process gets.
    pub environment: BTreeMap<String, String>,
    folder: TempDir,
    client_secret: String,
    logs: std::cell::Cell<u32>,
}

/// One running process of Feat.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    log: PathBuf,
}

/// The binary under test, built with its fault points.
#[must_use]
pub fn feat() -> PathBuf {
    announced("FEAT_TEST_BIN").into()
}

impl Cluster {
    /// Sets up a Feat without processes: database, one user and one client.
    pub async fn new() -> Self {
        Self::at(Corner::new().await)
    }

    /// The same in services of the test's own.
    ///
    /// # Panics
    ///
    /// When a command refuses to set something up.
    #[must_use]
    pub fn at(corner: Corner) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = TempDir::new().expect("temporary folder");
        let key = folder.path().join("token-key.pem");
        let pem = api::auth::TokenKey::generate().to_pem().expose_secret().to_owned();
        std::fs::write(&key, pem).expect("key file");
        let files = folder.path().join("files");
        let environment = [
            ("FEAT_MONGODB__URL", corner.mongodb_url.as_str()),
            ("FEAT_MONGODB__DATABASE", corner.database.as_str()),
            ("FEAT_RABBITMQ__URL", corner.amqp_url.as_str()),
            ("FEAT_FILES__STORE", "folder"),
            ("FEAT_FILES__FOLDER", path(&files)),
            ("FEAT_API__TOKEN_KEY_FILE", path(&key)),
            ("FEAT_API__PUBLIC_URL", "http://feat.test"),
        ];
        let environment =
            environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut cluster =
            Self { corner, environment, folder, client_secret: String::new(), logs: 0.into() };
        cluster.add_accounts();
        cluster
    }

    fn add_accounts(&mut self) {
        let user = self.run(&["user", "add", USERNAME, "--password-stdin"], PASSWORD);
        assert!(user.status.success(), "{}", String::from_utf8_lossy(&user.stderr));
        let scopes = "all,pay_trade_manage";
        let client = self.run(&["client", "add", "app", "--scopes", scopes, "--json"], "");
        assert!(client.status.success(), "{}", String::from_utf8_lossy(&client.stderr));
        let client: serde_json::Value = serde_json::from_slice(&client.stdout).expect("JSON");
        client["client_secret"].as_str().expect("secret").clone_into(&mut self.client_secret);
    }

    /// Runs `feat` with these arguments and this standard input to its end.
    ///
    /// # Panics
    ///
    /// When the binary cannot be run.
    #[must_use]
    pub fn run(&self, arguments: &[&str], input: &str) -> std::process::Output {
        use std::io::Write;
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("feat starts");
        child.stdin.take().expect("input").write_all(input.as_bytes()).expect("input is read");
        child.wait_with_output().expect("feat ends")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(feat());
        let inherited = std::env::vars().filter(|(name, _)| !name.starts_with("FEAT_"));
        command.env_clear().envs(inherited).envs(&self.environment);
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    /// Folder with the stored files.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    /// Gives every process that starts from now on these payment accounts, in the form of the
    /// section `payments` of the settings.
    ///
    /// # Panics
    ///
    /// When they cannot be written down.
    pub fn open_accounts(&mut self, payments: &serde_json::Value) {
        let file = self.folder.path().join("feat.toml");
        std::fs::write(file, accounts::section(payments)).expect("settings");
        let key = format!("{:064x}", rand::random::<u128>());
        self.environment.insert("FEAT_PAYMENTS__SEALING_KEY".to_owned(), key);
    }

    /// Starts an API; `fault` names a point and a count as in `api.after_insert:3`.
    pub async fn api(&self, fault: Option<&str>) -> Process {
        self.start("api", "FEAT_API__LISTEN", free_address(), fault).await
    }

    /// Starts an API that is reached from outside, by providers for example, where it listens.
    /// What starts later knows that address.
    pub async fn public_api(&mut self) -> Process {
        let address = free_address();
        let url = format!("http://{address}");
        self.environment.insert("FEAT_API__PUBLIC_URL".to_owned(), url);
        self.start("api", "FEAT_API__LISTEN", address, None).await
    }

    /// Starts a worker.
    pub async fn worker(&self, fault: Option<&str>) -> Process {
        self.start("worker", "FEAT_WORKER__LISTEN", free_address(), fault).await
    }

    async fn start(
        &self,
        role: &str,
        listen: &str,
        address: SocketAddr,
        fault: Option<&str>,
    ) -> Process {
        self.logs.set(self.logs.get() + 1);
        let log = self.folder.path().join(format!("{role}-{}.log", self.logs.get()));
        let mut command = self.command(&[role]);
        command.env(listen, address.to_string());
        if let Some(fault) = fault {
            command.env("FEAT_FAULT", fault);
        }
        let output = File::create(&log).expect("log file");
        let errors = output.try_clone().expect("log file");
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let mut process = Process { child: command.spawn().expect("feat starts"), address, log };
        process.ready(fault.is_some()).await;
        process
    }

    /// A client of `api` that has signed in.
    pub async fn client(&self, api: &Process) -> Client {
        Client::sign_in(
            &format!("http://{}", api.address),
            "app",
            &self.client_secret,
            USERNAME,
            PASSWORD,
        )
        .await
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

/// A loopback address that nobody listens on.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
}

impl Process {
    /// Waits until it serves; a process with a fault may also have met its end.
    async fn ready(&mut self, doomed: bool) {
        let url = format!("http://{}/readyz", self.address);
        let http = reqwest::Client::new();
        let log = self.log.clone();
        eventually(format!("{url}; see {}", log.display()), Duration::from_secs(30), async || {
            let ended = self.child.try_wait().expect("process").is_some();
            if ended && doomed {
                return Some(());
            }
            assert!(!ended, "ended at once: {}", std::fs::read_to_string(&log).unwrap_or_default());
            let reply = http.get(&url).send().await.ok()?.error_for_status().ok()?;
            // An API without its broker is ready, too, but tests begin with everything in place.
            (!reply.text().await.ok()?.contains("degraded")).then_some(())
        })
        .await;
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("process");
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Kills the process as `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether the process has ended, by whatever.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
    }

    /// Waits for the end.
    pub async fn ended(&mut self, within: Duration) -> ExitStatus {
        eventually("the end of a process", within, async || self.child.try_wait().ok().flatten())
            .await
    }

    /// Resident memory in KiB.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        self.memory_kib("VmRSS:")
    }

    /// The most resident memory that it ever had, in KiB.
    #[must_use]
    pub fn peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM:")
    }

    fn memory_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
