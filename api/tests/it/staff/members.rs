//! What staff decide about members, and what nobody may.

use std::time::Duration;

use humanchat_domain::auth::Role;
use serde_json::{Value, json};

use super::place;
use crate::{
    scene::{at_once, count, eventually, text},
    support::api,
};

#[tokio::test]
async fn a_decision_changes_what_it_names_and_is_in_the_log() {
    let api = api().await;
    let people = place(&api, &["ward"]).await;
    let [admin, manager, ward] = &people[..] else { panic!("three people") };
    let change =
        json!({"managed": true, "managerId": manager.id, "displayMode": "by_request", "confidentialRate": true});
    let request = manager.request(reqwest::Method::PATCH, &format!("/api/admin/users/{}", ward.id));
    let user = api.send(request.header("X-Request-Id", "ward-1").json(&change)).await.ok(200)["user"].clone();
    assert_eq!((&user["managed"], &user["manager_id"]), (&json!(true), &json!(manager.id)));
    assert_eq!((&user["display_mode"], &user["confidential_rate"]), (&json!("by_request"), &json!(true)));
    assert_eq!((&user["email"], &user["suspended_at"]), (&json!("ward@example.com"), &Value::Null));
    let log = admin.audit(&format!("&target={}", ward.id)).await;
    assert_eq!(log.len(), 1);
    let expected = json!({
        "id": log[0]["id"], "actor_user_id": manager.id, "action": "user_changed", "target": ward.id, "request_id": "ward-1",
        "before": {"managed": false, "manager_id": null, "display_mode": "normal", "confidential_rate": false},
        "after": {"managed": true, "manager_id": manager.id, "display_mode": "by_request", "confidential_rate": true},
        "created_at": "2026-11-16T12:00:00.000Z",
    });
    assert_eq!(log[0], expected);
    manager.decides_about(ward, change).await.ok(200);
    manager.decides_about(ward, json!({})).await.ok(200);
    assert_eq!(admin.audit("").await.len(), 1, "nothing changed, nothing is noted");
    let user = manager.decides_about(ward, json!({"managed": false})).await.ok(200)["user"].clone();
    assert_eq!((&user["managed"], &user["manager_id"]), (&json!(false), &Value::Null));
    assert_eq!(admin.audit(&format!("&actor={}", manager.id)).await.len(), 2);
    assert_eq!(admin.audit(&format!("&actor={}", admin.id)).await.len(), 0);
    assert_eq!(admin.audit("&actor=nonsense").await.len(), 0);
    assert_eq!(admin.audit("&action=job_retried").await.len(), 0);
    admin.get("/api/admin/audit?action=perhaps").await.refused(400, "malformed_request");
    let walked = admin.walk("/api/admin/audit?limit=1", "entries", async |_| {}).await;
    assert_eq!(walked.len(), 2);
}

#[tokio::test]
async fn managers_decide_about_members_and_nobody_about_themselves() {
    let api = api().await;
    let people = place(&api, &["other", "member"]).await;
    let [admin, manager, other, member] = &people[..] else { panic!("four people") };
    other.becomes(Role::Manager).await;
    for (person, change) in [
        (other, json!({"suspended": true})),
        (admin, json!({"displayMode": "by_request"})),
        (manager, json!({"managed": true})),
        (member, json!({"role": "manager"})),
        (manager, json!({"role": "admin"})),
    ] {
        manager.decides_about(person, change).await.refused(403, "forbidden");
    }
    member.becomes(Role::Admin).await;
    for change in [json!({"role": "user"}), json!({"role": "manager"}), json!({"suspended": true})] {
        admin.decides_about(admin, change).await.refused(403, "forbidden");
    }
    admin.decides_about(admin, json!({"displayMode": "by_request", "role": "admin"})).await.ok(200);
    admin.decides_about(member, json!({"role": "user"})).await.ok(200);
    for change in [json!({"role": "user"}), json!({"suspended": true})] {
        admin.decides_about(admin, change).await.refused(409, "last_admin");
    }
    for (field, change) in [
        ("role", json!({"role": "root"})),
        ("managerId", json!({"managed": true, "managerId": member.id})),
        ("managerId", json!({"managed": true, "managerId": "nonsense"})),
        ("managerId", json!({"managerId": manager.id})),
        ("email", json!({"email": "x@example.com"})),
        ("suspended", json!({"suspended": "yes"})),
    ] {
        let details = admin.decides_about(member, change).await.refused(422, "validation_failed");
        assert!(details["fields"][field].is_string(), "{field}: {details}");
    }
    for nobody in ["user_01h455vb4pex5vsknk084sn02q", "nonsense", "conv_01h455vb4pex5vsknk084sn02q"] {
        let path = format!("/api/admin/users/{nobody}");
        admin.patch(&path, json!({"managed": true})).await.refused(404, "resource_not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_admins_who_demote_each_other_one_stays() {
    let api = api().await;
    let people = place(&api, &["second"]).await;
    let [first, _, second] = &people[..] else { panic!("three people") };
    second.becomes(Role::Admin).await;
    for round in 0..6 {
        let deeds = [(first, second), (second, first)].map(|(one, other)| {
            let change = if round % 2 == 0 { json!({"role": "user"}) } else { json!({"suspended": true}) };
            Box::pin(async move { one.decides_about(other, change).await }) as _
        });
        let answers = at_once(deeds).await;
        assert_eq!(count(&answers, 200), 1, "{answers:?}");
        let lost = answers.iter().find(|answer| answer.status != 200).unwrap();
        assert!(["last_admin", "forbidden", "unauthenticated"].contains(&lost.code().as_str()), "{lost:?}");
        let admin = if answers[0].status == 200 { first } else { second };
        let admins = async || admin.get("/api/admin/metrics").await.ok(200)["totals"]["admins"].clone();
        assert_eq!(admins().await, 1);
        let other = if answers[0].status == 200 { second } else { first };
        admin.decides_about(other, json!({"role": "admin", "suspended": false})).await.ok(200);
        assert_eq!(admins().await, 2);
        eventually("both are admins again", async || {
            let answer = other.get("/api/admin/queues").await;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn who_is_suspended_is_shut_out_within_five_seconds_until_it_ends() {
    let api = api().await;
    let people = place(&api, &["member"]).await;
    let [_, manager, member] = &people[..] else { panic!("three people") };
    let mut socket = member.socket("/ws").await;
    member.get("/api/auth/me").await.ok(200);
    let user = manager.decides_about(member, json!({"suspended": true})).await.ok(200)["user"].clone();
    assert_eq!(user["suspended_at"], "2026-11-16T12:00:00.000Z");
    let shut_out = async {
        assert_eq!(socket.closed().await, Some(4003));
        eventually("the token ends", async || (member.get("/api/auth/me").await.status == 401).then_some(())).await;
    };
    tokio::time::timeout(Duration::from_secs(5), shut_out).await.expect("within five seconds");
    api.refresh(&member.refresh_token).await.refused(401, "unauthenticated");
    let listed = manager.get("/api/admin/users?search=member@").await.ok(200);
    assert_eq!(text(&listed["users"][0]["id"]), member.id, "staff still find them");
    manager.decides_about(member, json!({"suspended": false})).await.ok(200);
    eventually("the token is good again", async || (member.get("/api/auth/me").await.status == 200).then_some(()))
        .await;
}

#[tokio::test]
async fn who_is_staff_no_more_answers_for_nobody() {
    let api = api().await;
    let people = place(&api, &["ward", "guest"]).await;
    let [admin, manager, ward, guest] = &people[..] else { panic!("four people") };
    admin.decides_about(ward, json!({"managed": true, "managerId": manager.id})).await.ok(200);
    ward.appear().await;
    let request = guest.ask(ward, "Hello?").await.ok(201)["request"].clone();
    let shown = async || guest.see(ward).await["manager_id"].clone();
    for (gone, back) in [
        (json!({"role": "user"}), json!({"role": "manager"})),
        (json!({"suspended": true}), json!({"suspended": false})),
    ] {
        assert_eq!(shown().await, json!(manager.id));
        admin.decides_about(manager, gone).await.ok(200);
        assert_eq!(shown().await, Value::Null);
        let details = admin.decides_about(ward, json!({"managerId": manager.id})).await;
        assert!(details.refused(422, "validation_failed")["fields"]["managerId"].is_string());
        admin.decides_about(manager, back).await.ok(200);
    }
    let path = format!("/api/requests/{}/status", text(&request["id"]));
    let decided = eventually("the manager is one again", async || {
        let answer = manager.patch(&path, json!({"status": "approved"})).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    assert_eq!(decided["request"]["status"], "approved");
    manager.patch(&path, json!({"status": "approved"})).await.ok(200);
    let log = admin.audit("&action=request_decided").await;
    assert_eq!(log.len(), 1);
    assert_eq!((&log[0]["actor_user_id"], &log[0]["target"]), (&json!(manager.id), &request["id"]));
    assert_eq!((&log[0]["before"], &log[0]["after"]), (&json!({"status": "pending"}), &json!({"status": "approved"})));
}

#[tokio::test]
async fn nulls_empty_what_can_be_empty_and_change_nothing_else() {
    let api = api().await;
    let people = place(&api, &["ward"]).await;
    let [admin, manager, ward] = &people[..] else { panic!("three people") };
    let change = json!({"managed": true, "managerId": manager.id, "displayMode": "confidential"});
    let before = admin.decides_about(ward, change).await.ok(200)["user"].clone();
    let nulls =
        json!({"role": null, "managed": null, "displayMode": null, "confidentialRate": null, "suspended": null});
    assert_eq!(admin.decides_about(ward, nulls).await.ok(200)["user"], before);
    let user = admin.decides_about(ward, json!({"managerId": null})).await.ok(200)["user"].clone();
    assert_eq!((&user["managed"], &user["manager_id"]), (&json!(true), &Value::Null));
    for body in [json!([]), json!(null), json!("managed"), json!({"managerId": 7}), json!({"id": ward.id})] {
        assert!([400, 422].contains(&admin.decides_about(ward, body).await.status.as_u16()));
    }
}
