//! HTTP as it is, beyond what common clients use of it.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::ConnectInfo, routing::get};
use humanchat_api::server::{Caps, Server, Timeouts};
use reqwest::{Client, Method};
use serde_json::json;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use super::LIVE;
use crate::{
    edge::somebody,
    openapi::{Operation, document, operations},
    raw::{Wire, head},
    support::{PATIENCE, api},
};

fn login(more: &str, body: &str) -> String {
    format!("POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{more}\r\n{body}")
}

#[tokio::test]
async fn handlers_know_the_peer_by_its_address() {
    async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
        peer.to_string()
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", get(peer));
    let server = Server { router, timeouts: Timeouts::default(), caps: Caps::default() };
    let stopping = CancellationToken::new();
    let serving = tokio::spawn(server.serve(listener, stopping.clone()));
    rustls::crypto::ring::default_provider().install_default().ok();
    for client in [Client::new(), Client::builder().http2_prior_knowledge().build().unwrap()] {
        let told = client.get(&url).send().await.unwrap().text().await.unwrap();
        let peer: SocketAddr = told.parse().unwrap();
        assert!(peer.ip().is_loopback() && url != format!("http://{peer}/"), "{peer}");
    }
    // The clients' connections are idle: nothing is waited for.
    stopping.cancel();
    timeout(PATIENCE, serving).await.expect("the server ends").unwrap();
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_that_order() {
    let api = api().await;
    let body = json!({"email": "nobody@example.com", "password": "x"}).to_string();
    let request = |number: usize| match number % 3 {
        0 => format!("GET /health/live HTTP/1.1\r\nHost: a\r\nX-Request-Id: {number}\r\n\r\n"),
        1 => login(&format!("X-Request-Id: {number}\r\nContent-Length: {}\r\n", body.len()), &body),
        // With a body that nobody reads.
        _ => format!("GET /nowhere HTTP/1.1\r\nHost: a\r\nX-Request-Id: {number}\r\nContent-Length: 4\r\n\r\nGET "),
    };
    let requests: String = (0..60).map(request).collect();
    let mut wire = Wire::open(&api).await;
    wire.write(requests.as_bytes()).await;
    for number in 0..60 {
        let answer = wire.next().await;
        assert_eq!(answer.headers["x-request-id"], number.to_string().as_str());
        assert_eq!(answer.status.as_u16(), [200, 401, 404][number % 3], "{number}: {answer:?}");
    }
}

#[tokio::test]
async fn targets_of_all_forms_are_answered() {
    let api = api().await;
    for (request, status, code) in [
        ("GET http://elsewhere.example/health/live HTTP/1.1", 200, ""),
        ("OPTIONS * HTTP/1.1", 404, "resource_not_found"),
        ("GET * HTTP/1.1", 404, "resource_not_found"),
        ("CONNECT example.com:443 HTTP/1.1", 404, "resource_not_found"),
        ("GET example.com:443 HTTP/1.1", 404, "resource_not_found"),
        ("GET /%zz?%ff HTTP/1.1", 404, "resource_not_found"),
        ("GET /health/live?token=%00 HTTP/1.1", 200, ""),
        ("BREW /health/live HTTP/1.1", 405, "method_not_allowed"),
        ("REFUSED / HTTP/1.1", 405, "method_not_allowed"),
    ] {
        let mut wire = Wire::open(&api).await;
        wire.write(format!("{request}\r\nHost: a\r\n\r\n").as_bytes()).await;
        let answer = wire.next().await;
        assert_eq!(answer.status.as_u16(), status, "{request}: {answer:?}");
        assert!(answer.headers.contains_key("x-request-id"), "{request}");
        assert_eq!(answer.code(), code, "{request}");
    }
}

#[tokio::test]
async fn chunks_are_read_to_their_end_or_refused() {
    let api = api().await;
    for chunks in [
        "zz\r\n".to_owned(),
        "-1\r\n".to_owned(),
        "\r\n".to_owned(),
        "fffffffffffffffff\r\n".to_owned(),
        "5\r\nabcdeXX".to_owned(),
        "0x5\r\nabcde\r\n0\r\n\r\n".to_owned(),
        format!("1;{}\r\n", "x".repeat(1 << 20)),
        format!("0\r\n{}\r\n", "X: y\r\n".repeat(10_000)),
    ] {
        let mut wire = Wire::open(&api).await;
        wire.write(login("Transfer-Encoding: chunked\r\n", &chunks).as_bytes()).await;
        wire.answer().await.refused(400, "malformed_request");
    }
    // What comes after good ones is not taken for a request: the connection ends with the answer.
    let mut wire = Wire::open(&api).await;
    wire.write(login("Transfer-Encoding: chunked\r\n", &format!("2\r\n{{}}\r\n0\r\n\r\n{LIVE}")).as_bytes()).await;
    let answer = wire.answer().await;
    answer.refused(422, "validation_failed");
    assert_eq!(answer.headers["connection"], "close");
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_whether_to_send() {
    let api = api().await;
    let expect = |length: usize| login(&format!("Expect: 100-continue\r\nContent-Length: {length}\r\n"), "");
    let mut wire = Wire::open(&api).await;
    wire.write(expect(2).as_bytes()).await;
    assert_eq!(wire.next().await.status, 100);
    wire.write(format!("{{}}{LIVE}").as_bytes()).await;
    wire.next().await.refused(422, "validation_failed");
    wire.next().await.ok(200);
    let mut wire = Wire::open(&api).await;
    wire.write(expect(1 << 20).as_bytes()).await;
    wire.answer().await.refused(413, "payload_too_large");
}

#[tokio::test]
async fn who_stops_sending_still_gets_the_answer() {
    let api = api().await;
    let casey = somebody(&api).await;
    let body = r#"{"bio": "told"}"#;
    let whole = format!("{}\r\n{body}", head(&casey, "PATCH", "/api/users/me", Some(body.len())));
    for request in [LIVE.to_owned(), whole] {
        let mut wire = Wire::open(&api).await;
        wire.write(request.as_bytes()).await;
        wire.finish().await;
        wire.answer().await.ok(200);
    }
    // In the middle of a body.
    for length in [Some(100), None] {
        let mut wire = Wire::open(&api).await;
        wire.write(format!("{}\r\n", head(&casey, "PATCH", "/api/users/me", length)).as_bytes()).await;
        wire.finish().await;
        wire.answer().await.refused(400, "malformed_request");
    }
    assert_eq!(casey.bio().await, "told");
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let api = api().await;
    let casey = somebody(&api).await;
    let mut seen = 0;
    // What is measured differs each time.
    let is_steady = |operation: &Operation| operation.method == "get" && operation.path != "/metrics";
    for operation in operations(&document()).into_iter().filter(is_steady) {
        let path = operation.path.replace("{userId}", &casey.id).replace("{id}", &casey.id);
        let ask = async |method: &str| {
            let mut wire = Wire::open(&api).await;
            let head = head(&casey, method, &path, Some(0));
            wire.write(format!("{head}\r\n").as_bytes()).await;
            wire.answer().await
        };
        let (with, without) = (ask("GET").await, ask("HEAD").await);
        assert_eq!((without.status, without.text.as_str()), (with.status, ""), "{path}");
        // Doors for sockets refuse it in other words.
        for header in ["content-type", "content-length"].iter().filter(|_| with.status.is_success()) {
            assert_eq!(without.headers.get(*header), with.headers.get(*header), "{path}");
        }
        assert!(without.headers.contains_key("x-request-id"), "{path}");
        seen += 1;
    }
    assert!(seen >= 12, "{seen}");
}

#[tokio::test]
async fn http_2_is_served_to_who_begins_with_it() {
    let api = api().await;
    let client = Client::builder().http2_prior_knowledge().timeout(PATIENCE).build().unwrap();
    let casey = somebody(&api).await;
    let ask = |method: Method, path: &str| client.request(method, api.url(path)).bearer_auth(&casey.token);
    for _ in 0..3 {
        let answer = ask(Method::GET, "/health/live").send().await.unwrap();
        assert_eq!((answer.version(), answer.status().as_u16()), (reqwest::Version::HTTP_2, 200));
    }
    api.send(ask(Method::PATCH, "/api/users/me").json(&json!({"bio": "by HTTP/2"}))).await.ok(200);
    assert_eq!(casey.bio().await, "by HTTP/2");
    api.send(ask(Method::PATCH, "/api/users/me").json(&json!({"bio": 2}))).await.refused(422, "validation_failed");
    // The connection goes on.
    ask(Method::GET, "/health/live").timeout(Duration::from_secs(5)).send().await.unwrap();
    let mut wire = Wire::open(&api).await;
    wire.write(format!("{LIVE}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").as_bytes()).await;
    wire.next().await.ok(200);
    wire.next().await.refused(400, "malformed_request");
}

#[tokio::test]
async fn http_2_heads_are_bounded_too() {
    let api = api().await;
    let client = Client::builder().http2_prior_knowledge().timeout(PATIENCE).build().unwrap();
    let ask = |path: &str| client.get(api.url(path)).header("x-request-id", "mine");
    let many = (0..101).fold(ask("/health/live"), |request, number| request.header(format!("x-{number}"), "y"));
    for (request, status, code) in [
        (ask("/health/live").header("x", "y".repeat(40_000)), 431, "headers_too_large"),
        (many, 431, "headers_too_large"),
        (ask(&format!("/health/live?{}", "x".repeat(40_000))), 414, "uri_too_long"),
    ] {
        let answer = api.send(request).await;
        answer.refused(status, code);
        assert_eq!(answer.headers["x-request-id"], "mine");
    }
    // Beyond that the library answers.
    let huge = ask("/health/live").header("x", "y".repeat(70_000)).send().await.unwrap();
    assert_eq!(huge.status(), 431);
    // The connection goes on, and what is just small enough is let in.
    let large = ask("/health/live").header("x", "y".repeat(32_000));
    api.send(large).await.ok(200);
}
