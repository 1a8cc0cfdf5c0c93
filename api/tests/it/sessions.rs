//! `/api/sessions`: talks, and their end.

use std::time::Duration;

use futures_util::FutureExt;
use humanchat_domain::event::Channel;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    invites::three,
    scene::{at_once, count, id, strings, text},
    support::{Person, api},
};

/// Puts two people into a session.
async fn talk(guest: &Person<'_>, host: &Person<'_>) -> Value {
    let invite = guest.invite(host).await;
    host.answer(&invite, "accept").await.ok(200)["session"].clone()
}

fn path(session: &Value) -> String {
    format!("/api/sessions/{}", text(&session["id"]))
}

#[tokio::test]
async fn a_session_is_seen_by_its_two_people_alone() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    let session = talk(&guest, &host).await;
    for person in [&guest, &host] {
        assert_eq!(person.get(&path(&session)).await.ok(200)["session"], session);
    }
    let missing = third.get("/api/sessions/sess_01jd8t6ze5fkxrv8q3w2m9n7ab").await;
    missing.refused(404, "resource_not_found");
    for path in
        [&path(&session), "/api/sessions/x", "/api/sessions/%00", &path(&json!({"id": session["conversation_id"]}))]
    {
        assert_eq!(third.get(path).await.text, missing.text, "{path}");
        let change = third.patch(path, json!({"status": "complete"})).await;
        assert_eq!((change.status, change.text), (missing.status, missing.text.clone()), "{path}");
    }
    api.anonymous(Method::GET, &path(&session), None).await.refused(401, "unauthenticated");
    let change = Some(json!({"status": "complete"}));
    api.anonymous(Method::PATCH, &path(&session), change).await.refused(401, "unauthenticated");
    assert_eq!(host.get(&path(&session)).await.ok(200)["session"], session);
}

#[tokio::test]
async fn the_host_completes_a_session_once_and_both_are_free() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    let session = talk(&guest, &host).await;
    guest.patch(&path(&session), json!({"status": "complete"})).await.refused(403, "forbidden");
    api.advance(Duration::from_millis(60_001));
    let complete = host.patch(&path(&session), json!({"status": "complete"})).await.ok(200);
    let done = &complete["session"];
    for (field, value) in [
        ("status", json!("complete")),
        ("end_time", json!("2026-11-16T12:01:00.001Z")),
        ("duration_minutes", json!(2)),
        ("start_time", session["start_time"].clone()),
        ("updated_at", json!("2026-11-16T12:01:00.001Z")),
    ] {
        assert_eq!(done[field], value, "{field}");
    }
    api.advance(Duration::from_secs(1));
    assert_eq!(host.patch(&path(&session), json!({"status": "complete"})).await.ok(200), complete);
    for person in [&guest, &host] {
        assert!(!person.is_busy().await);
        assert_eq!(person.get(&path(&session)).await.ok(200)["session"], *done);
        let told = api.told(Channel::Sessions(id(&person.id))).await;
        let kinds: Vec<_> = told.iter().map(|event| text(&event["type"])).collect();
        assert_eq!(kinds, ["session.created", "session.updated"]);
        assert_eq!(told[1]["payload"]["session"], *done);
    }
    talk(&third, &host).await;
    api.idle().await;
}

#[tokio::test]
async fn a_session_takes_no_other_step() {
    let api = api().await;
    let [guest, host, _] = three(&api).await;
    let session = talk(&guest, &host).await;
    let steps = async |except: &[&str]| {
        for status in ["pending", "in_progress", "complete", "cancelled", "no_show"] {
            for person in [&guest, &host] {
                if !except.contains(&status) {
                    let answer = person.patch(&path(&session), json!({"status": status})).await;
                    answer.refused(409, "invalid_transition");
                }
            }
        }
    };
    steps(&["complete", "in_progress"]).await;
    guest.patch(&path(&session), json!({"status": "in_progress"})).await.refused(409, "invalid_transition");
    for body in [
        json!({}),
        json!({"status": "over"}),
        json!({"status": null}),
        json!({"status": 1}),
        json!({"status": "complete", "durationMinutes": 1}),
        json!({"agreedPrice": 0, "status": "complete"}),
    ] {
        host.patch(&path(&session), body).await.refused(422, "validation_failed");
    }
    assert_eq!(host.get(&path(&session)).await.ok(200)["session"], session);
    host.patch(&path(&session), json!({"status": "complete"})).await.ok(200);
    steps(&["complete"]).await;
    assert_eq!(api.told(Channel::Sessions(id(&host.id))).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn completing_at_the_same_moment_tells_once() {
    let api = api().await;
    let [guest, host, _] = three(&api).await;
    let session = talk(&guest, &host).await;
    let path = path(&session);
    let complete = |_| host.patch(&path, json!({"status": "complete"})).boxed();
    let answers = at_once((0..6).map(complete)).await;
    assert_eq!(count(&answers, 200), 6, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.text == answers[0].text));
    assert_eq!(api.told(Channel::Sessions(id(&guest.id))).await.len(), 2);
}

#[tokio::test]
async fn sessions_are_listed_by_side_state_and_time() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    let ids = async |person: &Person<'_>, query: &str| {
        strings(&person.get(&format!("/api/sessions?{query}")).await.ok(200)["sessions"], "id")
    };
    let mut sessions = Vec::new();
    for (guest, host) in [(&guest, &host), (&third, &host), (&host, &guest)] {
        let session = talk(guest, host).await;
        host.patch(&path(&session), json!({"status": "complete"})).await.ok(200);
        sessions.push(text(&session["id"]));
        api.advance(Duration::from_mins(1));
    }
    sessions.push(text(&talk(&guest, &third).await["id"]));
    let of = |numbers: &[usize]| numbers.iter().map(|number| sessions[*number].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&host, "").await, of(&[2, 1, 0]));
    assert_eq!(ids(&host, "role=host").await, of(&[1, 0]));
    assert_eq!(ids(&host, "role=guest").await, of(&[2]));
    assert_eq!(ids(&guest, "status=in_progress").await, of(&[3]));
    assert_eq!(ids(&guest, "status=complete&role=guest").await, of(&[0]));
    assert_eq!(ids(&host, "from=2026-11-16T12:01:00Z").await, of(&[2, 1]));
    assert_eq!(ids(&host, "from=2026-11-16T12:01:00Z&to=2026-11-16T12:02:00Z").await, of(&[1]));
    let rows = guest.walk("/api/sessions?limit=1", "sessions", async |_| ()).await;
    assert_eq!(strings(&json!(rows), "id"), of(&[3, 2, 0]));
    assert_eq!(rows[1], guest.get(&format!("/api/sessions/{}", sessions[2])).await.ok(200)["session"]);

    let first = host.get("/api/sessions?limit=1").await.ok(200);
    let cursor = text(&first["nextCursor"]);
    guest.get(&format!("/api/sessions?cursor={cursor}")).await.refused(400, "malformed_request");
    host.get(&format!("/api/sessions?role=host&cursor={cursor}")).await.refused(400, "malformed_request");
    host.get("/api/sessions?status=over").await.refused(400, "malformed_request");
    for (field, query) in [("from", "from=today"), ("to", "to=2026-11-16"), ("to", "to=2026-12-31T23:59:60Z")] {
        let details = host.get(&format!("/api/sessions?{query}")).await.refused(422, "validation_failed");
        assert!(details["fields"][field].is_string(), "{query}: {details}");
    }
}
