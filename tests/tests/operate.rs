//! What whoever runs Feat looks at: checks, probes, metrics, traces, memory.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use futures::future::join_all;
use reqwest::{Method, StatusCode, multipart};
use rustix::process::Signal;
use serde_json::Value;
use tests::{cluster::Cluster, collector::Collector, eventually, http::Client, picture};

const SOON: Duration = Duration::from_secs(20);

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What `feat check` found: area, what, problem.
fn check(cluster: &Cluster) -> (bool, Vec<Value>) {
    let output = cluster.run(&["check", "--json"], "");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    (output.status.success(), lines.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_names_what_is_there_and_what_is_not() {
    let mut cluster = Cluster::new().await;
    let api = cluster.api(None).await;
    let (well, findings) = check(&cluster);
    assert!(well, "{findings:?}");
    for area in ["configuration", "MongoDB", "RabbitMQ", "files"] {
        assert!(findings.iter().any(|found| found["area"] == area), "{area}: {findings:?}");
    }
    assert!(findings.iter().all(|found| found["problem"].is_null()), "{findings:?}");

    let url = cluster.corner.amqp_url.replace(&cluster.corner.database, "no-such-vhost");
    cluster.environment.insert("FEAT_RABBITMQ__URL".to_owned(), url);
    let (well, findings) = check(&cluster);
    assert!(!well, "{findings:?}");
    for found in findings {
        let expected = found["area"] == "RabbitMQ";
        assert_eq!(found["problem"].is_string(), expected, "{found}");
    }
    drop(api);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_says_how_it_is_and_what_it_did() {
    let cluster = Cluster::new().await;
    let (api, worker) = (cluster.api(None).await, cluster.worker(None).await);
    let client = cluster.client(&api).await;
    let id = client.upload(picture::png(8, 8, 5)).await["id"].as_i64().expect("id");
    let job: Value = client.delete(id).await.expect("answer").json().await.expect("JSON");
    client.job_becomes(job["data"]["id"].as_str().expect("id"), "succeeded", SOON).await;

    let ask = async |path: &str| {
        let reply = reqwest::get(format!("http://{}{path}", worker.address)).await.expect("answer");
        (reply.status(), reply.text().await.expect("text"))
    };
    assert_eq!(ask("/livez").await, (StatusCode::OK, "ok\n".to_owned()));
    let (status, text) = ask("/readyz").await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, "store: ok\nbroker: ok\n"));
    let (status, text) = ask("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    let counted =
        |line: &str| line.starts_with("feat_jobs_run_total{") && line.contains("image.delete");
    assert!(text.lines().any(counted), "{text}");
    assert_eq!(ask("/nothing").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_leads_through_rabbitmq() {
    let mut cluster = Cluster::new().await;
    let collector = Collector::start().await;
    let endpoint = collector.address.clone();
    cluster.environment.insert("FEAT_TELEMETRY__OTLP_ENDPOINT".to_owned(), endpoint);
    let (mut api, mut worker) = (cluster.api(None).await, cluster.worker(None).await);
    let client = cluster.client(&api).await;
    let id = client.upload(picture::png(8, 8, 6)).await["id"].as_i64().expect("id");
    let deletion = client
        .request(Method::DELETE, &format!("/api/user/user-image/{id}/"))
        .header("traceparent", format!("00-{TRACE_ID}-00f067aa0ba902b7-01"))
        .header("Prefer", "wait=20");
    let reply = deletion.send().await.expect("answer");
    assert_eq!(reply.status(), StatusCode::NO_CONTENT);
    for process in [&mut api, &mut worker] {
        process.signal(Signal::TERM);
        assert!(process.ended(SOON).await.success());
    }

    let received = collector.received();
    let text = String::from_utf8_lossy(&received);
    for name in ["feat-api", "feat-worker", "image.delete"] {
        assert!(text.contains(name), "{name} is in no span");
    }
    // Of that trace only the request is the API's, so the worker sent the other one.
    assert!(spans_of_the_trace(&received) >= 2, "request and run are not in one trace");
    assert!(!text.contains(&client.token), "a secret is in a span");
}

/// The spans of our trace: protobuf keeps the 16 bytes of its id as they are.
fn spans_of_the_trace(received: &[u8]) -> usize {
    let id = u128::from_str_radix(TRACE_ID, 16).expect("hexadecimal").to_be_bytes();
    received.windows(16).filter(|window| *window == id).count()
}

/// A PNG with `chunk` between its header and its pixels.
fn png_with(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let png = picture::png(8, 8, 7);
    let mut chunk = u32::try_from(data.len()).expect("length").to_be_bytes().to_vec();
    chunk.extend(kind);
    chunk.extend(data);
    chunk.extend(crc32(&chunk[4..]).to_be_bytes());
    [&png[..33], &chunk, &png[33..]].concat()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}

/// 300 MiB of zeros, deflated: one match of 258 bytes after the other, 13 bits each.
fn deflated_zeros() -> Vec<u8> {
    const MATCHES: usize = (300 << 20) / 258;
    let (mut bytes, mut held, mut count) = (vec![0x78, 0x01], 0_u32, 0);
    let mut put = |value: u32, bits: u32| {
        held |= value << count;
        count += bits;
        while count >= 8 {
            bytes.push(u8::try_from(held & 0xFF).expect("a byte"));
            held >>= 8;
            count -= 8;
        }
    };
    // The last block, with the fixed code: a zero, the matches at distance 1, the end.
    put(0b011, 3);
    put(0b0000_1100, 8);
    for _ in 0..MATCHES {
        put(0b1010_0011, 8);
        put(0, 5);
    }
    put(0, 7);
    if count > 0 {
        bytes.push(u8::try_from(held).expect("a byte"));
    }
    let length = u32::try_from(258 * MATCHES + 1).expect("length");
    let adler = (length % 65_521) << 16 | 1;
    bytes.extend(adler.to_be_bytes());
    bytes
}

/// Uploads that want more memory than they should get, by name.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let bomb = deflated_zeros();
    let named = |head: &[u8]| [head, &bomb].concat();
    let mut claim = picture::png(8, 8, 8);
    claim[16..24].copy_from_slice(&[0, 0, 0xC3, 0x50, 0, 0, 0xC3, 0x50]);
    let whole = picture::png(1_000, 1_000, 9);
    vec![
        ("a profile that inflates", png_with(*b"iCCP", &named(b"p\0\0"))),
        ("a text that inflates", png_with(*b"zTXt", &named(b"c\0\0"))),
        ("pixels that inflate", png_with(*b"IDAT", &bomb)),
        ("sides that are claimed", claim),
        ("cut off", whole[..whole.len() / 2].to_vec()),
        ("too large", vec![0x89; 11 << 20]),
        ("noise", vec![0; 9 << 20]),
    ]
}

async fn send(client: &Client, picture: Vec<u8>) -> StatusCode {
    let form = multipart::Form::new().part("img", multipart::Part::bytes(picture));
    let call = client.request(Method::POST, "/api/user/user-image/").multipart(form);
    call.send().await.expect("answer").status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_uploads_leave_memory_bounded() {
    const AT_ONCE: usize = 6;
    /// Generous: bodies, six at a time, and what the allocator keeps.
    const MOST_MORE_KIB: u64 = 220 << 10;
    let cluster = Cluster::new().await;
    let api = cluster.api(None).await;
    let client = cluster.client(&api).await;
    client.upload(picture::png(64, 64, 10)).await;
    let before = api.resident_kib();
    for (name, upload) in hostile() {
        let replies = join_all((0..AT_ONCE).map(|_| send(&client, upload.clone()))).await;
        for status in replies {
            let answered = [201, 400, 413, 429].contains(&status.as_u16());
            assert!(answered, "{name}: {status}");
        }
        let peak = api.peak_kib();
        println!("{name}: peak {peak} KiB, {before} KiB before");
        assert!(peak - before < MOST_MORE_KIB, "{name}: peak {peak} KiB, {before} KiB before");
    }
    let nested = client.request(Method::PATCH, "/api/user/user-image/1/");
    let nested = nested.header("content-type", "application/json").body("[".repeat(10 << 20));
    assert_eq!(nested.send().await.expect("answer").status(), StatusCode::PAYLOAD_TOO_LARGE);

    eventually("memory is given back", SOON, async || {
        (api.resident_kib() < before + MOST_MORE_KIB / 2).then_some(())
    })
    .await;
    client.upload(picture::png(64, 64, 11)).await;
}
