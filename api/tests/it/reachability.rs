//! How well hosts are reached, measured from invites; and what becomes of those that nobody answered.

use std::time::Duration;

use humanchat_domain::{
    clock::Clock,
    event::Channel,
    testing::{TestDatabase, noon},
};
use serde_json::{Value, json};

use crate::{
    invites::three,
    scene::{ONLINE_TTL, at_once, count, eventually, id, text},
    support::{Answer, Api, Person, api, api_on},
};

impl Person<'_> {
    pub async fn convert(&self, invite: &Value, body: Value) -> Answer {
        self.post(&format!("/api/conversations/invites/{}/convert", text(&invite["id"])), body).await
    }
}

/// An invite that nobody answers while its host is there.
async fn unanswered(api: &Api, guest: &Person<'_>, host: &Person<'_>) -> Value {
    let invite = guest.invite(host).await;
    api.advance(Duration::from_mins(1));
    api.work().await;
    invite
}

#[tokio::test]
async fn answers_are_measured_from_the_third_invite_on() {
    let api = api().await;
    let [guest, host, _] = three(&api).await;
    let measured = async || {
        let seen = guest.see(&host).await;
        (seen["answer_rate"].clone(), seen["median_answer_secs"].clone())
    };
    for seconds in [10, 40] {
        assert_eq!(measured().await, (Value::Null, Value::Null));
        let invite = guest.invite(&host).await;
        api.advance(Duration::from_secs(seconds));
        host.answer(&invite, "decline").await.ok(200);
    }
    assert_eq!(measured().await, (Value::Null, Value::Null));
    let taken_back = guest.invite(&host).await;
    guest.answer(&taken_back, "cancel").await.ok(200);
    assert_eq!(measured().await, (Value::Null, Value::Null), "what was taken back had no time");
    host.appear().await;
    guest.invite(&host).await;
    api.advance(ONLINE_TTL);
    assert_eq!(measured().await, (json!(0.67), json!(25)), "before any job ran");
}

#[tokio::test]
async fn three_unanswered_in_a_row_make_a_host_idle() {
    let settings = [("INVITE_TTL_ONLINE_SECS", "60")];
    let api = api_on(&TestDatabase::create().await, Clock::manual(noon()), &settings).await;
    let [guest, host, third] = three(&api).await;
    let mut watcher = third.socket("/ws").await;
    watcher.subscribe(&format!("status:{}", host.id)).await;
    let _socket = host.socket("/ws").await;
    let is_online = async || guest.see(&host).await["is_online"] == true;
    eventually("the host is online", async || is_online().await.then_some(())).await;
    unanswered(&api, &guest, &host).await;
    unanswered(&api, &guest, &host).await;
    let invite = guest.invite(&host).await;
    host.answer(&invite, "decline").await.ok(200);
    for expected in ["active", "active", "idle"] {
        unanswered(&api, &guest, &host).await;
        assert_eq!(guest.see(&host).await["presence_state"], expected);
    }
    loop {
        let status = watcher.next_of("status.changed").await;
        if status["payload"]["presence_state"] == "idle" {
            break;
        }
    }
    host.appear().await;
    // Whoever has said that they are here has three more.
    for expected in ["active", "active", "idle"] {
        assert_eq!(guest.see(&host).await["presence_state"], "active");
        unanswered(&api, &guest, &host).await;
        assert_eq!(guest.see(&host).await["presence_state"], expected);
    }
    let invite = guest.invite(&host).await;
    host.answer(&invite, "decline").await.ok(200);
    assert_eq!(guest.see(&host).await["presence_state"], "active", "who answers looks");
    for _ in 0..2 {
        unanswered(&api, &guest, &host).await;
    }
    host.put("/api/users/me/presence", json!({"state": "idle"})).await.ok(200);
    let invite = guest.invite(&host).await;
    host.answer(&invite, "decline").await.ok(200);
    assert_eq!(guest.see(&host).await["presence_state"], "idle", "what somebody chose stays");
}

#[tokio::test]
async fn an_invite_that_led_to_nothing_becomes_a_request_once() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    let invite = guest.invite(&host).await;
    host.answer(&invite, "decline").await.ok(200);
    host.convert(&invite, json!({"to": "request"})).await.refused(403, "forbidden");
    third.convert(&invite, json!({"to": "request"})).await.refused(404, "resource_not_found");
    let body = json!({"to": "request", "message": "Then later?"});
    let converted = guest.convert(&invite, body.clone()).await.ok(201);
    let request = &converted["request"];
    assert_eq!((&converted["invite"]["status"], &request["status"]), (&json!("declined"), &json!("pending")));
    assert_eq!((&request["message"], &request["target_user_id"]), (&json!("Then later?"), &json!(host.id)));
    assert_eq!(guest.convert(&invite, body).await.ok(200), converted, "though the host is offline");
    let told = api.told(Channel::Notifications(id(&host.id))).await;
    assert_eq!(told.last().unwrap()["payload"]["request"], *request);
    let path = format!("/api/requests/{}/status", text(&request["id"]));
    host.patch(&path, json!({"status": "declined"})).await.ok(200);
    let again = guest.convert(&invite, json!({"to": "request"})).await.ok(200);
    assert_eq!((&again["request"]["id"], &again["request"]["status"]), (&request["id"], &json!("declined")));
    for (field, body) in
        [("to", json!({"to": "wish"})), ("to", json!({})), ("message", json!({"to": "request", "message": ""}))]
    {
        let details = guest.convert(&invite, body).await.refused(422, "validation_failed");
        assert!(details["fields"][field].is_string(), "{field}: {details}");
    }
}

#[tokio::test]
async fn a_waiting_invite_ends_with_its_conversion_and_a_resolved_one_stays() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    let waiting = guest.invite(&host).await;
    let deeds = (0..8).map(|_| Box::pin(guest.convert(&waiting, json!({"to": "request"}))) as _);
    let answers = at_once(deeds).await;
    assert_eq!((count(&answers, 201), count(&answers, 200)), (1, 7), "{answers:?}");
    assert_eq!(guest.told_about(&waiting).await, ["pending", "cancelled"]);
    let taken_back = guest.invite(&third).await;
    guest.answer(&taken_back, "cancel").await.ok(200);
    let details = guest.convert(&taken_back, json!({"to": "request"})).await.refused(409, "invite_resolved");
    assert_eq!(details["status"], "cancelled");
    let accepted = third.invite(&host).await;
    host.answer(&accepted, "accept").await.ok(200);
    third.convert(&accepted, json!({"to": "request"})).await.refused(409, "invite_resolved");
}

#[tokio::test]
async fn sam_names_who_looks_before_who_was_found_away() {
    let api = api_on(&TestDatabase::create().await, Clock::manual(noon()), &[("SAM_WAIT_SECS", "0")]).await;
    let [guest, away, here] = three(&api).await;
    for (host, state) in [(&away, "idle"), (&here, "active")] {
        host.patch("/api/users/me", json!({"headline": "Urban bees"})).await.ok(200);
        host.put("/api/users/me/presence", json!({"state": state})).await.ok(200);
    }
    let run = guest.post("/api/sam", json!({"message": "bees"})).await.ok(202);
    api.work().await;
    let answer = guest.get(&format!("/api/sam/runs/{}", text(&run["runId"]))).await.ok(200);
    let shown = answer["actions"].as_array().unwrap().iter().find(|action| action["type"] == "show_profiles").unwrap();
    let named: Vec<_> = shown["profiles"].as_array().unwrap().iter().map(|one| text(&one["user_id"])).collect();
    assert_eq!(named, [here.id, away.id]);
}
