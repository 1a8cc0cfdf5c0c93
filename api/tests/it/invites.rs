//! Connecting at once: who can be asked, and what comes of it.

use std::time::Duration;

use humanchat_domain::event::Channel;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    scene::{ONLINE_TTL, id, strings, text},
    support::{Api, Person, api},
};

impl Person<'_> {
    /// The ids of the invites that wait.
    pub async fn pending(&self) -> Vec<String> {
        strings(&self.get("/api/conversations/invites/pending").await.ok(200)["invites"], "id")
    }

    pub async fn is_busy(&self) -> bool {
        self.see(self).await["has_active_session"].as_bool().unwrap()
    }
}

pub async fn three(api: &Api) -> [Person<'_>; 3] {
    api.arrive(&["guest", "host", "third"]).await.try_into().unwrap_or_else(|_| panic!("three arrive"))
}

#[tokio::test]
async fn connecting_asks_the_host_and_tells_both() {
    let api = api().await;
    let [guest, host, _] = three(&api).await;
    let connected = guest.connect(&host).await.ok(201);
    assert_eq!(connected["flow"], "invite");
    let invite = &connected["invite"];
    let expected = json!({
        "id": invite["id"], "conversation_id": connected["conversation"]["id"], "requester_user_id": guest.id,
        "target_user_id": host.id, "status": "pending", "expires_at": "2026-11-17T12:00:00.000Z",
        "server_now": "2026-11-16T12:00:00.000Z", "resolved_at": null, "created_at": "2026-11-16T12:00:00.000Z",
    });
    assert_eq!(*invite, expected);
    assert!(text(&invite["id"]).starts_with("inv_"));
    for person in [&guest, &host] {
        assert_eq!(person.pending().await, [text(&invite["id"])]);
        let events = api.told_to(person).await;
        assert_eq!(events.len(), 1);
        assert_eq!((&events[0]["type"], &events[0]["payload"]["event"]), (&json!("instant_invite"), &json!("pending")));
        assert_eq!(events[0]["payload"]["invite"], expected);
        assert_eq!(events[0]["payload"]["conversation"]["id"], connected["conversation"]["id"]);
    }
    assert!(!guest.is_busy().await && !host.is_busy().await);
}

#[tokio::test]
async fn a_host_who_is_there_has_five_minutes() {
    let api = api().await;
    let [guest, host, _] = three(&api).await;
    host.appear().await;
    let invite = guest.invite(&host).await;
    assert_eq!(invite["expires_at"], "2026-11-16T12:05:00.000Z");
    host.answer(&invite, "decline").await.ok(200);
    host.put("/api/users/me/presence", json!({"state": "offline"})).await.ok(200);
    assert_eq!(guest.invite(&host).await["expires_at"], "2026-11-17T12:00:00.000Z");
}

#[tokio::test]
async fn a_live_invite_is_returned_again_to_either_side() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    let first = guest.connect(&host).await.ok(201);
    assert_eq!(guest.connect(&host).await.ok(200), first);
    assert_eq!(host.connect(&guest).await.ok(200)["invite"], first["invite"]);
    let other = guest.invite(&third).await;
    assert_ne!(other["id"], first["invite"]["id"]);
    assert_eq!(guest.pending().await, [text(&other["id"]), text(&first["invite"]["id"])], "newest first");
    assert_eq!(guest.told_about(&first["invite"]).await, ["pending"]);
}

#[tokio::test]
async fn accepting_starts_a_session_and_repeats_itself() {
    let api = api().await;
    let [guest, host, _] = three(&api).await;
    let invite = guest.invite(&host).await;
    api.advance(Duration::from_secs(3));
    let accepted = host.answer(&invite, "accept").await.ok(200);
    let (session, conversation) = (&accepted["session"], &accepted["conversation"]);
    assert_eq!(accepted["invite"]["status"], "accepted");
    assert_eq!(accepted["invite"]["resolved_at"], "2026-11-16T12:00:03.000Z");
    for (field, value) in [
        ("host_user_id", json!(host.id)),
        ("guest_user_id", json!(guest.id)),
        ("conversation_id", invite["conversation_id"].clone()),
        ("type", json!("instant")),
        ("status", json!("in_progress")),
        ("start_time", json!("2026-11-16T12:00:03.000Z")),
        ("end_time", Value::Null),
        ("duration_minutes", Value::Null),
        ("agreed_price", json!(0)),
        ("currency", json!("usd")),
        ("payment_mode", json!("free")),
        ("payment_status", json!("not_required")),
    ] {
        assert_eq!(session[field], value, "{field}");
    }
    assert_eq!((&conversation["id"], &conversation["linked_session_id"]), (&invite["conversation_id"], &session["id"]));
    assert!(guest.is_busy().await && host.is_busy().await);
    api.advance(Duration::from_secs(1));
    assert_eq!(host.answer(&invite, "accept").await.ok(200), accepted, "the same body");
    for person in [&guest, &host] {
        assert_eq!(person.told_about(&invite).await, ["pending", "accepted"]);
        assert_eq!(person.pending().await, Vec::<String>::new());
        let told = api.told(Channel::Sessions(id(&person.id))).await;
        assert_eq!(told.len(), 1);
        assert_eq!((&told[0]["type"], &told[0]["payload"]["session"]), (&json!("session.created"), session));
        let last = api.told_to(person).await.pop().unwrap();
        assert_eq!(last["payload"]["session"], *session);
    }
    assert_refused_after(&[&guest, &host], &invite, "accept", "accepted").await;
    api.idle().await;
}

/// What everybody else hears once an invite has its outcome.
async fn assert_refused_after(people: &[&Person<'_>; 2], invite: &Value, how: &str, status: &str) {
    let [guest, host] = people;
    for (person, other) in [(host, "accept"), (host, "decline"), (guest, "cancel")] {
        if other != how {
            let details = person.answer(invite, other).await.refused(409, "invite_resolved");
            assert_eq!(details["status"], status, "{other}");
        }
    }
}

#[tokio::test]
async fn declining_and_cancelling_end_an_invite_and_repeat_themselves() {
    let api = api().await;
    let [guest, host, _] = three(&api).await;
    for (person, how, status) in [(&host, "decline", "declined"), (&guest, "cancel", "cancelled")] {
        let invite = guest.invite(&host).await;
        let ended = person.answer(&invite, how).await.ok(200);
        assert_eq!(ended["invite"]["status"], status);
        assert_eq!(ended["invite"]["id"], invite["id"]);
        api.advance(Duration::from_secs(1));
        assert_eq!(person.answer(&invite, how).await.ok(200), ended, "the same body");
        for side in [&guest, &host] {
            assert_eq!(side.told_about(&invite).await, ["pending", status]);
        }
        assert_refused_after(&[&guest, &host], &invite, how, status).await;
    }
    assert_eq!(host.pending().await, Vec::<String>::new());
    assert!(!guest.is_busy().await && !host.is_busy().await);
    api.idle().await;
}

#[tokio::test]
async fn each_answer_is_one_sides_alone() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    let invite = guest.invite(&host).await;
    let missing = json!({"id": "inv_01jd8t6ze5fkxrv8q3w2m9n7ab"});
    for (how, not_theirs) in [("accept", &guest), ("decline", &guest), ("cancel", &host)] {
        not_theirs.answer(&invite, how).await.refused(403, "forbidden");
        let answers = [
            third.answer(&missing, how).await,
            third.answer(&invite, how).await,
            third.answer(&json!({"id": "inv_"}), how).await,
            third.answer(&json!({"id": invite["conversation_id"]}), how).await,
        ];
        answers[0].refused(404, "resource_not_found");
        assert!(answers.iter().all(|answer| answer.text == answers[0].text), "{answers:?}");
        let path = format!("/api/conversations/invites/{}/{how}", text(&invite["id"]));
        api.anonymous(Method::POST, &path, None).await.refused(401, "unauthenticated");
        host.post(&path, json!({"because": "x"})).await.refused(422, "validation_failed");
    }
    assert_eq!(host.told_about(&invite).await, ["pending"]);
    // Nobody but the two sees it, and the answer needs no body.
    assert_eq!(third.pending().await, Vec::<String>::new());
    let path = format!("/api/conversations/invites/{}/decline", text(&invite["id"]));
    api.send(host.request(Method::POST, &path)).await.ok(200);
}

#[tokio::test]
async fn an_expired_invite_is_expired_before_its_job_has_run() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    host.appear().await;
    let invite = guest.invite(&host).await;
    let later = third.invite(&host).await;
    api.advance(ONLINE_TTL.saturating_sub(Duration::from_millis(1)));
    assert_eq!(host.pending().await.len(), 2);
    host.answer(&later, "accept").await.ok(200);
    api.advance(Duration::from_millis(1));
    let refused = async || {
        assert_eq!((guest.pending().await, host.pending().await), (vec![], vec![]));
        for (person, how) in [(&host, "accept"), (&host, "decline"), (&guest, "cancel")] {
            person.answer(&invite, how).await.refused(410, "invite_expired");
        }
    };
    refused().await;
    assert_eq!(guest.told_about(&invite).await, ["pending"]);
    let work = api.work().await;
    assert_eq!(work.iter().filter(|job| **job == "expire_invite").count(), 1, "{work:?}");
    refused().await;
    for person in [&guest, &host] {
        assert_eq!(person.told_about(&invite).await, ["pending", "expired"]);
        let last = api.told_to(person).await.pop().unwrap();
        let told = if last["payload"]["invite"]["id"] == invite["id"] { &last["payload"]["invite"] } else { continue };
        assert_eq!((&told["status"], &told["resolved_at"]), (&json!("expired"), &invite["expires_at"]));
    }
    api.idle().await;
}

#[tokio::test]
async fn connecting_again_after_the_time_gives_the_old_invite_its_outcome_first() {
    let api = api().await;
    let [guest, host, _] = three(&api).await;
    host.appear().await;
    let old = guest.invite(&host).await;
    api.advance(ONLINE_TTL);
    let new = guest.invite(&host).await;
    assert_ne!(new["id"], old["id"]);
    for person in [&guest, &host] {
        assert_eq!(person.told_about(&old).await, ["pending", "expired"]);
        assert_eq!(person.told_about(&new).await, ["pending"]);
        assert_eq!(person.pending().await, [text(&new["id"])]);
    }
    assert!(!api.work().await.contains(&"expire_invite"), "its job went with it");
    host.answer(&old, "accept").await.refused(410, "invite_expired");
    host.answer(&new, "accept").await.ok(200);
    api.work().await;
    api.idle().await;
}
