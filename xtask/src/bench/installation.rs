//! A Feat of the bench's own: its settings, its processes and what its store says afterwards.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{
    Fault,
    http::{Connection, Reply, Request},
    load::Load,
};

/// How long a process may take to its readiness.
const START: Duration = Duration::from_mins(1);
/// How long nothing may happen before the wait for jobs is given up.
const STALLED: Duration = Duration::from_mins(1);

/// Where an installation keeps what.
#[derive(Debug)]
pub(super) struct Installation {
    program: PathBuf,
    folder: PathBuf,
    environment: BTreeMap<&'static str, String>,
    secret: String,
}

/// A process of Feat. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pub(super) address: SocketAddr,
    log: PathBuf,
}

impl Installation {
    /// With MongoDB and RabbitMQ; `name` is also the database.
    pub(super) fn distributed(
        folder: &Path,
        name: &str,
        mongodb: &str,
        rabbitmq: &str,
    ) -> Result<Self, Fault> {
        let mut new = Self::embedded(folder, name)?;
        let key = new.folder.join("token-key.pem");
        fs::write(&key, new.run(&["token-key"], "")?)?;
        new.environment = BTreeMap::from([
            ("FEAT_MONGODB__URL", mongodb.to_owned()),
            ("FEAT_MONGODB__DATABASE", name.to_owned()),
            ("FEAT_RABBITMQ__URL", format!("{rabbitmq}/%2f")),
            ("FEAT_FILES__STORE", "folder".to_owned()),
            ("FEAT_FILES__FOLDER", new.files().display().to_string()),
            ("FEAT_API__TOKEN_KEY_FILE", key.display().to_string()),
            ("FEAT_API__PUBLIC_URL", "http://bench.test".to_owned()),
            ("FEAT_API__ACCESS_TOKEN_LIFE", "6h".to_owned()),
            // One user and one client send all of the load.
            ("FEAT_API__RATE_LIMITS__USER", "off".to_owned()),
            ("FEAT_API__RATE_LIMITS__CLIENT", "off".to_owned()),
        ]);
        new.add_user("+86-13800000001")?;
        // The bench makes bills, too.
        let scopes = "all,pay_trade_manage";
        let added = new.run(&["client", "add", "demo", "--scopes", scopes, "--json"], "")?;
        let client: Value = serde_json::from_slice(&added)?;
        client["client_secret"].as_str().ok_or("no client secret")?.clone_into(&mut new.secret);
        Ok(new)
    }

    /// Adds a user, with the password of all of them.
    pub(super) fn add_user(&self, username: &str) -> Result<(), Fault> {
        self.run(&["user", "add", username, "--password-stdin"], "demo-password").map(drop)
    }

    /// Registers a client that may use `grants`; gives its secret.
    pub(super) fn add_client(&self, id: &str, grants: &str) -> Result<String, Fault> {
        let added = self.run(&["client", "add", id, "--grants", grants, "--json"], "")?;
        let client: Value = serde_json::from_slice(&added)?;
        Ok(client["client_secret"].as_str().ok_or("no client secret")?.to_owned())
    }

    /// In one folder, with the demo accounts.
    pub(super) fn embedded(folder: &Path, name: &str) -> Result<Self, Fault> {
        let program = std::env::current_exe()?.with_file_name("feat");
        let folder = folder.join(name);
        fs::create_dir_all(&folder)?;
        let secret = "demo-secret".to_owned();
        Ok(Self { program, folder, environment: BTreeMap::new(), secret })
    }

    /// Where the files of pictures are.
    pub(super) fn files(&self) -> PathBuf {
        self.data().join("files")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts the API and waits until it is ready.
    pub(super) async fn api(&self) -> Result<Process, Fault> {
        let address = free_address()?;
        let listen = [("FEAT_API__LISTEN", address.to_string())];
        self.start(&["api"], &listen, address, "/readyz").await
    }

    /// Starts a worker and waits until it is ready.
    pub(super) async fn worker(&self) -> Result<Process, Fault> {
        let address = free_address()?;
        let listen = [("FEAT_WORKER__LISTEN", address.to_string())];
        self.start(&["worker"], &listen, address, "/readyz").await
    }

    /// Starts everything in one process and waits until it answers.
    pub(super) async fn dev(&self) -> Result<Process, Fault> {
        let (address, data) = (free_address()?, self.data().display().to_string());
        let arguments = ["dev", "--data", &data, "--listen", &address.to_string()];
        self.start(&arguments, &[], address, "/livez").await
    }

    /// Starts the simulated payment providers and waits until they answer.
    pub(super) async fn simulators(&self) -> Result<Process, Fault> {
        let address = free_address()?;
        let arguments = ["sim", "--listen", &address.to_string(), "--apns", "127.0.0.1:0"];
        self.start(&arguments, &[], address, "/").await
    }

    /// Gives processes that start from now on these settings beside the environment.
    pub(super) fn settle(&mut self, settings: &str) -> Result<(), Fault> {
        fs::write(self.folder.join("feat.toml"), settings)?;
        let key = format!("{:064x}", rand::random::<u128>());
        self.environment.insert("FEAT_PAYMENTS__SEALING_KEY", key);
        Ok(())
    }

    async fn start(
        &self,
        arguments: &[&str],
        more: &[(&str, String)],
        address: SocketAddr,
        path: &str,
    ) -> Result<Process, Fault> {
        let log = self.folder.join(format!("{}.log", arguments[0]));
        let output = File::create(&log)?;
        let mut command = self.command(arguments);
        command.envs(more.iter().cloned()).stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        let mut process = Process { child: command.spawn()?, address, log };
        let ready = async {
            while !process.get(path).await.is_ok_and(|reply| is_whole(&reply)) {
                if process.child.try_wait()?.is_some() {
                    return Err("it has ended".into());
                }
                sleep(Duration::from_millis(2)).await;
            }
            Ok::<_, Fault>(())
        };
        let ready = timeout(START, ready).await.unwrap_or_else(|late| Err(late.into()));
        ready.map_err(|error| {
            let log = fs::read_to_string(&process.log).unwrap_or_default();
            format!("feat {} is not ready: {error}\n{log}", arguments[0])
        })?;
        Ok(process)
    }

    /// Runs a command to its end and returns what it wrote.
    pub(super) fn run(&self, arguments: &[&str], input: &str) -> Result<Vec<u8>, Fault> {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("feat {}: {errors}", arguments.join(" ")).into())
    }

    /// Settings of a Feat that the caller runs for itself must not reach this one.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("FEAT_") && name_text != super::RUN {
                command.env_remove(name);
            }
        }
        command.args(arguments).envs(&self.environment).current_dir(&self.folder);
        command
    }

    /// Signs in at `api`.
    pub(super) async fn sign_in(&self, api: &Process, connections: usize) -> Result<Load, Fault> {
        self.sign_in_as("%2B86-13800000001", api, connections).await
    }

    /// The same as another user, whose name is written as in a form.
    pub(super) async fn sign_in_as(
        &self,
        username: &str,
        api: &Process,
        connections: usize,
    ) -> Result<Load, Fault> {
        let form = format!(
            "grant_type=password&client_id=demo&client_secret={}&username={username}\
             &password=demo-password&device_id=bench",
            self.secret
        );
        let kind = "content-type: application/x-www-form-urlencoded";
        let request = Request::new("POST", "/api/o/token/", &[kind], form.as_bytes());
        let reply = Connection::open(api.address).await?.send(&request).await?;
        let body: Value = serde_json::from_slice(&reply.body)?;
        let token = body["access_token"].as_str().ok_or_else(|| format!("no token: {body}"))?;
        let token = token.to_owned();
        Ok(Load { address: api.address, token, connections, pause: Duration::ZERO })
    }

    /// Pictures of which something still lies in the file store.
    pub(super) fn files_left(&self) -> u64 {
        let below = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
        let owners = below(self.files().join("images"));
        owners.map(|owner| below(owner.path()).count() as u64).sum()
    }
}

impl Process {
    /// Jobs of `kind` that this worker has done since its start.
    async fn finished_of(&self, kind: &str) -> Result<u64, Fault> {
        let reply = self.get("/metrics").await?;
        let text = String::from_utf8_lossy(&reply.body);
        let (kind, done) = (format!("\"{kind}\""), "\"done\"");
        let jobs = text.lines().filter(|line| {
            let ended = line.starts_with("feat_jobs_run_total") && line.contains(done);
            ended && line.contains(&kind)
        });
        let counts = jobs.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(counts.sum())
    }

    /// Waits until this worker has done `count` deletions, or of none any more for a
    /// minute, which is not an error here.
    pub(super) async fn finishes(&self, count: u64) -> Result<(), Fault> {
        self.finishes_of("image.delete", count).await
    }

    /// The same of the jobs of another kind.
    pub(super) async fn finishes_of(&self, kind: &str, count: u64) -> Result<(), Fault> {
        let (mut seen, mut since) = (0, Instant::now());
        while seen < count && since.elapsed() < STALLED {
            sleep(Duration::from_millis(100)).await;
            let now = self.finished_of(kind).await?;
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// Sum and count of the summary `name` with `label` among its labels.
    pub(super) async fn summary(&self, name: &str, label: &str) -> Result<(f64, f64), Fault> {
        let reply = self.get("/metrics").await?;
        let text = String::from_utf8_lossy(&reply.body);
        let value = |part: &str| {
            let start = format!("{name}_{part}{{");
            let label = format!("\"{label}\"");
            let line = text.lines().find(|line| line.starts_with(&start) && line.contains(&label));
            line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        };
        Ok((value("sum").unwrap_or_default(), value("count").unwrap_or_default()))
    }

    async fn get(&self, path: &str) -> std::io::Result<Reply> {
        Connection::open(self.address).await?.send(&Request::new("GET", path, &[], b"")).await
    }

    /// Forgets the peak so far, where the system lets us.
    pub(super) fn reset_peak(&self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5");
    }

    /// Most memory that was resident since [`Self::reset_peak`], in MiB.
    pub(super) fn peak_mib(&self) -> f64 {
        self.status_mib("VmHWM:")
    }

    fn status_mib(&self, name: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib: Option<f64> = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.unwrap_or(f64::NAN) / 1024.0
    }

    /// Asks it to end and waits until it has.
    pub(super) async fn stop(mut self) -> Result<(), Fault> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let ended = async {
            while self.child.try_wait()?.is_none() {
                sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        timeout(START, ended).await?
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process is ready and lacks nothing: an API is ready without its broker, too.
fn is_whole(reply: &Reply) -> bool {
    reply.status == 200 && !reply.body.windows(8).any(|part| part == b"degraded")
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
