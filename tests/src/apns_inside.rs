//! Apple's two addresses on this machine: a mount namespace in which their names lead to a
//! simulator. The crate a2 knows no other addresses.

use std::{
    env, fs,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Command,
};

use sim::apns::{Settings, authority};
use tempfile::TempDir;

/// Set in the namespace: the file of the authority's key, and the two addresses.
const INSIDE: &str = "FEAT_TEST_A2_INSIDE";

/// What a program has to run in such a namespace. Its folder is gone when it is dropped.
pub struct Namespace {
    folder: TempDir,
    production: String,
    sandbox: String,
}

/// Where a simulator listens within the namespace, and with whose certificate.
#[derive(Debug, Clone)]
pub struct Given {
    authority_key: String,
    production: SocketAddr,
    sandbox: SocketAddr,
}

impl Namespace {
    /// Prepares one; `None` when this user may have neither a mount namespace nor port 443.
    ///
    /// # Panics
    ///
    /// When files cannot be written.
    #[must_use]
    pub fn prepare() -> Option<Self> {
        // Any address of 127/8 is this machine; these are nobody else's.
        let process = std::process::id().to_be_bytes();
        let address = |last: u8| format!("127.{}.{}.{last}", process[2] | 64, process[3]);
        let (production, sandbox) = (address(1), address(2));
        let folder = tempfile::tempdir().expect("folder");
        let new = Self { folder, production, sandbox };
        let (key, certificate) = authority::make().expect("authority");
        fs::write(new.file("authority.key"), key).expect("key");
        fs::write(new.file("authority.pem"), certificate).expect("certificate");
        let names = format!(
            "127.0.0.1 localhost\n{} api.push.apple.com\n\
             {} api.sandbox.push.apple.com api.development.push.apple.com\n",
            new.production, new.sandbox
        );
        fs::write(new.file("hosts"), names).expect("hosts");
        new.is_permitted().then_some(new)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn is_permitted(&self) -> bool {
        let probe = format!(
            "exec 3<>/dev/null; getent ahostsv4 api.push.apple.com | grep -q {}",
            self.production
        );
        let entered = self.command(&["sh", "-c", &probe]).status();
        entered.is_ok_and(|ended| ended.success())
            && TcpListener::bind((self.production.as_str(), 443)).is_ok()
    }

    /// The command that runs a program in the namespace, where [`Given::read`] finds what it needs.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let script = r#"mount --bind "$1" /etc/hosts && shift && exec "$@""#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
        command.arg(self.file("hosts")).args(arguments);
        command.env("SSL_CERT_FILE", self.file("authority.pem")).env_remove("SSL_CERT_DIR");
        let key = self.file("authority.key");
        command.env(INSIDE, format!("{} {} {}", key.display(), self.production, self.sandbox));
        command
    }
}

impl Given {
    /// What the namespace holds; `None` outside of one.
    ///
    /// # Panics
    ///
    /// When it is not as [`Namespace::command`] made it.
    #[must_use]
    pub fn read() -> Option<Self> {
        let given = env::var(INSIDE).ok()?;
        let parts: Vec<_> = given.split(' ').collect();
        let [key_file, production, sandbox] = parts[..] else { panic!("{given}") };
        let address = |host: &str| SocketAddr::new(host.parse().expect("address"), 443);
        Some(Self {
            authority_key: fs::read_to_string(key_file).expect("key"),
            production: address(production),
            sandbox: address(sandbox),
        })
    }

    /// Lets a simulator listen at Apple's addresses.
    pub fn apply(&self, settings: &mut Settings) {
        settings.authority_key = Some(self.authority_key.clone());
        (settings.production, settings.sandbox) = (self.production, self.sandbox);
        // a2 writes its provider tokens with padding.
        settings.padded_tokens = true;
    }
}
