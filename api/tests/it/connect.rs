//! `/api/conversations/connect`: who can be asked, and who can't.

use humanchat_domain::{
    clock::Clock,
    testing::{Flags, TestDatabase, noon},
    users::DisplayMode,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    invites::three,
    scene::text,
    support::{api, api_on},
};

#[tokio::test]
async fn both_times_can_be_set() {
    let settings = [("INVITE_TTL_ONLINE_SECS", "7"), ("INVITE_TTL_OFFLINE_SECS", "11")];
    let api = api_on(&TestDatabase::create().await, Clock::manual(noon()), &settings).await;
    let [guest, host, third] = three(&api).await;
    host.appear().await;
    assert_eq!(guest.invite(&host).await["expires_at"], "2026-11-16T12:00:07.000Z");
    assert_eq!(guest.invite(&third).await["expires_at"], "2026-11-16T12:00:11.000Z");
}

#[tokio::test]
async fn connecting_needs_somebody_else_who_is_there() {
    let api = api().await;
    let [guest, host, _] = three(&api).await;
    let ask = async |body: Value| guest.post("/api/conversations/connect", body).await;
    let details = ask(json!({"targetUserId": guest.id})).await.refused(422, "validation_failed");
    assert!(details["fields"]["targetUserId"].is_string(), "{details}");
    for id in ["user_01jd8t6ze5fkxrv8q3w2m9n7ab", "", "\0", "nobody", &host.id.replace("user", "conv")] {
        ask(json!({"targetUserId": id})).await.refused(404, "resource_not_found");
    }
    for body in [
        json!({}),
        json!({"targetUserId": 1}),
        json!({"targetUserId": host.id, "minutes": 4}),
        json!({"targetUserId": host.id, "minutes": 481}),
        json!({"targetUserId": host.id, "minutes": i64::MAX}),
        json!({"targetUserId": host.id, "minutes": 30.5}),
        json!({"targetUserId": host.id, "price": 0}),
    ] {
        ask(body).await.refused(422, "validation_failed");
    }
    let body = json!({"targetUserId": host.id});
    let anonymous = api.anonymous(Method::POST, "/api/conversations/connect", Some(body)).await;
    anonymous.refused(401, "unauthenticated");
    api.anonymous(Method::GET, "/api/conversations/invites/pending", None).await.refused(401, "unauthenticated");
    assert_eq!(guest.pending().await, Vec::<String>::new());
    ask(json!({"targetUserId": host.id, "minutes": 5})).await.ok(201);
}

#[tokio::test]
async fn whoever_is_in_a_session_neither_asks_nor_is_asked() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    let fourth = api.arrive(&["fourth"]).await.remove(0);
    let to_host = third.invite(&host).await;
    let to_guest = third.invite(&guest).await;
    let from_guest = guest.invite(&fourth).await;
    let invite = guest.invite(&host).await;
    let accepted = host.answer(&invite, "accept").await.ok(200);
    // The pair gets its session again.
    let again = guest.connect(&host).await.ok(200);
    assert_eq!((&again["flow"], &again["session"]), (&json!("session"), &accepted["session"]));
    assert_eq!(host.connect(&guest).await.ok(200)["session"], accepted["session"]);
    fourth.connect(&host).await.refused(409, "host_busy");
    host.connect(&fourth).await.refused(409, "requester_busy");
    host.answer(&to_host, "accept").await.refused(409, "host_busy");
    fourth.answer(&from_guest, "accept").await.refused(409, "requester_busy");
    // They still wait, and can be said no to meanwhile.
    assert_eq!(host.pending().await, [text(&to_host["id"])]);
    guest.answer(&to_guest, "decline").await.ok(200);
    let path = format!("/api/sessions/{}", text(&accepted["session"]["id"]));
    host.patch(&path, json!({"status": "complete"})).await.ok(200);
    assert!(!guest.is_busy().await && !host.is_busy().await);
    host.answer(&to_host, "accept").await.ok(200);
    fourth.answer(&from_guest, "accept").await.ok(200);
    api.idle().await;
}

#[tokio::test]
async fn some_people_are_reached_by_request_only() {
    let api = api().await;
    let [guest, host, _] = three(&api).await;
    let normal = Flags::default();
    for flags in [
        Flags { managed: true, ..normal },
        Flags { display_mode: DisplayMode::ByRequest, ..normal },
        Flags { display_mode: DisplayMode::Confidential, ..normal },
        Flags { confidential_rate: true, ..normal },
    ] {
        host.set_flags(flags).await;
        guest.connect(&host).await.refused(409, "request_required");
        // They may ask others themselves.
        let invite = host.invite(&guest).await;
        assert_eq!(guest.connect(&host).await.ok(200)["invite"]["id"], invite["id"], "and then there is a live one");
        host.answer(&invite, "cancel").await.ok(200);
    }
    host.set_flags(normal).await;
    guest.connect(&host).await.ok(201);
}

#[tokio::test]
async fn paid_and_charity_hosts_are_not_available_without_a_provider() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    host.change(json!({"conversationType": "paid", "instantRatePerMinute": 2})).await;
    third.change(json!({"conversationType": "charity", "charityName": "Ocean"})).await;
    for paid in [&host, &third] {
        let answer = guest.connect(paid).await;
        answer.refused(503, "service_unavailable");
        assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() > 0);
    }
    assert_eq!(guest.pending().await, Vec::<String>::new());
    // Nothing of a 5xx is kept under its key.
    let again = async || guest.post_once("/api/conversations/connect", "k", json!({"targetUserId": host.id})).await;
    again().await.refused(503, "service_unavailable");
    host.change(json!({"conversationType": "free"})).await;
    again().await.ok(201);
}
