//! Bodies that are too large, too slow, or too many.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use futures::FutureExt as _;

use super::*;
use crate::auth::TokenKey;

fn bounds() -> Bounds {
    let mut settings = Settings::new("http://feat.test", TokenKey::generate());
    settings.limits.body_bytes = 100;
    settings.limits.body_rate = 10;
    settings.limits.body_idle = Duration::from_secs(5);
    settings.limits.body_grace = Duration::from_secs(20);
    Bounds::new(&settings)
}

/// A body of pieces of ten bytes, `every` so often.
fn request(pieces: usize, every: Duration) -> Request {
    let pieces = stream::iter(0..pieces).then(move |_| async move {
        tokio::time::sleep(every).await;
        Ok::<_, io::Error>(Bytes::from_static(b"0123456789"))
    });
    let body = Body::from_bytes_stream(pieces);
    Request::builder().header("transfer-encoding", "chunked").body(body)
}

async fn outcome(mut request: Request) -> (Result<usize, ()>, u16) {
    let verdict = guard(&mut request, &bounds()).await.unwrap().unwrap();
    let read = request.take_body().into_vec().await.map(|body| body.len()).map_err(|_| ());
    let reply = Response::builder().status(poem::http::StatusCode::BAD_REQUEST).finish();
    (read, verdict.correct(reply).status().as_u16())
}

#[tokio::test(start_paused = true)]
async fn bodies_are_cut_when_they_are_too_large_or_too_slow() {
    let cases = [
        ("at the limit", 10, Duration::ZERO, Ok(100), 400),
        ("one piece more", 11, Duration::ZERO, Err(()), 413),
        ("steady", 10, Duration::from_secs(2), Ok(100), 400),
        ("a long pause", 2, Duration::from_secs(6), Err(()), 408),
        ("a trickle", 10, Duration::from_millis(4_900), Err(()), 408),
    ];
    for (name, pieces, every, read, status) in cases {
        assert_eq!(outcome(request(pieces, every)).await, (read, status), "{name}");
    }
}

/// A body that begins with `first` bytes and then trickles.
fn trickle(path: &'static str, first: usize) -> Request {
    let pieces = (1..).map(move |n| Bytes::from(vec![0; if n == 1 { first } else { 1 }]));
    let pieces = stream::iter(pieces).then(|piece| async move {
        if piece.len() == 1 {
            tokio::time::sleep(Duration::from_millis(1_900)).await;
        }
        Ok::<_, io::Error>(piece)
    });
    let request = Request::builder().uri_str(path).header("transfer-encoding", "chunked");
    request.body(Body::from_bytes_stream(pieces))
}

#[tokio::test(start_paused = true)]
async fn who_sent_much_at_once_may_not_rest_on_it_and_a_notice_comes_at_once() {
    let mut settings = Settings::new("http://feat.test", TokenKey::generate());
    settings.limits.body_rate = 10;
    let bounds = Bounds::new(&settings);
    let cases = [
        ("little", "/api/x/", 2, 20..=25),
        ("much", "/api/x/", 1_000_000, 60..=70),
        ("a notice", "/api/pay/notify/alipay/notes/", 2, 2..=2),
        ("a long notice", "/api/pay/notify/alipay/notes/", 1_000_000, 2..=2),
    ];
    for (name, path, first, seconds) in cases {
        let (mut request, start) = (trickle(path, first), Instant::now());
        let verdict = guard(&mut request, &bounds).await.unwrap().unwrap();
        assert!(request.take_body().into_vec().await.is_err(), "{name}");
        assert!(seconds.contains(&start.elapsed().as_secs()), "{name}: {:?}", start.elapsed());
        let reply = ApiError::not_found().to_response();
        assert_eq!(verdict.correct(reply).status(), 408, "{name}");
    }
}

/// A request from `address` whose body never ends.
fn endless(address: &str) -> Request {
    let mut request = Request::builder()
        .header("transfer-encoding", "chunked")
        .body(Body::from_bytes_stream(stream::pending::<io::Result<Bytes>>()));
    request.set_data(RequestContext {
        request_id: String::new(),
        trace_parent: None,
        address: address.parse().ok(),
        meter: crate::rates::Meter::default(),
    });
    request
}

#[tokio::test(start_paused = true)]
async fn bodies_on_their_way_are_bounded_for_each_network() {
    let mut settings = Settings::new("http://feat.test", TokenKey::generate());
    settings.limits.requests = 16;
    let bounds = Bounds::new(&settings);
    let (mut first, mut second) = (endless("2001:db8::1"), endless("2001:db8::2"));
    let mut coming = [Box::pin(guard(&mut first, &bounds)), Box::pin(guard(&mut second, &bounds))];
    for body in &mut coming {
        assert!(body.now_or_never().is_none());
    }

    let refused = guard(&mut endless("2001:db8::3"), &bounds).await.unwrap_err();
    assert_eq!(refused.code(), schemas::ErrorCode::RateLimited);
    let mut other = endless("2001:db8:0:1::1");
    assert!(guard(&mut other, &bounds).now_or_never().is_none(), "another network");
    let mut bare = Request::default();
    assert!(guard(&mut bare, &bounds).await.unwrap().is_none(), "no body");
    drop(coming);
    assert!(guard(&mut endless("2001:db8::3"), &bounds).now_or_never().is_none());
}

#[tokio::test]
async fn an_announced_length_is_refused_at_once() {
    let mut request =
        Request::builder().header("content-length", "101").body(Body::from_string(String::new()));

    let refused = guard(&mut request, &bounds()).await.unwrap_err();
    assert_eq!(refused.code(), schemas::ErrorCode::TooLarge);
}

#[tokio::test]
async fn a_request_without_a_body_is_left_alone() {
    assert!(guard(&mut Request::default(), &bounds()).await.unwrap().is_none());
}
