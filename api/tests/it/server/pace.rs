//! Clients that take their time.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use humanchat_api::server::{Caps, Timeouts};
use humanchat_domain::testing::TableLock;
use reqwest::{Client, Method};
use tokio::time::{interval, sleep};

use super::{HURRIED, LIVE, bounded, memory_kib};
use crate::{
    edge::somebody,
    raw::{Wire, head},
    scene::eventually,
    support::{Api, PATIENCE},
};

/// A request for some 100 KiB.
const MUCH: &str = "GET /openapi.yaml HTTP/1.1\r\nHost: a\r\n\r\n";
const HALF_HEAD: &str = "GET /health/live HTTP/1.1\r\nHost: a\r\n";

/// Sends a byte again and again, until there is an answer; says when that was.
async fn trickle(mut wire: Wire, byte: &str) -> (crate::support::Answer, Duration) {
    let began = Instant::now();
    let mut tick = interval(HURRIED.body_pause / 6);
    loop {
        tokio::select! {
            answer = wire.next() => return (answer, began.elapsed()),
            _ = tick.tick() => {}
        }
        wire.write(byte.as_bytes()).await;
    }
}

#[track_caller]
fn assert_about(took: Duration, limit: Duration) {
    assert!(took >= limit.mul_f32(0.9) && took < limit + Duration::from_secs(1), "took {took:?} of {limit:?}");
}

async fn half_body(api: &Api) -> Wire {
    let mut wire = Wire::open(api).await;
    let request = "POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                   Content-Length: 100\r\n\r\n{\"email\": ";
    wire.write(request.as_bytes()).await;
    wire
}

#[tokio::test]
async fn a_head_must_come_in_time() {
    let api = bounded(HURRIED, Caps::default(), &[]).await;
    for before in ["", LIVE] {
        let mut wire = Wire::open(&api).await;
        wire.write(before.as_bytes()).await;
        if !before.is_empty() {
            wire.next().await.ok(200);
        }
        wire.write(HALF_HEAD.as_bytes()).await;
        let began = Instant::now();
        let answer = wire.answer().await;
        answer.refused(408, "request_timeout");
        assert!(answer.headers.contains_key("x-request-id"));
        assert_eq!(answer.headers["connection"], "close");
        assert_about(began.elapsed(), HURRIED.head);
    }
    // However busily the client keeps sending.
    let mut wire = Wire::open(&api).await;
    wire.write(HALF_HEAD.as_bytes()).await;
    let (answer, took) = trickle(wire, "X: y\r\n").await;
    answer.refused(408, "request_timeout");
    assert_about(took, HURRIED.head);
}

#[tokio::test]
async fn a_body_must_come_in_time() {
    let api = bounded(HURRIED, Caps::default(), &[]).await;
    let casey = somebody(&api).await;
    // With a pause that is too long.
    for length in [Some(100), None] {
        let mut wire = Wire::open(&api).await;
        wire.write(format!("{}\r\n", head(&casey, "PATCH", "/api/users/me", length)).as_bytes()).await;
        let began = Instant::now();
        let answer = wire.answer().await;
        answer.refused(408, "request_timeout");
        assert_eq!(answer.headers["connection"], "close");
        assert_about(began.elapsed(), HURRIED.body_pause);
    }
    // In small parts without end.
    for (length, part) in [(Some(10_000), " "), (None, "1\r\n \r\n")] {
        let mut wire = Wire::open(&api).await;
        wire.write(format!("{}\r\n", head(&casey, "PATCH", "/api/users/me", length)).as_bytes()).await;
        let (answer, took) = trickle(wire, part).await;
        answer.refused(408, "request_timeout");
        assert_about(took, HURRIED.body);
    }
    // Slowly, but in time.
    let mut wire = Wire::open(&api).await;
    let body = r#"{"bio": "slow"}"#;
    wire.write(format!("{}\r\n", head(&casey, "PATCH", "/api/users/me", Some(body.len()))).as_bytes()).await;
    for byte in body.as_bytes() {
        sleep(HURRIED.body / 30).await;
        wire.write(&[*byte]).await;
    }
    wire.answer().await.ok(200);
}

#[tokio::test]
async fn a_connection_that_nothing_comes_on_is_closed_without_a_word() {
    let api = bounded(HURRIED, Caps::default(), &[]).await;
    let began = Instant::now();
    let wire = Wire::open(&api).await;
    assert_eq!(wire.rest().await, b"");
    assert_about(began.elapsed(), HURRIED.head);
    // Empty lines are nothing.
    let began = Instant::now();
    let mut wire = Wire::open(&api).await;
    wire.write(b"\r\n\r\n").await;
    assert_eq!(wire.rest().await, b"");
    assert_about(began.elapsed(), HURRIED.head);
    // Between two requests there is more time.
    let mut wire = Wire::open(&api).await;
    for _ in 0..2 {
        wire.write(LIVE.as_bytes()).await;
        wire.next().await.ok(200);
        sleep(HURRIED.head + HURRIED.head / 4).await;
    }
    wire.write(LIVE.as_bytes()).await;
    wire.next().await.ok(200);
    let began = Instant::now();
    assert_eq!(wire.rest().await, b"");
    assert_about(began.elapsed(), HURRIED.keep_alive);
}

#[tokio::test]
async fn http_2_without_requests_is_closed_too() {
    let api = bounded(HURRIED, Caps::default(), &[]).await;
    let began = Instant::now();
    let mut wire = Wire::open(&api).await;
    // The preface and an empty SETTINGS frame.
    wire.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    assert!(!wire.rest().await.is_empty(), "the server's own settings came");
    assert_about(began.elapsed(), HURRIED.head);
    let began = Instant::now();
    let mut wire = Wire::open(&api).await;
    wire.write(b"PRI * HTTP/2.0\r\n").await;
    wire.answer().await.refused(408, "request_timeout");
    assert_about(began.elapsed(), HURRIED.head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_dropped() {
    // One place: whoever waits for it knows when the other is gone.
    let api = bounded(HURRIED, Caps { total: 1, ..Caps::default() }, &[]).await;
    let mut wire = Wire::narrow(&api).await;
    wire.write(MUCH.repeat(100).as_bytes()).await;
    let began = Instant::now();
    eventually("the place", async || {
        let mut other = Wire::open(&api).await;
        other.write(LIVE.as_bytes()).await;
        (other.next().await.status == 200).then_some(())
    })
    .await;
    assert_about(began.elapsed(), HURRIED.write);
}

#[tokio::test]
async fn http_2_without_a_window_is_closed_too() {
    // SETTINGS that give streams no window, and a request for some 100 KiB: its method, scheme, path and host.
    const SETTINGS: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
    const HEADERS: &[u8] = b"\0\0\x14\x01\x05\0\0\0\x01\x82\x86\x04\x0d/openapi.yaml\x01\x01a";
    let api = bounded(HURRIED, Caps::default(), &[]).await;
    let mut wire = Wire::open(&api).await;
    wire.write(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", SETTINGS, HEADERS].concat()).await;
    let began = Instant::now();
    let read = wire.rest().await;
    assert_about(began.elapsed(), HURRIED.keep_alive);
    // The head of the answer came, and nothing of its body.
    let frames = frames(&read);
    assert!(frames.contains(&(1, 1)) && !frames.iter().any(|(kind, _)| *kind == 0), "{frames:?}");
}

#[tokio::test]
async fn http_2_that_is_read_slowly_is_not_cut() {
    let api = bounded(HURRIED, Caps::default(), &[]).await;
    let client = Client::builder().http2_prior_knowledge().http2_initial_stream_window_size(16 * 1024);
    let began = Instant::now();
    let mut answer = client.build().unwrap().get(api.url("/openapi.yaml")).send().await.unwrap();
    let mut read = Vec::new();
    while let Some(part) = answer.chunk().await.unwrap() {
        read.extend_from_slice(&part);
        sleep(HURRIED.keep_alive / 5).await;
    }
    assert!(began.elapsed() > HURRIED.keep_alive * 2, "{:?}", began.elapsed());
    assert!(read == api.anonymous(Method::GET, "/openapi.yaml", None).await.text.as_bytes());
}

/// The frames of HTTP/2: type and stream of each.
fn frames(mut bytes: &[u8]) -> Vec<(u8, u8)> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, _, _, _, _, stream, rest @ ..] = bytes {
        frames.push((*kind, *stream));
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = rest.get(length..).unwrap_or_default();
    }
    frames
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_slowly_gets_everything() {
    // The system asks for more only when a good part of what it holds, some megabytes at most, has been taken.
    let timeouts = Timeouts { write: Duration::from_secs(2), ..HURRIED };
    let api = bounded(timeouts, Caps::default(), &[]).await;
    let mut wire = Wire::narrow(&api).await;
    let began = Instant::now();
    wire.write(MUCH.repeat(100).as_bytes()).await;
    for _ in 0..100 {
        wire.next().await;
        sleep(timeouts.write / 40).await;
    }
    assert!(began.elapsed() > timeouts.write * 2, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_may_take_longer_than_any_client() {
    let api = bounded(HURRIED, Caps::default(), &[]).await;
    let casey = somebody(&api).await;
    let mut lock = TableLock::take(&api.store, "conversations").await;
    let mut wire = Wire::open(&api).await;
    wire.write(format!("{}\r\n", head(&casey, "GET", "/api/conversations", Some(0))).as_bytes()).await;
    eventually("the request to wait", async || (lock.waiting().await == 1).then_some(())).await;
    sleep(HURRIED.keep_alive * 2).await;
    lock.release().await;
    wire.answer().await.ok(200);
}

#[tokio::test]
async fn an_open_socket_has_no_time_out_of_these() {
    let api = bounded(HURRIED, Caps::default(), &[]).await;
    let casey = somebody(&api).await;
    let mut socket = casey.socket("/ws").await;
    sleep(HURRIED.keep_alive * 2).await;
    socket.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_who_send_half_requests_keep_nobody_waiting() {
    const EACH: usize = 200;
    let timeouts = Timeouts { head: Duration::from_secs(3), body_pause: Duration::from_secs(3), ..Timeouts::default() };
    // Fewer requests at once than there are half ones.
    let api = bounded(timeouts, Caps::default(), &[("MAX_REQUESTS", "20")]).await;
    let casey = somebody(&api).await;
    let before = memory_kib(std::process::id());
    let began = Instant::now();
    let mut half = Vec::new();
    for _ in 0..EACH {
        let mut wire = Wire::open(&api).await;
        wire.write(HALF_HEAD.as_bytes()).await;
        half.push(wire);
        half.push(half_body(&api).await);
    }
    let asked = async {
        let mut slowest = Duration::ZERO;
        let mut count = 0;
        while began.elapsed() < timeouts.head {
            let asked = Instant::now();
            api.anonymous(Method::GET, "/health/ready", None).await.ok(200);
            casey.profile(r#"{"bio": "served"}"#).await.ok(200);
            slowest = slowest.max(asked.elapsed());
            count += 1;
        }
        (count, slowest)
    };
    let ends = join_all(half.into_iter().map(async |wire| {
        let answer = wire.answer().await;
        answer.refused(408, "request_timeout");
        began.elapsed()
    }));
    let ((count, slowest), ends) = tokio::join!(asked, ends);
    let last = ends.into_iter().max().unwrap();
    let grown = memory_kib(std::process::id()).saturating_sub(before);
    println!("{count} rounds meanwhile, the slowest {slowest:?}; the last was closed after {last:?}; {grown} KiB more");
    assert!(count >= 10 && slowest < Duration::from_secs(1), "{count} rounds, the slowest {slowest:?}");
    assert!(last < timeouts.head + Duration::from_secs(3) && last < PATIENCE, "{last:?}");
    assert!(grown < 32 * 1024, "{grown} KiB");
}
