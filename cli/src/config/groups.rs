//! Every setting there is, by group: its name, its type, its range and its default.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use api::{TrustedIssuer, auth::TokenKey};
use providers::{blobs::S3Settings, payment::PaymentSettings};
use schemas::Queue;
use secrecy::{ExposeSecret, SecretString};
use workers::QueueSettings;

use super::{
    accounts::{self, PayPart},
    apns::{self, ApnsPart},
    bills::Bills,
    devices::Devices,
    edge::Edge,
    reader::{Need, Reader},
    sources::host_name,
    telemetry::Telemetry,
};
use crate::address;

/// What a command wants of each group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    pub(super) mongodb: Need,
    pub(super) rabbitmq: Need,
    pub(super) files: Need,
    pub(super) api: Need,
    pub(super) apns: Need,
}

/// All groups; absent ones are wrong, or not set and not needed.
pub(super) struct Groups {
    pub(super) mongodb: Option<MongoDb>,
    pub(super) rabbitmq: Option<SecretString>,
    pub(super) files: Option<FileStore>,
    pub(super) accounts: PaymentSettings,
    pub(super) payments: Option<PayPart>,
    pub(super) apns: Option<ApnsPart>,
    pub(super) api: Option<ApiPart>,
    pub(super) worker: WorkerPart,
    pub(super) bills: Bills,
    pub(super) devices: Devices,
    pub(super) telemetry: Telemetry,
    pub(super) publish_timeout: Duration,
    pub(super) shutdown_deadline: Duration,
}

/// What the API and the workers both need.
#[derive(Clone)]
pub(crate) struct Process {
    /// Where the records are.
    pub(crate) mongodb: MongoDb,
    /// Address of the broker with user, password and vhost.
    pub(crate) rabbitmq: SecretString,
    /// How long a publication may wait for its confirmation.
    pub(crate) publish_timeout: Duration,
    /// Where the files are.
    pub(crate) files: FileStore,
    /// Where bills are paid, if anywhere.
    pub(crate) payments: Option<PayPart>,
    /// Which apps are pushed to, if any.
    pub(crate) apns: Option<ApnsPart>,
    /// How long bills live, and what belongs to them.
    pub(crate) bills: Bills,
    /// Devices that get pushes, and webhooks.
    pub(crate) devices: Devices,
    /// Logs and traces.
    pub(crate) telemetry: Telemetry,
    /// How long work in hand may go on after the signal to stop.
    pub(crate) shutdown_deadline: Duration,
    /// What to say of variables that look like settings and are none.
    pub(crate) idle_variables: Vec<String>,
}

/// Where the records are.
#[derive(Clone)]
pub(crate) struct MongoDb {
    /// Connection string with its credentials.
    pub(crate) url: SecretString,
    /// Name of the database.
    pub(crate) database: String,
}

/// Where the files are.
#[derive(Clone)]
pub(crate) enum FileStore {
    /// A folder that all processes share.
    Folder(PathBuf),
    /// A bucket.
    S3(S3Settings),
}

/// What only the API has.
#[derive(Clone)]
pub(crate) struct ApiPart {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Its address as clients see it, without a slash at the end.
    pub(crate) public_url: String,
    /// Key that signs access tokens.
    pub(crate) token_key: TokenKey,
    /// Keys whose tokens count too.
    pub(crate) other_token_keys: Vec<TokenKey>,
    /// An issuer elsewhere whose access tokens count too.
    pub(crate) trusted_issuer: Option<TrustedIssuer>,
    /// How long a call waits for its job when it does not say.
    pub(crate) default_wait: Duration,
    /// The longest wait that a call may ask for.
    pub(crate) max_wait: Duration,
    /// How long an access token counts.
    pub(crate) access_token_life: Duration,
    /// How long a sign-in lasts without its password.
    pub(crate) session_life: Duration,
    /// Largest picture in bytes.
    pub(crate) max_picture_bytes: u64,
    /// Open connections at a time.
    pub(crate) connections: usize,
    /// Who may call it, from where, and how often.
    pub(crate) edge: Edge,
}

/// What only a worker has.
#[derive(Clone)]
pub(crate) struct WorkerPart {
    /// Where it answers health checks and metrics, if anywhere.
    pub(crate) listen: Option<SocketAddr>,
    /// How it works.
    pub(crate) settings: workers::Settings,
}

impl Groups {
    pub(super) fn read(reader: &mut Reader<'_>, needs: Needs) -> Self {
        let shutdown_deadline = span(reader, "shutdown_deadline", 20, 1..=600);
        let accounts = accounts::read(reader);
        Self {
            mongodb: mongodb(reader, needs.mongodb),
            rabbitmq: rabbitmq(reader, needs.rabbitmq),
            publish_timeout: span(reader, "rabbitmq.publish_timeout", 5, 1..=60),
            files: files(reader, needs.files),
            payments: accounts::payments(reader, accounts.clone(), needs),
            accounts,
            apns: apns::read(reader, needs.apns),
            api: api(reader, needs.api),
            worker: worker(reader, shutdown_deadline),
            bills: Bills::read(reader),
            devices: Devices::read(reader),
            telemetry: Telemetry::read(reader),
            shutdown_deadline,
        }
    }

    pub(super) fn process(&self) -> Option<Process> {
        Some(Process {
            mongodb: self.mongodb.clone()?,
            rabbitmq: self.rabbitmq.clone()?,
            publish_timeout: self.publish_timeout,
            files: self.files.clone()?,
            payments: self.payments.clone(),
            apns: self.apns.clone(),
            bills: self.bills.clone(),
            devices: self.devices.clone(),
            telemetry: self.telemetry.clone(),
            shutdown_deadline: self.shutdown_deadline,
            idle_variables: Vec::new(),
        })
    }
}

fn mongodb(reader: &mut Reader<'_>, need: Need) -> Option<MongoDb> {
    let url = reader.secret("mongodb.url", need);
    let database = reader.or("mongodb.database", "feat".to_owned());
    scheme(reader, "mongodb.url", url.as_ref(), &["mongodb://", "mongodb+srv://"]);
    Some(MongoDb { url: url?, database })
}

fn rabbitmq(reader: &mut Reader<'_>, need: Need) -> Option<SecretString> {
    let url = reader.secret("rabbitmq.url", need);
    scheme(reader, "rabbitmq.url", url.as_ref(), &["amqp://", "amqps://"]);
    url
}

fn files(reader: &mut Reader<'_>, need: Need) -> Option<FileStore> {
    let store = reader.required::<String>("files.store", need);
    let (folder, s3) = match store.as_deref() {
        Some("folder") => (true, false),
        Some("s3") => (false, true),
        None => (false, false),
        Some(_) => {
            reader.expect("files.store", false, || "expected \"folder\" or \"s3\"".to_owned());
            (false, false)
        }
    };
    let path = reader.required("files.folder", need.only_if(folder));
    let bucket = s3_settings(reader, need.only_if(s3));
    if folder { path.map(FileStore::Folder) } else { bucket.filter(|_| s3).map(FileStore::S3) }
}

fn s3_settings(reader: &mut Reader<'_>, need: Need) -> Option<S3Settings> {
    let bucket = reader.required("files.s3.bucket", need);
    let region = reader.required("files.s3.region", need);
    let endpoint = reader.optional::<String>("files.s3.endpoint");
    let access_key_id = reader.required("files.s3.access_key_id", need);
    let secret_access_key = reader.secret("files.s3.secret_access_key", need);
    let allow_http = reader.or("files.s3.allow_http", false);
    let plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    reader.expect("files.s3.endpoint", allow_http || !plain, || {
        "is not encrypted; set files.s3.allow_http = true if that is meant".to_owned()
    });
    Some(S3Settings {
        bucket: bucket?,
        region: region?,
        endpoint,
        access_key_id: access_key_id?,
        secret_access_key: secret_access_key?,
        allow_http,
    })
}

fn api(reader: &mut Reader<'_>, need: Need) -> Option<ApiPart> {
    let listen = reader.or("api.listen", SocketAddr::from(([127, 0, 0, 1], 8080)));
    let public_url = reader.required::<String>("api.public_url", need);
    let token_key = token_key(reader, need);
    let other_token_keys = other_token_keys(reader, need);
    let trusted_issuer = trusted_issuer(reader);
    let default_wait = span(reader, "api.default_wait", 0, 0..=60);
    let max_wait = span(reader, "api.max_wait", 60, 1..=600);
    let access_token_life = span(reader, "api.access_token_life", 15 * 60, 60..=86_400);
    let session_life = span(reader, "api.session_life", 30 * 86_400, 3_600..=3_650 * 86_400);
    let largest = api::PictureLimits::default().max_bytes;
    let max_picture_bytes = reader.number("api.max_picture_bytes", largest, 1024..=256 << 20);
    let connections = reader.number("api.connections", 8_192, 16..=1 << 20);
    let edge = Edge::read(reader);
    if let Some(url) = &public_url
        && let Err(problem) = address::public_url(url)
    {
        reader.expect("api.public_url", false, || problem);
    }
    reader.expect("api.default_wait", default_wait <= max_wait, || {
        "must not be longer than api.max_wait".to_owned()
    });
    Some(ApiPart {
        listen,
        public_url: public_url?,
        token_key: token_key?,
        other_token_keys,
        trusted_issuer,
        default_wait,
        max_wait,
        access_token_life,
        session_life,
        max_picture_bytes,
        connections: usize::try_from(connections).unwrap_or(usize::MAX),
        edge,
    })
}

fn token_key(reader: &mut Reader<'_>, need: Need) -> Option<TokenKey> {
    match TokenKey::from_pem(reader.secret("api.token_key", need)?) {
        Ok(key) => Some(key),
        Err(error) => {
            reader.expect("api.token_key", false, || error.to_string());
            None
        }
    }
}

fn other_token_keys(reader: &mut Reader<'_>, need: Need) -> Vec<TokenKey> {
    let need = if need == Need::Must { Need::May } else { need };
    let Some(text) = reader.secret("api.other_token_keys", need) else { return vec![] };
    TokenKey::many_from_pem(&text).unwrap_or_else(|error| {
        reader.expect("api.other_token_keys", false, || error.to_string());
        vec![]
    })
}

/// All three parts or none.
fn trusted_issuer(reader: &mut Reader<'_>) -> Option<TrustedIssuer> {
    const URL: &str = "api.trusted_issuer.jwks_url";
    let issuer = reader.optional::<String>("api.trusted_issuer.issuer");
    let audience = reader.optional::<String>("api.trusted_issuer.audience");
    let jwks_url = reader.optional::<String>(URL);
    if let Some(url) = &jwks_url {
        let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        let safe = url.starts_with("https://") || local.iter().any(|local| url.starts_with(local));
        reader.expect(URL, safe, || "expected an address that begins with https://".to_owned());
    }
    let some = issuer.is_some() || audience.is_some() || jwks_url.is_some();
    let all = issuer.is_some() && audience.is_some() && jwks_url.is_some();
    reader.expect("api.trusted_issuer", all || !some, || {
        "set issuer, audience and jwks_url, or none of them".to_owned()
    });
    Some(TrustedIssuer { issuer: issuer?, audience: audience?, jwks_url: jwks_url? })
}

fn worker(reader: &mut Reader<'_>, shutdown_deadline: Duration) -> WorkerPart {
    let defaults = workers::Settings::default();
    let name = reader.or("worker.name", host_name());
    let listen = reader.optional("worker.listen");
    let queues = Queue::ALL.into_iter().map(|queue| (queue, queue_settings(reader, queue)));
    let queues: BTreeMap<_, _> = queues.collect();
    let settings = workers::Settings {
        // Two processes must never hold one lease, whatever they are called.
        name: format!("{name}-{:08x}", rand::random::<u32>()),
        queues,
        lease: span(reader, "worker.lease", 10, 3..=300),
        sweep_interval: span(reader, "worker.sweep_interval", 1, 1..=60),
        sweep_margin: span(reader, "worker.sweep_margin", 5, 1..=600),
        retention: span(reader, "worker.retention", 72 * 3_600, 60..=3_650 * 86_400),
        shutdown_deadline,
        ..defaults
    };
    WorkerPart { listen, settings }
}

fn queue_settings(reader: &mut Reader<'_>, queue: Queue) -> QueueSettings {
    let defaults = workers::Settings::default().queues.get(&queue).copied().unwrap_or_default();
    let concurrency = u64::try_from(defaults.concurrency).unwrap_or(1);
    let concurrency_key = format!("worker.queues.{queue}.concurrency");
    let concurrency = reader.number(&concurrency_key, concurrency, 1..=4_096);
    let prefetch_key = format!("worker.queues.{queue}.prefetch");
    let fitting = u64::from(defaults.prefetch).max(concurrency);
    let prefetch = reader.number(&prefetch_key, fitting, 1..=8_192);
    reader.expect(&prefetch_key, prefetch >= concurrency, || {
        format!("expected at least the queue's concurrency, {concurrency}")
    });
    QueueSettings {
        concurrency: usize::try_from(concurrency).unwrap_or(1),
        prefetch: u16::try_from(prefetch).unwrap_or(u16::MAX),
    }
}

/// A span of time with its default and its range in seconds.
pub(super) fn span(
    reader: &mut Reader<'_>,
    key: &str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Duration {
    let span = reader.or(key, Duration::from_secs(default));
    let (least, most) = (Duration::from_secs(*range.start()), Duration::from_secs(*range.end()));
    reader.expect(key, (least..=most).contains(&span), || {
        let text = super::duration::text;
        format!("expected a span from {} to {}", text(least), text(most))
    });
    span
}

/// Notes a secret address with another scheme, without showing it.
fn scheme(reader: &mut Reader<'_>, key: &str, url: Option<&SecretString>, schemes: &[&str]) {
    let Some(url) = url else { return };
    let fits = schemes.iter().any(|scheme| url.expose_secret().starts_with(scheme));
    reader.expect(key, fits, || {
        format!("expected an address that begins with {}", schemes.join(" or "))
    });
}
