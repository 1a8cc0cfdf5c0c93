//! Jobs and queues in the hands of operators.

use std::time::Duration;

use serde_json::{Value, json};

use super::place;
use crate::{
    scene::{ONLINE_TTL, at_once, count, strings, text},
    support::{Person, api},
};

impl Person<'_> {
    async fn jobs(&self, query: &str) -> Vec<Value> {
        self.get(&format!("/api/admin/jobs?limit=100{query}")).await.ok(200)["jobs"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn a_job_is_called_off_once_and_done_after_all() {
    let api = api().await;
    let people = place(&api, &["guest", "host"]).await;
    let [admin, _, guest, host] = &people[..] else { panic!("four people") };
    host.appear().await;
    let invite = guest.invite(host).await;
    let jobs = admin.jobs("&kind=expire_invite&state=available&queue=default").await;
    assert_eq!(jobs.len(), 1);
    let job = &jobs[0];
    assert_eq!((&job["data"], &job["attempt"]), (&json!({"invite_id": invite["id"]}), &json!(0)));
    assert_eq!((&job["run_at"], &job["finished_at"]), (&invite["expires_at"], &Value::Null));
    let path = format!("/api/admin/jobs/{}", text(&job["id"]));
    assert_eq!(admin.get(&path).await.ok(200)["job"], *job);
    admin.post(&format!("{path}/retry"), json!({})).await.refused(409, "invalid_transition");
    let cancel = format!("{path}/cancel");
    let answers = at_once((0..8).map(|_| Box::pin(admin.post(&cancel, json!({}))) as _)).await;
    assert_eq!((count(&answers, 200), count(&answers, 409)), (1, 7), "{answers:?}");
    assert_eq!(admin.audit("&action=job_cancelled").await.len(), 1);
    api.advance(ONLINE_TTL + Duration::from_secs(1));
    assert!(!api.work().await.contains(&"expire_invite"), "it was called off");
    let retried = admin.post(&format!("{path}/retry"), json!({})).await.ok(200)["job"].clone();
    assert_eq!((&retried["state"], &retried["run_at"]), (&json!("available"), &json!("2026-11-16T12:05:01.000Z")));
    assert_eq!(api.work().await, ["expire_invite"]);
    assert_eq!(guest.told_about(&invite).await, ["pending", "expired"]);
    admin.post(&format!("{path}/retry"), json!({})).await.refused(409, "invalid_transition");
    assert_eq!(admin.get(&path).await.ok(200)["job"]["state"], "done");
    let log = admin.audit(&format!("&target={}", text(&job["id"]))).await;
    assert_eq!(strings(&json!(log), "action"), ["job_retried", "job_cancelled"]);
    assert_eq!(log[0]["before"], json!({"state": "cancelled"}));
    for query in ["?state=lost", "?limit=101"] {
        admin.get(&format!("/api/admin/jobs{query}")).await.refused(400, "malformed_request");
    }
    assert_eq!(admin.jobs("&queue=nowhere").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_job_is_not_tried_again_beside_another_of_its_key() {
    let api = api().await;
    let people = place(&api, &["host"]).await;
    let [admin, _, host] = &people[..] else { panic!("three people") };
    host.appear().await;
    let job = text(&admin.jobs("&kind=end_presence").await[0]["id"]);
    admin.post(&format!("/api/admin/jobs/{job}/cancel"), json!({})).await.ok(200);
    host.appear().await;
    let retry = format!("/api/admin/jobs/{job}/retry");
    admin.post(&retry, json!({})).await.refused(409, "invalid_transition");
    let answer = admin.post_once(&retry, "once", json!({})).await;
    assert_eq!(admin.post_once(&retry, "once", json!({})).await.text, answer.text);
    answer.refused(409, "invalid_transition");
    assert_eq!(strings(&json!(admin.jobs("&kind=end_presence").await), "state"), ["available", "cancelled"]);
}

#[tokio::test]
async fn a_paused_queue_waits_and_others_go_on() {
    let api = api().await;
    let people = place(&api, &["host"]).await;
    let [admin, manager, host] = &people[..] else { panic!("three people") };
    let paused = manager.post("/api/admin/queues/default/pause", json!({})).await.ok(200)["queue"].clone();
    assert_eq!((&paused["name"], &paused["paused_at"]), (&json!("default"), &json!("2026-11-16T12:00:00.000Z")));
    assert_eq!(manager.post("/api/admin/queues/default/pause", json!({})).await.ok(200)["queue"], paused);
    host.appear().await;
    api.advance(Duration::from_mins(1));
    let arrive = json!({"email": "late@example.com"});
    api.anonymous(reqwest::Method::POST, "/api/auth/magic-link", Some(arrive)).await.ok(202);
    assert_eq!(api.work().await, ["send_magic_link"]);
    let queues = admin.get("/api/admin/queues").await.ok(200)["queues"].clone();
    let default = queues.as_array().unwrap().iter().find(|queue| queue["name"] == "default").unwrap();
    assert_eq!((&default["waiting"], &default["paused_at"]), (&json!(1), &paused["paused_at"]));
    assert_eq!(default["done_per_second"], 0.0);
    let done_per_second = async || {
        let queues = admin.get("/api/admin/queues").await.ok(200)["queues"].clone();
        queues.as_array().unwrap().iter().find(|queue| queue["name"] == "mail").unwrap()["done_per_second"].clone()
    };
    assert_eq!(done_per_second().await, 0.1, "one in ten seconds");
    api.advance(Duration::from_secs(10));
    assert_eq!(done_per_second().await, 0.0);
    let resumed = admin.post("/api/admin/queues/default/resume", json!({})).await.ok(200)["queue"].clone();
    assert_eq!(resumed["paused_at"], Value::Null);
    admin.post("/api/admin/queues/default/resume", json!({})).await.ok(200);
    assert_eq!(api.work().await, ["end_presence"]);
    assert_eq!(strings(&json!(admin.audit("&target=default").await), "action"), ["queue_resumed", "queue_paused"]);
    for queue in ["nowhere", "Default", "%00", "default%20"] {
        let path = format!("/api/admin/queues/{queue}/pause");
        admin.post(&path, json!({})).await.refused(404, "resource_not_found");
    }
}
