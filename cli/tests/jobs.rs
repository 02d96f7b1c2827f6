//! `feat jobs` and the accounts, on an embedded folder.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};

use schemas::{
    BillSn, ImageId, JobError, JobRecord, JobSpec, JobState, Timestamp, UserId, Verdict,
    bill::ClosingReason,
    job::NewJob,
    kinds::{
        ImageDelete, JobExpiry, PayClose, image_delete::ImageDeletion, job_expiry::Expiry,
        pay_close::PayClosing,
    },
};
use serde_json::Value;
use store::{Insert, Store};
use support::{answer, error_of, feat, json, run};
use tempfile::TempDir;

fn deletion(owner: UserId) -> JobRecord {
    let payload = ImageDeletion { image: ImageId::generate() };
    let new = NewJob::of::<ImageDelete>(owner, &payload).unwrap();
    JobRecord::accept(new, "api", Timestamp::now())
}

fn settled(job: JobRecord, verdict: Verdict) -> JobRecord {
    let spec = JobSpec::of::<ImageDelete>();
    job.settle(&spec, verdict, "worker", Timestamp::now(), 0.5).unwrap()
}

fn failed(job: JobRecord) -> JobRecord {
    settled(job, Verdict::Error(JobError::Rejected("image_not_found")))
}

/// The store takes any record as the first one.
async fn keep(store: &Store, job: &JobRecord) {
    assert_eq!(store.jobs.insert(job).await.unwrap(), Insert::Stored);
}

/// A folder with `jobs` in it.
fn folder(jobs: &[JobRecord]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::sqlite(folder.path()).await.unwrap();
        for job in jobs {
            keep(&store, job).await;
        }
        store.close().await;
    });
    folder
}

fn read(folder: &Path, job: &JobRecord) -> JobRecord {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::sqlite(folder).await.unwrap();
        let read = store.jobs.get(job.id).await.unwrap().unwrap();
        store.close().await;
        read
    })
}

fn on<'a>(folder: &'a TempDir, words: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["jobs"];
    all.extend(words);
    all.extend(["--data", folder.path().to_str().unwrap()]);
    all
}

fn ids(lines: &[Value]) -> Vec<String> {
    lines.iter().filter_map(|line| line["id"].as_str()).map(str::to_owned).collect()
}

/// The lines of a command that did not change every job it named.
fn skipped(words: &[&str]) -> Vec<Value> {
    let output = run(words);
    assert_eq!(output.status.code(), Some(1), "{}", error_of(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn list_filters_by_everything_and_pages_through_all() {
    let owners = [UserId::generate(), UserId::generate()];
    let mut jobs: Vec<_> = (0..450).map(|_| deletion(owners[0])).collect();
    let other = failed(deletion(owners[1]));
    let new = NewJob::of::<JobExpiry>(UserId::FEAT, &Expiry {}).unwrap();
    let mut old = JobRecord::accept(new, "timetable", Timestamp::now());
    old.created_at = old.created_at - Duration::from_hours(3);
    jobs.extend([other.clone(), old.clone()]);
    let folder = folder(&jobs);
    let owner = owners[1].to_string();
    let (other, old) = (vec![other.id.to_string()], vec![old.id.to_string()]);

    assert_eq!(json(&on(&folder, &["list"])).len(), 50);
    assert_eq!(json(&on(&folder, &["list", "--limit", "201"])).len(), 201);
    let mut all = ids(&json(&on(&folder, &["list", "--all"])));
    let mut expected: Vec<_> = jobs.iter().map(|job| job.id.to_string()).collect();
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
    let cases: [(&str, &[&str], &[String]); 6] = [
        ("state", &["list", "--state", "failed"], &other),
        ("error", &["list", "--error", "image_not_found"], &other),
        ("user", &["list", "--user", &owner], &other),
        ("kind", &["list", "--kind", "job.expiry"], &old),
        ("until", &["list", "--until", "2h"], &old),
        ("both", &["list", "--until", "2h", "--state", "failed"], &[]),
    ];
    for (name, words, expected) in cases {
        assert_eq!(ids(&json(&on(&folder, words))), expected, "{name}");
    }
    let unknown = run(&on(&folder, &["list", "--user", "nobody"]));
    support::assert_refused(&unknown, &["no user nobody"]);
}

#[test]
fn show_prints_the_whole_record() {
    let job = failed(deletion(UserId::generate()));
    let folder = folder(std::slice::from_ref(&job));
    let shown = json(&on(&folder, &["show", &job.id.to_string()]));

    assert_eq!(serde_json::from_value::<JobRecord>(shown[0].clone()).unwrap(), job);
    let none = run(&on(&folder, &["show", &schemas::JobId::generate().to_string()]));
    support::assert_refused(&none, &["there is no job"]);
}

#[test]
fn a_dry_run_says_what_would_be_touched_and_touches_nothing() {
    let owner = UserId::generate();
    let jobs = [failed(deletion(owner)), failed(deletion(owner)), deletion(owner)];
    let folder = folder(&jobs);
    let told = json(&on(&folder, &["retry", "--user", &owner.to_string(), "--dry-run"]));

    let mut named = ids(&told);
    named.sort();
    let mut expected = vec![jobs[0].id.to_string(), jobs[1].id.to_string()];
    expected.sort();
    assert_eq!(named, expected);
    let summary = &told.last().unwrap()["summary"];
    assert_eq!(summary["by"][0]["count"], 2);
    assert_eq!(summary["by"][0]["state"], "failed");
    assert_eq!(read(folder.path(), &jobs[0]), jobs[0]);
}

#[test]
fn retry_gives_new_attempts_in_the_operators_name() {
    let job = failed(deletion(UserId::generate()));
    let folder = folder(std::slice::from_ref(&job));
    let told = json(&on(&folder, &["retry", &job.id.to_string(), "--as", "grace"]));

    assert_eq!(told[0]["result"], "changed");
    let after = read(folder.path(), &job);
    assert_eq!((after.state, after.attempts), (JobState::Waiting, 0));
    assert_eq!(after.history.last().unwrap().by, "operator grace");
    let again = skipped(&on(&folder, &["retry", &job.id.to_string()]));
    assert_eq!(
        (&again[0]["result"], &again[1]["summary"]["skipped"]),
        (&"skipped".into(), &1.into())
    );
}

#[test]
fn retry_leaves_alone_what_has_not_ended() {
    let now = Timestamp::now();
    let queued = deletion(UserId::generate()).request_cancel("owner", now).unwrap();
    let until = now + Duration::from_hours(1);
    let running = deletion(UserId::generate()).claim("worker", until, now).unwrap();
    let folder = folder(&[queued.clone(), running.clone()]);
    for job in [&queued, &running] {
        let told = skipped(&on(&folder, &["retry", &job.id.to_string()]));
        assert_eq!(told[0]["result"], "skipped", "{}", job.state);
        assert_eq!(&read(folder.path(), job), job);
    }
    let none = skipped(&on(&folder, &["retry", &schemas::JobId::generate().to_string()]));
    assert_eq!(none[0]["reason"], "no such job");
}

#[test]
fn cancelling_many_jobs_spares_those_that_feat_started_for_itself() {
    let sn = BillSn::generate(Timestamp::now());
    let close =
        NewJob::of::<PayClose>(UserId::FEAT, &PayClosing { sn, reason: ClosingReason::Overtime })
            .unwrap();
    let close = JobRecord::accept(close, "job", Timestamp::now());
    let expiry = NewJob::of::<JobExpiry>(UserId::FEAT, &Expiry {}).unwrap();
    let expiry = JobRecord::accept(expiry, "timetable", Timestamp::now());
    let ours = deletion(UserId::generate());
    let folder = folder(&[close.clone(), expiry.clone(), ours.clone()]);
    let wished = |job| read(folder.path(), job).cancel_requested_at.is_some();

    let told = json(&on(&folder, &["cancel", "--all", "--yes"]));
    let summary = &told.last().unwrap()["summary"];
    assert_eq!((&summary["changed"], &summary["skipped"]), (&1.into(), &2.into()));
    assert!(wished(&ours) && !wished(&expiry) && !wished(&close));

    let named = json(&on(&folder, &["cancel", "--kind", "job.expiry", "--yes"]));
    assert_eq!(named.last().unwrap()["summary"]["changed"], 1);
    assert!(wished(&expiry));
    let refused = skipped(&on(&folder, &["cancel", &close.id.to_string()]));
    assert!(refused[0]["reason"].as_str().unwrap().contains("close or settle"), "{refused:?}");
    assert!(!wished(&close), "nothing else would close the bill");
}

#[test]
fn cancel_notes_the_wish_and_leaves_the_end_to_a_worker() {
    let owner = UserId::generate();
    let done = settled(deletion(owner), Verdict::Done(serde_json::json!({})));
    let (first, second) = (deletion(owner), deletion(owner));
    let folder = folder(&[first.clone(), second.clone(), done.clone()]);
    let told = json(&on(&folder, &["cancel", "--all", "--yes"]));

    assert_eq!(told.last().unwrap()["summary"]["changed"], 2);
    for job in [&first, &second] {
        let after = read(folder.path(), job);
        assert!(after.cancel_requested_at.is_some());
        assert_eq!(after.state, JobState::Queued);
        assert_eq!(after.history.last().unwrap().by, "operator ada");
    }
    assert_eq!(read(folder.path(), &done), done);
}

#[test]
fn many_jobs_are_changed_page_by_page() {
    let jobs: Vec<_> = (0..501).map(|_| failed(deletion(UserId::generate()))).collect();
    let folder = folder(&jobs);

    let some = json(&on(&folder, &["retry", "--state", "failed", "--limit", "300", "--yes"]));
    assert_eq!(some.last().unwrap()["summary"]["changed"], 300);
    let rest = json(&on(&folder, &["retry", "--error", "image_not_found", "--yes"]));
    let mut states = BTreeMap::<String, u32>::new();
    for job in json(&on(&folder, &["list", "--all"])) {
        *states.entry(job["state"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(rest.last().unwrap()["summary"]["changed"], 201);
    assert_eq!(states, BTreeMap::from([("waiting".to_owned(), 501)]));
}

#[test]
fn nothing_is_changed_by_accident() {
    let jobs = [failed(deletion(UserId::generate())), failed(deletion(UserId::generate()))];
    let folder = folder(&jobs);
    let cases: [(&str, &[&str], &str); 3] = [
        ("no selection", &["retry"], "say which jobs"),
        ("nobody to confirm", &["retry", "--state", "failed"], "--yes"),
        ("a state it cannot change", &["retry", "--state", "queued"], "cannot be retried"),
    ];
    for (name, words, expected) in cases {
        let output = run(&on(&folder, words));
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(error_of(&output).contains(expected), "{name}: {}", error_of(&output));
    }
    assert_eq!(read(folder.path(), &jobs[0]), jobs[0]);
}

#[test]
fn accounts_are_added_once_and_listed_without_their_secrets() {
    let folder = folder(&[]);
    let data = folder.path().to_str().unwrap();
    let user = json(&["user", "add", "+86-13800001111", "--data", data]);
    assert_eq!(user[0]["password"].as_str().unwrap().len(), 64);
    let again = run(&["user", "add", "+86-13800001111", "--data", data]);
    support::assert_refused(&again, &["already"]);

    let client = json(&["client", "add", "web", "--scopes", "user_image", "--data", data]);
    assert_eq!(client[0]["client_secret"].as_str().unwrap().len(), 64);
    let phone = json(&["client", "add", "phone", "--public", "--data", data]);
    assert_eq!(phone[0]["client_secret"], Value::Null);

    let listed =
        answer(&["client", "list", "--data", data]) + &answer(&["user", "list", "--data", data]);
    assert!(listed.contains("user_image") && listed.contains("+86-13800001111"), "{listed}");
    assert!(!listed.contains("digest") && !listed.contains("argon2"), "{listed}");
}

#[test]
fn a_password_comes_on_standard_input() {
    use std::io::Write;

    let folder = folder(&[]);
    let data = folder.path().to_str().unwrap();
    let add = |password: &str| {
        let mut child = feat(&["user", "add", "ada", "--password-stdin", "--data", data])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };

    assert_eq!(add("short\n").status.code(), Some(2));
    let added = add("long enough\n");
    assert!(added.status.success(), "{}", error_of(&added));
    assert!(!String::from_utf8_lossy(&added.stdout).contains("long enough"));
}

#[test]
fn check_looks_at_the_folder() {
    let folder = folder(&[]);
    let data = folder.path().to_str().unwrap();
    let output = run(&["check", "--data", data]);
    let told = String::from_utf8(output.stdout).unwrap();

    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("token-key.pem"), "{told}");
    let nothing = tempfile::tempdir().unwrap();
    let nothing = run(&["check", "--data", nothing.path().to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&nothing.stdout).contains("there is no Feat data"));
}
