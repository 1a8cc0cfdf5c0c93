//! `/metrics`: what operators see of a process.

use std::time::Duration;

use futures_util::future::join_all;
use humanchat_domain::{
    clock::Clock,
    testing::{TableLock, TestDatabase, noon},
};
use reqwest::Method;
use serde_json::json;

use crate::{
    scene::eventually,
    staff::place,
    support::{Api, api_on},
};

impl Api {
    /// The value of a series, told by its name and labels just as they are printed.
    async fn metric(&self, series: &str) -> Option<f64> {
        let answer = self.anonymous(Method::GET, "/metrics", None).await;
        assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        answer.text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }
}

#[tokio::test]
async fn requests_sockets_connections_and_jobs_are_measured() {
    let api = api_on(&TestDatabase::create().await, Clock::System, &[]).await;
    let person = api.register("Measured").await;
    for _ in 0..3 {
        person.get(&format!("/api/users/{}", person.id)).await.ok(200);
    }
    person.get("/api/users/user_nobody").await.refused(404, "resource_not_found");
    person.get("/somewhere/else").await.refused(404, "resource_not_found");
    let odd = Method::from_bytes(b"FROBNICATE").unwrap();
    api.anonymous(odd, "/api/auth/login", None).await.refused(405, "method_not_allowed");
    api.anonymous(Method::POST, "/api/auth/magic-link", Some(json!({"email": "a@example.com"}))).await.ok(202);
    let mut socket = person.socket("/ws").await;
    socket.subscribe(&format!("notifications:{}", person.id)).await;

    for (series, value) in [
        (r#"humanchat_http_requests_total{method="GET",route="/api/users/{id}",status="200"}"#, 3.0),
        (r#"humanchat_http_requests_total{method="GET",route="/api/users/{id}",status="404"}"#, 1.0),
        (r#"humanchat_http_requests_total{method="GET",route="unknown",status="404"}"#, 1.0),
        (r#"humanchat_http_requests_total{method="other",route="/api/auth/login",status="405"}"#, 1.0),
        (r#"humanchat_http_request_duration_seconds_count{method="GET",route="/api/users/{id}"}"#, 4.0),
        (r#"humanchat_http_request_duration_seconds_bucket{method="GET",route="/api/users/{id}",le="10"}"#, 4.0),
        ("humanchat_sockets", 1.0),
        ("humanchat_socket_channels", 1.0),
        (r#"humanchat_jobs{queue="mail",state="waiting"}"#, 1.0),
        (r#"humanchat_jobs{queue="mail",state="parked"}"#, 0.0),
        ("humanchat_database_up", 1.0),
        ("humanchat_bus_up", 1.0),
    ] {
        assert_eq!(api.metric(series).await, Some(value), "{series}");
    }
    let oldest = api.metric(r#"humanchat_jobs_oldest_seconds{queue="mail"}"#).await.unwrap();
    assert!(oldest > 0.0 && oldest < 60.0, "{oldest}");
    let idle = api.metric(r#"humanchat_database_connections{state="idle"}"#).await.unwrap();
    assert!((1.0..=8.0).contains(&idle), "{idle}");

    socket.stream.close(None).await.unwrap();
    socket.closed().await;
    while api.metric("humanchat_sockets").await != Some(0.0) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_an_operator_holds_up_is_not_late() {
    let clock = Clock::manual(noon());
    let api = api_on(&TestDatabase::create().await, clock.clone(), &[]).await;
    let people = place(&api, &[]).await;
    api.anonymous(Method::POST, "/api/auth/magic-link", Some(json!({"email": "a@example.com"}))).await.ok(202);
    clock.advance(Duration::from_mins(5));
    people[0].post("/api/admin/queues/mail/pause", json!({})).await.ok(200);
    for (series, value) in [
        (r#"humanchat_jobs{queue="mail",state="waiting"}"#, 1.0),
        (r#"humanchat_jobs_oldest_seconds{queue="mail"}"#, 0.0),
        (r#"humanchat_queue_paused{queue="mail"}"#, 1.0),
        (r#"humanchat_queue_paused{queue="bulk"}"#, 0.0),
    ] {
        assert_eq!(api.metric(series).await, Some(value), "{series}");
    }
}

#[tokio::test]
async fn a_crowd_that_watches_takes_two_connections() {
    let api = api_on(&TestDatabase::create().await, Clock::System, &[("DATABASE_POOL", "4")]).await;
    let person = api.register("Watched").await;
    let mut lock = TableLock::take(&api.store, "jobs").await;
    let watch = |number: usize| {
        let path = if number.is_multiple_of(2) { "/metrics" } else { "/health/ready" };
        api.anonymous(Method::GET, path, None)
    };
    let served = async {
        eventually("both to wait", async || (lock.waiting().await == 2).then_some(())).await;
        for _ in 0..20 {
            person.get("/api/auth/me").await.ok(200);
        }
        assert_eq!(lock.waiting().await, 2);
        lock.release().await;
    };
    let (answers, ()) = tokio::join!(join_all((0..40).map(watch)), served);
    assert!(answers.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn without_a_database_the_rest_is_still_measured() {
    let settings = [("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")];
    let api = api_on(&TestDatabase::create().await, Clock::System, &settings).await;
    assert_eq!(api.metric("humanchat_database_up").await, Some(0.0));
    assert_eq!(api.metric("humanchat_sockets").await, Some(0.0));
}
