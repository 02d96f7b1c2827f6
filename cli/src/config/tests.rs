//! What a wrong configuration is told, what a right one means, and what never prints.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod told;

use std::{fs, path::PathBuf, time::Duration};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::{Config, FileStore, Problems};

const EXAMPLE: &str = include_str!("../../../feat.example.toml");

fn file(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("feat.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn config(text: &str, pairs: &[(&str, &str)]) -> Config {
    let (_folder, path) = file(text);
    Config::from(Some(&path), variables(pairs)).unwrap()
}

fn problems_of<T>(result: Result<T, Problems>) -> String {
    match result {
        Ok(_) => panic!("accepted"),
        Err(problems) => problems.to_string(),
    }
}

const WORKER: &[(&str, &str)] = &[
    ("FEAT_MONGODB__URL", "mongodb://db/"),
    ("FEAT_RABBITMQ__URL", "amqp://mq/"),
    ("FEAT_FILES__STORE", "folder"),
    ("FEAT_FILES__FOLDER", "/files"),
];

#[test]
fn an_empty_configuration_is_told_everything_that_is_missing() {
    let text = problems_of(config("", &[]).api());

    for key in ["mongodb.url", "rabbitmq.url", "files.store", "api.public_url", "api.token_key"] {
        assert!(text.contains(&format!("{key} is missing")), "{key}: {text}");
    }
    assert!(text.contains("FEAT_MONGODB__URL"), "{text}");
}

#[test]
fn every_problem_is_told_at_once_with_its_place() {
    let text = r#"
        colour = "red"
        shutdown_deadline = 5
        [mongodb]
        uri = "mongodb://db/"
        [rabbitmq]
        url = "http://mq:s3cret@x/"
        [files]
        store = "tape"
        [api]
        public_url = "feat.example.com/"
        listen = "8080"
        token_key = "hunter2"
        default_wait = "50s"
        max_wait = "10s"
        [worker]
        lease = "1s"
        [payments]
        bill_life = "1m"
        reports_kept = "1d"
        [worker.queues.images]
        concurrency = 0
        prefetch = -1
        [telemetry]
        log = "in=fo=x"
    "#;
    let told = problems_of(config(text, &[("FEAT_WORKER__RETENTION", "soon")]).api());

    let expected = [
        ("unknown key", "colour is no setting"),
        ("wrong type", "shutdown_deadline: expected a whole number with a unit"),
        ("misspelt key", "mongodb.uri is no setting"),
        ("missing key", "mongodb.url is missing"),
        ("wrong scheme", "rabbitmq.url: expected an address that begins with amqp://"),
        ("unknown word", "files.store: expected \"folder\" or \"s3\""),
        ("wrong address", "api.public_url: expected"),
        ("no address", "api.listen: expected an IP address with a port"),
        ("unusable secret", "api.token_key: the token key is not a P-256 private key"),
        ("two that do not fit", "api.default_wait: must not be longer"),
        ("out of range", "worker.lease: expected a span from 3s to 5m"),
        ("too short a life", "payments.bill_life: expected a span from 5m to 7d"),
        ("too short a memory", "payments.reports_kept: expected a span from 31d to 3650d"),
        ("number out of range", "worker.queues.images.concurrency: expected a number from 1"),
        ("negative number", "worker.queues.images.prefetch: expected a whole number"),
        ("filter", "telemetry.log: expected a filter"),
        ("variable", "variable FEAT_WORKER__RETENTION: worker.retention: expected"),
    ];
    for (name, line) in expected {
        assert!(told.contains(line), "{name}: {line:?} is not in\n{told}");
    }
    assert!(told.contains("feat.toml: colour"), "the place is not told:\n{told}");
    assert!(!told.contains("s3cret") && !told.contains("hunter2"), "a secret is told:\n{told}");
}

#[test]
fn a_file_that_is_not_toml_is_told_with_its_line() {
    let (_folder, path) = file("[mongodb]\nurl = \"mongodb://u:hunter2@db/");
    let told = problems_of(Config::from(Some(&path), []));

    assert!(told.contains("feat.toml") && told.contains("line 2"), "{told}");
    assert!(!told.contains("hunter2"), "a secret is told: {told}");
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let told = problems_of(Config::from(Some(&PathBuf::from("/nowhere/feat.toml")), []));

    assert!(told.contains("/nowhere/feat.toml: cannot read it"), "{told}");
}

#[test]
fn the_example_is_complete_and_right() {
    let (folder, path) = file(EXAMPLE);
    let secret = folder.path().join("secret");
    let key = api::auth::TokenKey::generate();
    fs::write(&secret, key.to_pem().expose_secret()).unwrap();
    let secret = secret.to_str().unwrap();
    let text = EXAMPLE
        .replace("/run/secrets/feat_token_key", secret)
        .replace("/run/secrets/feat_s3_key", secret);
    fs::write(&path, text).unwrap();
    let config = Config::from(Some(&path), []).unwrap();

    let (process, api) = config.api().unwrap_or_else(|problems| panic!("{problems}"));
    assert!(matches!(process.files, FileStore::S3(_)));
    assert_eq!(api.token_key.id(), key.id());
    config.worker().unwrap_or_else(|problems| panic!("{problems}"));
    for key in config.effective().0.keys() {
        let name = key.rsplit('.').next().unwrap();
        let shown =
            EXAMPLE.contains(&format!("{name} =")) || EXAMPLE.contains(&format!("[[{key}]]"));
        assert!(shown || name.ends_with("_file"), "the example does not show {key}");
    }
}

#[test]
fn the_defaults_in_the_example_are_the_defaults() {
    let commented = EXAMPLE.lines().filter_map(|line| line.strip_prefix("# "));
    let shown: Vec<_> = commented.filter(|line| line.contains(" = ")).collect();
    let (effective, _) = config("", &[]).effective();

    for (key, setting) in effective.iter().filter(|(_, setting)| setting.source == "default") {
        let name = key.rsplit('.').next().unwrap();
        let forms =
            [format!("{name} = {}", setting.value), format!("{name} = \"{}\"", setting.value)];
        let written = shown.iter().any(|line| forms.iter().any(|form| form == line));
        // The machine's name differs, and the address has its default in a comment.
        let excepted = ["worker.name", "api.listen"].contains(&key.as_str());
        assert!(written || excepted, "{key} = {} is not in the example", setting.value);
    }
}

#[test]
fn callers_of_the_api_are_described_or_the_mistake_is_told() {
    let text = r#"
        [api]
        cors_origins = ["https://app.example.com/x"]
        trusted_proxies = ["10.0.0.0/8", "proxy"]
        rate_limits.address = "many"
        rate_limits.user = "off"
    "#;
    let told = problems_of(config(text, &[]).api());
    let expected = [
        "api.cors_origins: \"https://app.example.com/x\" is no origin",
        "api.trusted_proxies: \"proxy\" is no network",
        "api.rate_limits.address: expected requests and a span",
    ];
    for text in expected {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert!(!told.contains("rate_limits.user"), "{told}");

    let star = "[api]\ncors_origins = \"*\"\ncors_credentials = true\n";
    let told = problems_of(config(star, &[]).api());
    assert!(told.contains("cannot be combined with credentials"), "{told}");
}

#[test]
fn variables_win_over_the_file_and_keep_their_text() {
    let text = "[mongodb]\nurl = \"mongodb://file/\"\ndatabase = \"file\"\n";
    let mut pairs = WORKER.to_vec();
    pairs.push(("FEAT_MONGODB__DATABASE", "007"));
    pairs.push(("FEAT_WORKER__QUEUES__IMAGES__CONCURRENCY", "7"));
    let (process, worker) = config(text, &pairs).worker().unwrap();

    assert_eq!(process.mongodb.url.expose_secret(), "mongodb://db/");
    assert_eq!(process.mongodb.database, "007");
    let images = worker.settings.queues[&schemas::Queue::Images];
    assert_eq!(images.concurrency, 7);
    assert_eq!(worker.settings.lease, Duration::from_secs(10));
}

#[test]
fn a_secret_may_lie_in_a_file() {
    let (_folder, path) = file("mongodb://from-a-file/\n");
    let mut pairs = WORKER[1..].to_vec();
    pairs.push(("FEAT_MONGODB__URL_FILE", path.to_str().unwrap()));
    let (process, _) = config("", &pairs).worker().unwrap();
    assert_eq!(process.mongodb.url.expose_secret(), "mongodb://from-a-file/");

    pairs.push(WORKER[0]);
    let told = problems_of(config("", &pairs).worker());
    assert!(told.contains("one of mongodb.url and mongodb.url_file"), "{told}");
}

#[test]
fn a_variable_with_one_underscore_too_few_is_told() {
    let told = problems_of(config("", &[("FEAT_MONGODB_URL", "mongodb://db/")]).worker());

    assert!(told.contains("write FEAT_MONGODB__URL"), "{told}");
}

#[test]
fn variables_that_an_orchestrator_makes_are_no_settings() {
    let mut pairs = WORKER.to_vec();
    pairs.push(("FEAT_API_SERVICE_HOST", "10.0.0.1"));
    pairs.push(("PATH", "/bin"));

    assert!(config("", &pairs).worker().is_ok());
}

#[test]
fn other_variables_that_do_nothing_are_told() {
    let pairs = [
        ("FEAT_LISTEN", "0.0.0.0:80"),
        ("FEAT_COLOUR", "red"),
        ("FEAT_DATA", "/data"),
        ("FEAT_LOG", "info"),
        ("FEAT_API_SERVICE_HOST", "10.0.0.1"),
        ("FEAT_API_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
    ];
    let told = config("", &pairs).idle_variables();

    let [listen, colour] = told.as_slice() else { panic!("{told:?}") };
    assert!(colour.contains("FEAT_COLOUR is no setting"), "{colour}");
    assert!(listen.contains("write FEAT_API__LISTEN"), "{listen}");
}

#[test]
fn secrets_do_not_print() {
    let secret = "mongodb://u:hunter2@db/";
    let mut pairs = WORKER[1..].to_vec();
    pairs.push(("FEAT_MONGODB__URL", secret));
    let config = config("", &pairs);
    let (effective, _) = config.effective();

    assert_eq!(effective["mongodb.url"].value, "(secret)");
    assert_eq!(effective["mongodb.url"].source, "variable FEAT_MONGODB__URL");
    let (process, _) = config.worker().unwrap();
    assert!(!format!("{:?} {:?}", effective, process.mongodb.url).contains("hunter2"));
}

#[test]
fn secrets_of_other_processes_stay_unread() {
    let mut pairs = WORKER.to_vec();
    pairs.push(("FEAT_API__TOKEN_KEY_FILE", "/nowhere/token-key.pem"));

    assert!(config("", &pairs).worker().is_ok());
    let told = problems_of(config("", &pairs).api());
    assert!(told.contains("api.token_key_file: cannot read /nowhere/token-key.pem"), "{told}");
}

#[test]
fn operators_need_the_database_only() {
    let text = "[mongodb]\nurl = \"mongodb://db/\"\n";

    assert!(config(text, &[]).operator().is_ok());
    assert!(problems_of(config("", &[]).operator()).contains("mongodb.url is missing"));
}

const API: &str = "[mongodb]\nurl = \"mongodb://db/\"\n[rabbitmq]\nurl = \"amqp://mq/\"\n\
    [files]\nstore = \"folder\"\nfolder = \"/files\"\n[api]\npublic_url = \"https://a.test\"\n";

#[test]
fn other_keys_are_read_one_after_the_other() {
    let keys: Vec<_> = (0..3).map(|_| api::auth::TokenKey::generate()).collect();
    let pem = |key: &api::auth::TokenKey| key.to_pem().expose_secret().to_owned();
    let others = format!("{}{}", pem(&keys[1]), pem(&keys[2]));
    let key = pem(&keys[0]);
    let mut pairs =
        vec![("FEAT_API__TOKEN_KEY", key.as_str()), ("FEAT_API__OTHER_TOKEN_KEYS", &others)];
    let (_, api) = config(API, &pairs).api().unwrap();
    let ids: Vec<_> = api.other_token_keys.iter().map(|key| key.id().to_owned()).collect();
    assert_eq!(ids, [keys[1].id(), keys[2].id()]);

    pairs[1].1 = "hunter2";
    let told = problems_of(config(API, &pairs).api());
    assert!(told.contains("api.other_token_keys") && !told.contains("hunter2"), "{told}");
}

#[test]
fn a_trusted_issuer_is_whole_and_its_keys_come_over_tls() {
    let key = api::auth::TokenKey::generate();
    let pairs = [("FEAT_API__TOKEN_KEY", key.to_pem().expose_secret())];
    let with = |lines: &str| config(&format!("{API}[api.trusted_issuer]\n{lines}"), &pairs).api();
    let names = "issuer = \"https://i.test\"\naudience = \"feat\"\n";
    let whole = with(&format!("{names}jwks_url = \"https://i.test/keys\"")).unwrap().1;

    assert_eq!(whole.trusted_issuer.unwrap().issuer, "https://i.test");
    assert!(with("").unwrap().1.trusted_issuer.is_none());
    let told = problems_of(with(names));
    assert!(told.contains("jwks_url, or none"), "{told}");
    let told = problems_of(with(&format!("{names}jwks_url = \"http://i.test/keys\"")));
    assert!(told.contains("begins with https://"), "{told}");
}

#[test]
fn apps_that_are_pushed_to_are_described_or_the_mistake_is_told() {
    let text = r#"
        [apns]
        transport = "pigeon"
        production = "http://192.0.2.1"
        connections = 99
        [[apns.accounts]]
        apps = ["com.example.notes"]
        key = { value = "s3cret" }
        key_id = "ABCDE12345"
        [[apns.accounts]]
        apps = ["com.example.notes"]
        certificate = { file = "/c.p12" }
    "#;
    let told = problems_of(config(text, WORKER).worker());
    let expected = [
        "apns.transport: expected \"direct\" or \"a2\"",
        "apns.production: expected an address",
        "apns.connections: expected a number from 1 to 16",
        "apns.accounts: 0: team_id is missing",
        "apns.accounts: the app com.example.notes stands there twice",
    ];
    for text in expected {
        assert!(told.contains(text), "{text}: {told}");
    }
    assert!(!told.contains("s3cret"), "a secret is told:\n{told}");

    let right = "[[apns.accounts]]\napps = [\"com.example.notes\"]\n\
                 key = { env = \"NO_SUCH_KEY\" }\nkey_id = \"ABCDE12345\"\nteam_id = \"FGHIJ67890\"\n";
    let told = problems_of(config(right, WORKER).worker());
    assert!(told.contains("NO_SUCH_KEY is not set"), "{told}");
    let key = api::auth::TokenKey::generate();
    let pem = key.to_pem();
    let mut pairs = WORKER.to_vec();
    pairs.push(("FEAT_API__TOKEN_KEY", pem.expose_secret()));
    pairs.push(("FEAT_API__PUBLIC_URL", "https://feat.test"));
    let (process, _) = config(right, &pairs).api().unwrap();
    assert_eq!(process.apns.unwrap().apps.len(), 1, "the API knows the app and needs no key");
}
