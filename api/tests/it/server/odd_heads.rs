//! Heads that no client should send: each gets an answer with an id, in the envelope.

use futures_util::future::join_all;

use super::{LIVE, memory_kib};
use crate::{
    raw::Wire,
    story::stage::Stage,
    support::{Answer, Api, api},
};

/// What is sent, status and code of the answer.
type Case = (Vec<u8>, u16, &'static str);

fn cases() -> Vec<Case> {
    let malformed = [
        "GET /\r\n\r\n",
        "GET / HTTP/3.0\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET / HTTP/0.9\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "G\0T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: three\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "hello\r\n\r\n",
        "\u{1}",
    ];
    let mut cases: Vec<Case> = malformed.into_iter().map(|head| (head.into(), 400, "malformed_request")).collect();
    // How TLS, SOCKS and SSH begin.
    for hello in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"\x05\x01\x00", b"SSH-2.0-OpenSSH_9.2\r\n"] {
        cases.push((hello.to_vec(), 400, "malformed_request"));
    }
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(10_000));
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(1 << 20));
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(1 << 20));
    cases.extend([
        (many.into(), 431, "headers_too_large"),
        (large.into(), 431, "headers_too_large"),
        (endless.into(), 431, "headers_too_large"),
        (long.into(), 414, "uri_too_long"),
    ]);
    cases
}

#[track_caller]
fn check(answer: &Answer, (sent, status, code): &Case) {
    let shown = sent[..sent.len().min(90)].escape_ascii().to_string();
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (*status, *code), "{shown}: {answer:?}");
    answer.refused(*status, code);
    assert_eq!(answer.headers["content-type"], "application/json", "{shown}");
    assert!(answer.headers.contains_key("x-request-id"), "{shown}");
    assert_eq!(answer.headers["connection"], "close", "{shown}");
}

#[tokio::test]
async fn whatever_is_sent_there_is_an_answer_in_the_envelope() {
    let api = api().await;
    for case in cases() {
        let mut wire = Wire::open(&api).await;
        wire.write(&case.0).await;
        check(&wire.answer().await, &case);
        // After another request on the same connection, and in the same bytes.
        for together in [true, false] {
            let mut wire = Wire::open(&api).await;
            if together {
                wire.write(&[LIVE.as_bytes(), &case.0].concat()).await;
                wire.next().await.ok(200);
            } else {
                wire.write(LIVE.as_bytes()).await;
                wire.next().await.ok(200);
                wire.write(&case.0).await;
            }
            check(&wire.answer().await, &case);
        }
    }
}

#[tokio::test]
async fn it_does_not_matter_how_a_head_is_cut_up() {
    let api = api().await;
    let bad = "POST / HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n";
    for size in [1, 2, 3, 7] {
        let mut wire = Wire::open(&api).await;
        for part in [LIVE, "\r\n\n", LIVE, bad].concat().as_bytes().chunks(size) {
            wire.write(part).await;
            tokio::task::yield_now().await;
        }
        for _ in 0..2 {
            wire.next().await.ok(200);
        }
        let answer = wire.answer().await;
        answer.refused(400, "malformed_request");
        assert_eq!(answer.headers["x-request-id"], "mine");
    }
}

#[tokio::test]
async fn half_a_head_gets_a_whole_answer() {
    let api = api().await;
    let head = "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
    for cut in [1, 3, 20, head.len() - 1] {
        let mut wire = Wire::open(&api).await;
        wire.write(&head.as_bytes()[..cut]).await;
        wire.finish().await;
        wire.answer().await.refused(400, "malformed_request");
    }
    // And none that was not asked for.
    for nothing in ["", "\r\n\r\n"] {
        let mut wire = Wire::open(&api).await;
        wire.write(nothing.as_bytes()).await;
        wire.finish().await;
        assert_eq!(wire.rest().await, b"");
    }
}

/// Asks with each of these heads, at the same time; asserts that all are refused.
async fn herd(api: &Api, heads: &[Case]) {
    let asked = heads.iter().map(async |case| {
        let mut wire = Wire::open(api).await;
        wire.write(&case.0).await;
        check(&wire.answer().await, case);
    });
    join_all(asked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_heads_cost_no_memory() {
    let stage = Stage::with(&[]).await;
    let (program, api) = stage.api(&[]).await;
    let large: Vec<_> = cases().into_iter().filter(|case| case.0.len() > 50_000).collect();
    let herds: Vec<_> = std::iter::repeat_n(large, 50).flatten().collect();
    herd(&api, &herds).await;
    let before = memory_kib(program.pid());
    for _ in 0..3 {
        herd(&api, &herds).await;
    }
    let after = memory_kib(program.pid());
    println!("{} heads of up to 1 MiB at a time, four times: {before} KiB, then {after} KiB", herds.len());
    assert!(after < before + 16 * 1024, "{before} KiB, then {after} KiB");
}
