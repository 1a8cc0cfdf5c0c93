//! More requests than can be worked on.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, future::join_all};
use humanchat_api::server::{Caps, Timeouts};
use humanchat_domain::testing::TableLock;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::task::JoinHandle;

use super::bounded;
use crate::{
    edge::somebody,
    raw::{Wire, head},
    scene::eventually,
    support::{Answer, Api, Person},
};

const AT_ONCE: Duration = Duration::from_millis(500);

async fn limited(settings: &[(&str, &str)]) -> Api {
    bounded(Timeouts::default(), Caps::default(), settings).await
}

#[track_caller]
fn check_refused(answer: &Answer) {
    answer.refused(503, "service_unavailable");
    assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);
}

/// A request that needs the locked table, begun: so many wait for that then.
async fn begun(person: &Person<'_>, lock: &mut TableLock, waiting: i64) -> JoinHandle<StatusCode> {
    let request = person.request(Method::GET, "/api/conversations");
    let answer = tokio::spawn(async move { request.send().await.unwrap().status() });
    eventually("the request to wait", async || (lock.waiting().await == waiting).then_some(())).await;
    answer
}

#[tokio::test]
async fn a_request_too_many_is_refused_at_once() {
    let api = limited(&[("MAX_REQUESTS", "2")]).await;
    let casey = somebody(&api).await;
    let mut lock = TableLock::take(&api.store, "conversations").await;
    let one = begun(&casey, &mut lock, 1).await;
    let two = begun(&casey, &mut lock, 2).await;
    let began = Instant::now();
    check_refused(&casey.get("/api/conversations").await);
    check_refused(&casey.profile("{}").await);
    check_refused(&api.anonymous(Method::POST, "/api/auth/login", Some(json!({}))).await);
    for path in ["/health/live", "/health/ready", "/docs/", "/openapi.yaml"] {
        assert_eq!(api.anonymous(Method::GET, path, None).await.status, 200, "{path}");
    }
    assert!(began.elapsed() < AT_ONCE * 2, "{:?}", began.elapsed());
    lock.release().await;
    assert_eq!(one.await.unwrap(), 200);
    casey.get("/api/conversations").await.ok(200);
    assert_eq!(two.await.unwrap(), 200);
}

#[tokio::test]
async fn work_counts_even_when_its_client_has_left() {
    let api = limited(&[("MAX_REQUESTS", "1")]).await;
    let people = api.arrive(&["casey", "river"]).await;
    let casey = &people[0];
    let conversation = casey.conversation_with(&people[1]).await;
    let path = format!("/api/conversations/{conversation}/messages");
    let mut lock = TableLock::take(&api.store, "conversations").await;
    let mut wire = Wire::open(&api).await;
    let body = json!({"content": "Done", "type": "user_text"}).to_string();
    wire.write(format!("{}\r\n{body}", head(casey, "POST", &path, Some(body.len()))).as_bytes()).await;
    eventually("the request to wait", async || (lock.waiting().await == 1).then_some(())).await;
    drop(wire);
    check_refused(&casey.get("/api/conversations").await);
    lock.release().await;
    eventually("the work to end", async || (casey.get("/api/conversations").await.status == 200).then_some(())).await;
    let page = casey.get(&path).await.ok(200);
    assert_eq!(page["messages"][0]["content"], "Done");
}

#[tokio::test]
async fn neither_open_sockets_nor_half_sent_bodies_count() {
    let api = limited(&[("MAX_REQUESTS", "1")]).await;
    let casey = somebody(&api).await;
    let mut sockets = Vec::new();
    let mut half = Vec::new();
    let body = r#"{"bio": "whole"}"#;
    for _ in 0..5 {
        sockets.push(casey.socket("/ws").await);
        let mut wire = Wire::open(&api).await;
        wire.write(format!("{}\r\n{{", head(&casey, "PATCH", "/api/users/me", Some(body.len()))).as_bytes()).await;
        half.push(wire);
    }
    for _ in 0..20 {
        casey.profile(body).await.ok(200);
    }
    for mut wire in half {
        wire.write(&body.as_bytes()[1..]).await;
        wire.answer().await.ok(200);
    }
    for socket in &mut sockets {
        socket.quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_connections_are_taken_requests_are_refused_in_time() {
    const POOL: usize = 4;
    let api = limited(&[("DATABASE_POOL", "4")]).await;
    let casey = somebody(&api).await;
    let mut lock = TableLock::take(&api.store, "conversations").await;
    let holding = join_all((0..POOL).map(|_| casey.get("/api/conversations"))).boxed();
    let others = async {
        eventually("all connections to be taken", async || (lock.waiting().await >= 4).then_some(())).await;
        let began = Instant::now();
        let answers =
            join_all((0..40).map(|number| {
                let casey = casey.clone();
                async move {
                    if number % 2 == 0 { casey.get("/api/conversations").await } else { casey.profile("{}").await }
                }
            }))
            .await;
        let took = began.elapsed();
        answers.iter().for_each(check_refused);
        println!("{} requests without a connection were refused after {took:?}", answers.len());
        assert!(took > Duration::from_secs(2) && took < Duration::from_secs(5), "{took:?}");
        let ready = api.anonymous(Method::GET, "/health/ready", None).await;
        assert_eq!(ready.status, 503);
        lock.release().await;
        let began = Instant::now();
        casey.get("/api/conversations").await.ok(200);
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    };
    let (held, ()) = tokio::join!(holding, others);
    for answer in held {
        answer.ok(200);
    }
}

#[tokio::test]
async fn who_waits_for_a_lock_too_long_may_try_again() {
    let api = limited(&[]).await;
    let casey = somebody(&api).await;
    let lock = TableLock::take(&api.store, "conversations").await;
    let began = Instant::now();
    check_refused(&casey.get("/api/conversations").await);
    println!("a request that waited for a lock was refused after {:?}", began.elapsed());
    lock.release().await;
    casey.get("/api/conversations").await.ok(200);
}
