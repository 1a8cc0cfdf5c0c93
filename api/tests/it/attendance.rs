//! Who was there, and what that makes a talk cost.

use std::time::Duration;

use humanchat_domain::testing;
use serde_json::{Value, json};

use crate::{
    booking::{TEN, staying},
    scene::{eventually, id, text},
    support::{Api, Person, api},
};

/// Waits until so many people are known to have a socket.
pub async fn settled(api: &Api, people: i64) {
    eventually("presence", async || {
        let open = testing::people_here(&api.store).await;
        (open == people).then_some(())
    })
    .await;
}

/// A session of an hour for sixty dollars that goes on; both are there by socket.
async fn talking(api: &Api) -> ([Person<'_>; 2], Value) {
    let [guest, host, _] = staying(api).await;
    host.keeps_open().await;
    host.change(json!({"conversationType": "paid", "instantRatePerMinute": 1})).await;
    let body = json!({"hostUserId": host.id, "startTime": TEN, "durationMinutes": 60, "price": 60});
    let session = guest.post("/api/sessions", body).await.ok(201)["session"].clone();
    assert!(api.pays(&session).await);
    api.advance(Duration::from_hours(22));
    ([guest, host], session)
}

/// Minutes both were there, and what is owed in cents.
async fn outcome(api: &Api, session: &Value) -> (i32, i64) {
    let minutes = testing::minutes_together(&api.store, id(&text(&session["id"]))).await;
    (minutes, api.owed(session).await)
}

#[tokio::test]
async fn minutes_that_both_were_there_are_paid_for() {
    let api = api().await;
    let ([guest, host], session) = talking(&api).await;
    let guest_socket = guest.socket("/ws").await;
    let host_socket = host.socket("/ws").await;
    settled(&api, 2).await;
    host.moves(&session, "in_progress").await.ok(200);
    api.advance(Duration::from_mins(10));
    drop(guest_socket);
    settled(&api, 1).await;
    api.advance(Duration::from_mins(5));
    let guest_socket = guest.socket("/ws").await;
    settled(&api, 2).await;
    api.advance(Duration::from_millis(60_001));
    host.moves(&session, "complete").await.ok(200);
    assert_eq!(outcome(&api, &session).await, (12, 1200));
    drop((guest_socket, host_socket));
}

#[tokio::test]
async fn who_never_came_is_not_paid_for() {
    let api = api().await;
    let ([_, host], session) = talking(&api).await;
    let host_socket = host.socket("/ws").await;
    settled(&api, 1).await;
    host.moves(&session, "in_progress").await.ok(200);
    api.advance(Duration::from_hours(1));
    host.moves(&session, "complete").await.ok(200);
    assert_eq!(outcome(&api, &session).await, (0, 0));
    drop(host_socket);
}

#[tokio::test]
async fn messages_and_presence_by_http_are_signs_of_life() {
    let api = api().await;
    let ([guest, host], session) = talking(&api).await;
    host.moves(&session, "in_progress").await.ok(200);
    let conversation = text(&session["conversation_id"]);
    for _ in 0..4 {
        host.appear().await;
        guest.say(&conversation, "Yes?").await.ok(201);
        api.advance(Duration::from_secs(45));
    }
    api.advance(Duration::from_mins(30));
    host.moves(&session, "complete").await.ok(200);
    assert_eq!(outcome(&api, &session).await, (3, 300));
}

#[tokio::test]
async fn nobody_pays_for_more_than_was_agreed() {
    let api = api().await;
    let ([guest, host], session) = talking(&api).await;
    let sockets = (guest.socket("/ws").await, host.socket("/ws").await);
    settled(&api, 2).await;
    host.moves(&session, "in_progress").await.ok(200);
    api.advance(Duration::from_mins(90));
    host.moves(&session, "complete").await.ok(200);
    assert_eq!(outcome(&api, &session).await, (90, 6000));
    drop(sockets);
}

#[tokio::test]
async fn who_hides_is_there_all_the_same() {
    let api = api().await;
    let ([guest, host], session) = talking(&api).await;
    let sockets = (guest.socket("/ws").await, host.socket("/ws").await);
    settled(&api, 2).await;
    host.put("/api/users/me/presence", json!({"state": "offline"})).await.ok(200);
    host.moves(&session, "in_progress").await.ok(200);
    api.advance(Duration::from_mins(20));
    host.moves(&session, "complete").await.ok(200);
    assert_eq!(outcome(&api, &session).await, (20, 2000));
    drop(sockets);
}
