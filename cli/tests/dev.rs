//! `feat dev`, as a person meets it: its first start, its second, and its refusals.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use schemas::{BookDay, Timestamp};
use support::{Dev, assert_refused, error_of, feat, json, run};

/// Starts that should fail end by themselves; this one names the folder.
fn refused(folder: &Path, words: &[&str]) -> std::process::Output {
    let folder = folder.to_str().unwrap();
    let mut all = vec!["dev", "--data", folder];
    if !words.contains(&"--listen") {
        all.extend(["--listen", "127.0.0.1:0"]);
    }
    all.extend(words);
    run(&all)
}

#[test]
fn the_first_start_makes_everything_and_the_second_keeps_it() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    let dev = Dev::start(&folder);

    assert_eq!(dev.sign_in(), 200);
    let key = fs::metadata(folder.join("token-key.pem")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    assert!(dev.interrupt().success());
    let key = fs::read(folder.join("token-key.pem")).unwrap();
    let users = support::json(&["user", "list", "--data", folder.to_str().unwrap()]);
    assert_eq!(users.len(), 1);

    let again = Dev::start(&folder);
    assert_eq!(again.sign_in(), 200);
    assert!(again.interrupt().success());
    assert_eq!(fs::read(folder.join("token-key.pem")).unwrap(), key);
    assert_eq!(support::json(&["user", "list", "--data", folder.to_str().unwrap()]), users);
}

#[test]
fn what_lies_in_a_folder_that_is_open_to_others_is_for_this_user_alone() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let dev = Dev::start(&folder);
    let script = dev.printed.split_once("terminal:\n").unwrap().1;
    let upload = script.split_once("# delete it").unwrap().0;
    let pasted = Command::new("sh").args(["-eu", "-c", upload]).output().unwrap();
    assert!(pasted.status.success(), "{}", error_of(&pasted));

    let (mut left, mut seen) = (vec![folder.clone()], Vec::new());
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let (path, metadata) = (entry.path(), entry.metadata().unwrap());
            let mode = metadata.permissions().mode() & 0o777;
            let most = if metadata.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode & !most, 0, "{}: {mode:o}", path.display());
            if metadata.is_dir() {
                left.push(path.clone());
            }
            seen.push(path.strip_prefix(&folder).unwrap().display().to_string());
        }
    }
    for name in ["feat.db", "feat.db-wal", "feat.lock", "token-key.pem", "files"] {
        assert!(seen.iter().any(|path| path == name), "{name} is not in {seen:?}");
    }
    let is_picture = |path: &String| path.starts_with("files/images/") && path.contains(".png");
    assert!(seen.iter().any(is_picture), "{seen:?}");
    assert!(dev.interrupt().success());
}

#[test]
fn addresses_that_make_no_sense_are_refused_with_advice() {
    let home = tempfile::tempdir().unwrap();
    let cases = [
        ("--public-url", "nonsense", "https://feat.example.com"),
        ("--public-url", "https://feat.example.com/", "without a slash"),
        ("--listen", "8080", "127.0.0.1:8080"),
        ("--listen", "feat.example.com:8080", "127.0.0.1:8080"),
    ];
    for (option, value, advice) in cases {
        let output = refused(home.path(), &[option, value]);
        let error = error_of(&output);
        assert_eq!(output.status.code(), Some(2), "{value}: {error}");
        assert!(error.contains(option) && error.contains(advice), "{value}: {error}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let output = refused(home.path(), &["--listen", &format!("localhost:{port}")]);
    assert_refused(&output, &[&format!("127.0.0.1:{port}"), "another program"]);
}

#[test]
fn the_printed_lines_can_be_pasted_as_they_are() {
    let home = tempfile::tempdir().unwrap();
    let dev = Dev::start(home.path());
    let script = dev.printed.split_once("terminal:\n").unwrap().1;
    let pasted = Command::new("sh").args(["-eu", "-c", script]).output().unwrap();
    let answer = String::from_utf8_lossy(&pasted.stdout);

    assert!(pasted.status.success(), "{}\n{answer}", error_of(&pasted));
    for word in [
        "\"tags\"",
        "pixel",
        "image.delete",
        "succeeded",
        "weixin://wxpay/bizpayurl",
        "\"status\":200",
        "\"accepted\":1",
        "com.example.demo",
    ] {
        assert!(answer.contains(word), "{word:?} is not in\n{answer}\n{}", error_of(&pasted));
    }
    assert!(dev.interrupt().success());
}

#[test]
fn health_asks_a_running_process() {
    let home = tempfile::tempdir().unwrap();
    let dev = Dev::start(home.path());
    let ready = format!("{}/readyz", dev.url);
    let nothing = format!("{}/api/nothing/", dev.url);

    assert!(run(&["health", "--url", &ready]).status.success());
    assert_refused(&run(&["health", "--url", &nothing]), &["answers 404"]);
    assert!(dev.interrupt().success());
    assert_refused(&run(&["health", "--url", &ready]), &["log"]);
}

#[test]
fn counters_are_there_before_they_count() {
    let home = tempfile::tempdir().unwrap();
    let dev = Dev::start(home.path());
    let address = dev.url.strip_prefix("http://").unwrap();
    let metrics = || {
        let mut stream = TcpStream::connect(address).unwrap();
        let ask = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(ask).unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    };
    let wanted = [
        "feat_messages_parked_total 0",
        "feat_jobs_accepted_total{kind=\"image.delete\"} 0",
        "feat_publish_failures_total 0",
        "feat_jobs_republished_total{why=\"message_lost\",queue=\"images\"} 0",
    ];
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut page = metrics();
    while !wanted.iter().all(|counter| page.contains(counter)) {
        assert!(Instant::now() < deadline, "{page}");
        page = metrics();
    }
    let families = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for family in families {
        assert!(page.contains(&format!("# HELP {family} ")), "{family} is not explained");
    }
    assert!(dev.interrupt().success());
}

#[test]
fn operators_look_and_change_beside_a_running_feat() {
    let home = tempfile::tempdir().unwrap();
    let dev = Dev::start(home.path());
    let folder = home.path().to_str().unwrap();
    let with = |words: &[&str]| json(&[words, &["--data", folder]].concat());

    let key = &with(&["user", "key", "add", "+86-13800000001", "--name", "test"])[0];
    let head = format!("Authorization: Token {}\r\n", key["key"].as_str().unwrap());
    let (status, body) = dev.send("GET", "/api/user/basic-info/", &head, b"");
    assert_eq!(status, 200, "{body}");
    let body = br#"{"amount": 1250, "subject": "tea"}"#;
    let json_head = format!("{head}Content-Type: application/json\r\n");
    let (status, made) = dev.send("POST", "/api/pay/order/", &json_head, body);
    assert_eq!(status, 403, "a key for everything makes no bills: {made}");
    // The day before the last one: for some hours a bill that is absent may only be late.
    let day = BookDay::published(Timestamp::now()).before().to_string();
    let reports = with(&["pay", "reconcile", "--date", &day]);
    assert_eq!(reports.len(), 3, "one of each provider, after they were matched: {reports:?}");
    // The timetable has planned its rounds meanwhile, or soon will have.
    let deadline = Instant::now() + support::PATIENCE;
    while with(&["jobs", "list", "--all"]).is_empty() {
        assert!(Instant::now() < deadline, "a running Feat has its own jobs");
    }
    assert!(dev.interrupt().success());
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = refused(home.path(), &["--listen", &address]);

    assert_refused(&output, &[&address, "another program", "--listen"]);
}

#[test]
fn a_folder_that_cannot_be_made_is_one_clear_line() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let output = refused(&file.join("data"), &[]);

    assert_refused(&output, &["file/data", "--data"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_one_clear_line() {
    // Nobody can write there, not even root.
    let output = refused(Path::new("/proc/self"), &[]);

    assert_refused(&output, &["/proc/self", "--data"]);
}

#[test]
fn a_corrupt_database_is_one_clear_line() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("feat.db"), "this was a database once ".repeat(1_000)).unwrap();
    let output = refused(home.path(), &[]);

    assert_refused(&output, &[home.path().to_str().unwrap(), "feat.db"]);
    let kept = fs::read_to_string(home.path().join("feat.db")).unwrap();
    assert!(kept.starts_with("this was a database once"), "it was overwritten");
}

#[test]
fn a_damaged_token_key_is_one_clear_line() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("token-key.pem"), "no key").unwrap();

    assert_refused(&refused(home.path(), &[]), &["token-key.pem", "remove it"]);
}

#[test]
fn a_second_instance_on_the_same_folder_is_one_clear_line() {
    let home = tempfile::tempdir().unwrap();
    let dev = Dev::start(home.path());
    let folder = home.path().to_str().unwrap();

    assert_refused(&refused(home.path(), &[]), &[folder, "another "]);
    assert_eq!(dev.sign_in(), 200);
}

#[test]
fn demo_accounts_stay_on_this_machine() {
    let home = tempfile::tempdir().unwrap();
    let open = &["--listen", "0.0.0.0:0"];

    assert_refused(&refused(home.path(), open), &["demo password", "--allow-demo-on-network"]);
    assert!(Dev::start(home.path()).interrupt().success());
    let without = refused(home.path(), &["--listen", "0.0.0.0:0", "--no-demo"]);
    assert_refused(&without, &["--allow-demo-on-network"]);
}

#[test]
fn dev_is_what_happens_without_a_command() {
    let help = String::from_utf8(feat(&["--help"]).output().unwrap().stdout).unwrap();

    assert!(help.contains("--listen <ADDRESS>") && help.contains("jobs"), "{help}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let home = tempfile::tempdir().unwrap();
    let output = feat(&[])
        .env("FEAT_DATA", home.path())
        .env("FEAT_LISTEN", taken.local_addr().unwrap().to_string())
        .output()
        .unwrap();
    assert_refused(&output, &["another program"]);
}
