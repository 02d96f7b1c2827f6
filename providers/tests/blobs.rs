//! What every engine of the file store does, and what only a disk can show.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{env, fs, os::unix::fs::symlink, path::Path, time::Duration};

use bytes::Bytes;
use futures::{TryStreamExt, future::join_all};
use providers::blobs::{BlobError, BlobRead, Blobs, S3Settings};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tempfile::TempDir;
use uuid::Uuid;

async fn read(found: Option<BlobRead>) -> Option<(u64, Vec<u8>)> {
    let found = found?;
    Some((found.size, found.bytes.try_collect::<Vec<_>>().await.unwrap().concat()))
}

fn folder() -> (TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::folder(&folder.path().join("files")).unwrap();
    (folder, blobs)
}

fn s3_settings(endpoint: &str, bucket: &str) -> S3Settings {
    S3Settings {
        bucket: bucket.into(),
        region: "us-east-1".into(),
        endpoint: Some(endpoint.into()),
        access_key_id: "test".into(),
        secret_access_key: "test".into(),
        allow_http: true,
    }
}

/// The S3 service given to the tests, with a bucket of its own.
async fn s3() -> Option<(String, String)> {
    let Ok(endpoint) = env::var("FEAT_TEST_S3_ENDPOINT") else {
        println!("left out: S3, because FEAT_TEST_S3_ENDPOINT is not set");
        return None;
    };
    let bucket = format!("feat-{}", Uuid::now_v7());
    let made = reqwest::Client::new().put(format!("{endpoint}/{bucket}")).send().await.unwrap();
    assert!(made.status().is_success(), "{made:?}");
    Some((endpoint, bucket))
}

/// The promises of `Blobs`, on files below a folder of this run.
async fn conforms(blobs: &Blobs) {
    let own = format!("images/{}", Uuid::now_v7());
    let key = format!("{own}/7/original.jpg");
    let large: Vec<u8> = (0..700_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();

    absent_is_no_error(blobs, &own).await;

    blobs.put(&key, Bytes::from_static(b"first")).await.unwrap();
    blobs.put(&key, large.clone().into()).await.unwrap();
    assert_eq!(read(blobs.get(&key, None).await.unwrap()).await, Some((700_000, large.clone())));
    ranges_are_cut_from_the_file(blobs, &key, &large).await;

    folders_are_removed_whole(blobs, &own).await;
    a_file_goes_with_its_folder(blobs, &own).await;
    bad_keys_are_refused(blobs).await;

    let findings = blobs.check().await;
    assert_eq!(findings.len(), 3);
    assert!(findings.iter().all(|finding| finding.problem.is_none()), "{findings:?}");
}

async fn absent_is_no_error(blobs: &Blobs, own: &str) {
    let key = format!("{own}/7/original.jpg");

    assert!(blobs.get(&key, None).await.unwrap().is_none());
    assert!(blobs.get(&key, Some(0..3)).await.unwrap().is_none());
    assert!(blobs.get(&key, Some(5..9)).await.unwrap().is_none());
    assert_eq!(blobs.remove_folder(own).await.unwrap(), 0);
    assert_eq!(blobs.remove(&key, own).await.unwrap(), 0);
    assert_eq!(blobs.list(own).await.unwrap(), Vec::<String>::new());
}

async fn ranges_are_cut_from_the_file(blobs: &Blobs, key: &str, content: &[u8]) {
    let cases = [
        ("the beginning", 0..10, 0..10),
        ("the middle", 300_000..600_001, 300_000..600_001),
        ("the last byte", 699_999..700_000, 699_999..700_000),
        ("over the end", 699_990..800_000, 699_990..700_000),
        ("nothing", 20..20, 0..0),
        ("behind the end", 700_000..700_010, 0..0),
        ("far behind the end", 900_000..900_010, 0..0),
    ];
    for (name, range, expected) in cases {
        let found = read(blobs.get(key, Some(range)).await.unwrap()).await;
        assert!(found == Some((700_000, content[expected].to_vec())), "{name}");
    }
}

async fn folders_are_removed_whole(blobs: &Blobs, own: &str) {
    let files = ["7/variants/320.jpg", "7/variants/640.jpg", "70/original.jpg", "8/original.jpg"];
    for file in files {
        blobs.put(&format!("{own}/{file}"), Bytes::from_static(b"x")).await.unwrap();
    }
    blobs.put(&format!("{own}/7/empty"), Bytes::new()).await.unwrap();
    let empty = read(blobs.get(&format!("{own}/7/empty"), None).await.unwrap()).await;
    assert_eq!(empty, Some((0, Vec::new())));
    let listed = blobs.list(&format!("{own}/7")).await.unwrap();
    let expected = ["empty", "original.jpg", "variants/320.jpg", "variants/640.jpg"];
    assert_eq!(listed, expected.map(|file| format!("{own}/7/{file}")));

    assert_eq!(blobs.remove_folder(&format!("{own}/7")).await.unwrap(), 4);
    assert_eq!(blobs.remove_folder(&format!("{own}/7")).await.unwrap(), 0, "again");
    assert!(blobs.get(&format!("{own}/7/original.jpg"), None).await.unwrap().is_none());
    let left = [format!("{own}/70/original.jpg"), format!("{own}/8/original.jpg")];
    assert_eq!(blobs.list(own).await.unwrap(), left, "neighbours stay");
    assert_eq!(blobs.remove_folder(own).await.unwrap(), 2);
}

async fn a_file_goes_with_its_folder(blobs: &Blobs, own: &str) {
    let (key, folder) = (format!("{own}/7.jpg"), format!("{own}/7"));
    for key in [&key, &format!("{folder}/w64.jpg"), &format!("{folder}/w128.jpg")] {
        blobs.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    let neighbour = format!("{own}/70.jpg");
    blobs.put(&neighbour, Bytes::from_static(b"x")).await.unwrap();

    assert_eq!(blobs.remove(&key, &folder).await.unwrap(), 3);
    assert_eq!(blobs.remove(&key, &folder).await.unwrap(), 0, "again");
    assert_eq!(blobs.list(own).await.unwrap(), std::slice::from_ref(&neighbour), "neighbours stay");
    assert_eq!(blobs.remove(&neighbour, &format!("{own}/70")).await.unwrap(), 1, "no folder");
}

async fn bad_keys_are_refused(blobs: &Blobs) {
    for key in ["", "/etc/passwd", "a//b", "a/../b", "../a", "a/", "a/.hidden", "a\\b", "a\n"] {
        assert_eq!(blobs.put(key, Bytes::new()).await, Err(BlobError::InvalidKey), "{key:?}");
        assert_eq!(blobs.get(key, None).await.err(), Some(BlobError::InvalidKey), "{key:?}");
        assert_eq!(blobs.remove_folder(key).await, Err(BlobError::InvalidKey), "{key:?}");
        assert_eq!(blobs.list(key).await, Err(BlobError::InvalidKey), "{key:?}");
        assert_eq!(blobs.remove(key, "a").await, Err(BlobError::InvalidKey), "{key:?}");
        assert_eq!(blobs.remove("a", key).await, Err(BlobError::InvalidKey), "{key:?}");
    }
}

#[tokio::test]
async fn a_folder_keeps_the_promises() {
    let (_folder, blobs) = folder();
    conforms(&blobs).await;
}

#[tokio::test]
async fn a_bucket_keeps_the_promises() {
    let Some((endpoint, bucket)) = s3().await else { return };
    let blobs = Blobs::s3(s3_settings(&endpoint, &bucket)).unwrap();
    conforms(&blobs).await;
}

#[tokio::test]
async fn a_check_names_the_missing_bucket() {
    let Some((endpoint, _)) = s3().await else { return };
    let blobs = Blobs::s3(s3_settings(&endpoint, "feat-never-made")).unwrap();

    let findings = blobs.check().await;

    assert_eq!(findings.len(), 1);
    let problem = findings[0].problem.clone().unwrap();
    assert!(problem.contains("the bucket does not exist"), "{problem}");
}

#[tokio::test]
async fn a_service_that_is_away_is_unavailable_within_bounds() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let blobs = Blobs::s3(s3_settings(&endpoint, "feat")).unwrap();

    let answer = tokio::time::timeout(Duration::from_secs(20), blobs.list("images")).await;

    let error = answer.expect("answered in time").unwrap_err();
    assert!(matches!(error, BlobError::Unavailable(_)), "{error:?}");
}

#[test]
fn plain_http_is_refused_unless_it_is_allowed() {
    let settings = S3Settings { allow_http: false, ..s3_settings("http://127.0.0.1:1", "feat") };

    assert!(matches!(Blobs::s3(settings), Err(BlobError::Misconfigured(_))));
}

#[test]
fn a_secret_does_not_show_in_the_settings() {
    let settings =
        S3Settings { secret_access_key: "hush-hush".into(), ..s3_settings("http://h", "feat") };

    assert!(!format!("{settings:?}").contains("hush-hush"));
}

#[tokio::test]
async fn what_cannot_be_written_says_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), b"").unwrap();
    let below_a_file = Blobs::folder(&folder.path().join("file/files")).unwrap_err();
    assert!(matches!(below_a_file, BlobError::NotWritable(_)), "{below_a_file:?}");

    let blobs = Blobs::folder(&folder.path().join("files")).unwrap();
    fs::write(folder.path().join("files/images"), b"in the way").unwrap();
    let in_the_way = blobs.put("images/1/original.jpg", Bytes::new()).await.unwrap_err();
    assert!(matches!(in_the_way, BlobError::NotWritable(_)), "{in_the_way:?}");

    // The superuser may write everywhere but in a file system of the kernel.
    let read_only = Blobs::folder(Path::new("/proc/feat")).unwrap_err();
    println!("/proc: {read_only}");
}

#[tokio::test]
async fn a_read_only_folder_is_not_writable() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, blobs) = folder();
    let root = folder.path().join("files");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o500)).unwrap();
    if fs::write(root.join("probe"), b"").is_ok() {
        println!("left out: this user may write to read-only folders");
        return;
    }

    let refused = blobs.put("images/1", Bytes::new()).await.unwrap_err();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();

    assert!(matches!(refused, BlobError::NotWritable(_)), "{refused:?}");
}

#[tokio::test]
async fn half_written_files_are_never_seen_and_go_with_their_folder() {
    let (folder, blobs) = folder();
    blobs.put("images/1/2/original.jpg", Bytes::from_static(b"whole")).await.unwrap();
    let half = folder.path().join("files/images/1/2/.feat-0190.part");
    fs::write(&half, b"ha").unwrap();

    assert_eq!(blobs.list("images/1/2").await.unwrap(), ["images/1/2/original.jpg"]);
    assert_eq!(blobs.remove_folder("images/1/2").await.unwrap(), 2);

    assert!(!half.exists());
    assert!(!folder.path().join("files/images/1/2").exists());
}

#[tokio::test]
async fn a_put_leaves_nothing_but_the_file() {
    let (folder, blobs) = folder();
    for _ in 0..3 {
        blobs.put("images/1/2/original.jpg", Bytes::from_static(b"whole")).await.unwrap();
    }

    assert_eq!(fs::read_dir(folder.path().join("files/images/1/2")).unwrap().count(), 1);
}

#[tokio::test]
async fn links_are_not_followed() {
    let (folder, blobs) = folder();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), b"secret").unwrap();
    blobs.put("images/1/2/original.jpg", Bytes::from_static(b"x")).await.unwrap();
    let inside = folder.path().join("files/images/1");
    symlink(&outside, inside.join("2/folder")).unwrap();
    symlink(outside.join("secret"), inside.join("2/file")).unwrap();
    symlink(&outside, inside.join("3")).unwrap();

    assert!(blobs.get("images/1/2/file", None).await.unwrap().is_none());
    assert_eq!(blobs.list("images/1").await.unwrap(), ["images/1/2/original.jpg"]);
    assert_eq!(blobs.remove_folder("images/1/2").await.unwrap(), 3);
    assert_eq!(blobs.remove_folder("images/1/3").await.unwrap(), 1, "the link itself");

    assert_eq!(fs::read(outside.join("secret")).unwrap(), b"secret");
}

/// Writers, readers and removers at once: a reader sees one whole file or none.
#[tokio::test(flavor = "multi_thread")]
async fn readers_see_whole_files_while_others_write_and_remove() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let (_folder, blobs) = folder();
    let work = (0..8_u64).map(|worker| {
        let blobs = blobs.clone();
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed ^ worker);
            for _ in 0..150 {
                let length = random.random_range(1..40_000);
                let byte = random.random::<u8>();
                match random.random_range(0..4) {
                    0 => drop(blobs.remove_folder("images/1/2").await),
                    1 => drop(blobs.put("images/1/2/a", vec![byte; length].into()).await),
                    _ => {
                        let found = blobs.get("images/1/2/a", None).await.unwrap();
                        let Some((size, bytes)) = read(found).await else { continue };
                        assert_eq!(size, bytes.len() as u64);
                        assert!(bytes.iter().all(|byte| *byte == bytes[0]), "mixed");
                    }
                }
            }
        })
    });
    for ended in join_all(work).await {
        ended.unwrap();
    }

    blobs.remove_folder("images/1/2").await.unwrap();
    assert!(blobs.list("images").await.unwrap().is_empty());
}
