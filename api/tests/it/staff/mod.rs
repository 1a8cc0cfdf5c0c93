//! The staff's routes: the limit they count against, and what they show.

mod asked;
mod members;
mod queues;
mod search;

use std::time::Duration;

use humanchat_domain::{
    auth::Role,
    clock::Clock,
    testing::{TestDatabase, noon},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    openapi::{document, operations},
    scene::text,
    support::{Answer, Api, Person, api, api_on},
};

/// An admin, a manager and members, in this order; none of them has asked for anything yet.
pub async fn place<'a>(api: &'a Api, members: &[&str]) -> Vec<Person<'a>> {
    let people = api.arrive(&[&["boss", "keeper"], members].concat()).await;
    people[0].becomes(Role::Admin).await;
    people[1].becomes(Role::Manager).await;
    people
}

impl Person<'_> {
    pub async fn decides_about(&self, other: &Person<'_>, change: Value) -> Answer {
        self.patch(&format!("/api/admin/users/{}", other.id), change).await
    }

    /// The audit log, newest first.
    pub async fn audit(&self, query: &str) -> Vec<Value> {
        let path = format!("/api/admin/audit?limit=100{query}");
        self.get(&path).await.ok(200)["entries"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn staff_routes_count_against_a_limit_of_their_own() {
    let database = TestDatabase::create().await;
    let settings = [("RATE_LIMIT_USER", "2"), ("RATE_LIMIT_ADMIN", "40")];
    let api = api_on(&database, Clock::manual(noon()), &settings).await;
    let people = place(&api, &["member"]).await;
    let [admin, _, member] = &people[..] else { panic!("three people") };
    let (limit, mut asked) = (40, 0);
    for route in operations(&document()).iter().filter(|route| route.path.starts_with("/api/admin/")) {
        let path = route.path.replace("{id}", "nonsense").replace("{name}", "nonsense");
        let method = Method::from_bytes(route.method.to_uppercase().as_bytes()).unwrap();
        let answer = api.send(admin.request(method, &path).json(&json!({}))).await;
        assert_ne!(answer.status, 429, "{}: {answer:?}", route.name());
        asked += 1;
    }
    for _ in asked..limit {
        admin.get("/api/admin/queues").await.ok(200);
    }
    let refused = admin.get("/api/admin/queues").await;
    refused.refused(429, "rate_limited");
    assert!(refused.headers.contains_key("retry-after"));
    admin.get("/api/auth/me").await.ok(200);
    for status in [403, 403, 429] {
        assert_eq!(member.get("/api/admin/queues").await.status, status, "who isn't staff has a user's limit");
    }
}

#[tokio::test]
async fn numbers_are_of_what_is_there() {
    let api = api().await;
    let people = place(&api, &["guest", "host", "ward"]).await;
    let [admin, _, guest, host, ward] = &people[..] else { panic!("five people") };
    admin.decides_about(ward, json!({"managed": true})).await.ok(200);
    host.appear().await;
    ward.appear().await;
    guest.ask(ward, "Hello?").await.ok(201);
    let invite = guest.invite(host).await;
    let metrics = admin.get("/api/admin/metrics?days=3").await.ok(200);
    assert_eq!(metrics["totals"], json!({"users": 5, "managed": 1, "online": 2, "admins": 1}));
    assert_eq!(metrics["sessions"], json!({"active": 0, "pending": 0, "completedToday": 0}));
    assert_eq!(metrics["requests"], json!({"pending": 1, "requestedPeoplePending": 0}));
    host.answer(&invite, "accept").await.ok(200);
    let sessions = async || admin.get("/api/admin/metrics").await.ok(200)["sessions"].clone();
    assert_eq!(sessions().await, json!({"active": 1, "pending": 0, "completedToday": 0}));
    let session = text(&host.get("/api/sessions").await.ok(200)["sessions"][0]["id"]);
    host.patch(&format!("/api/sessions/{session}"), json!({"status": "complete"})).await.ok(200);
    assert_eq!(sessions().await, json!({"active": 0, "pending": 0, "completedToday": 1}));
    let metrics = admin.get("/api/admin/metrics?days=3").await.ok(200);
    let day = |date: &str, sessions: i32, requests: i32| json!({"date": date, "activeSessions": sessions, "revenue": 0, "requests": requests});
    assert_eq!(
        metrics["sparkline"],
        json!([day("2026-11-14", 0, 0), day("2026-11-15", 0, 0), day("2026-11-16", 1, 1)])
    );
    assert_eq!(
        metrics["revenue"],
        json!({"today": 0, "last7Days": 0, "last30Days": 0, "donations30d": 0, "currency": "usd"})
    );
    let default = &metrics["jobs"]["default"];
    assert_eq!((&default["waiting"], &default["parked"]), (&json!(0), &json!(0)));
    api.advance(Duration::from_mins(1));
    let metrics = admin.get("/api/admin/metrics").await.ok(200);
    assert_eq!(metrics["totals"]["online"], 0);
    assert_eq!(metrics["jobs"]["default"]["waiting"], 2, "two presences have run out: {}", metrics["jobs"]);
    assert!(metrics["jobs"]["default"]["oldest_seconds"].as_f64().unwrap() >= 15.0);
    assert_eq!(metrics["sparkline"].as_array().unwrap().len(), 10);
    for days in ["0", "91", "-1", "x"] {
        admin.get(&format!("/api/admin/metrics?days={days}")).await.refused(400, "malformed_request");
    }
}
