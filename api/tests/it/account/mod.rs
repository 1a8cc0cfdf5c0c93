//! Taking everything along, and leaving.

mod everything;
mod leaving;

use std::time::Duration;

use humanchat_domain::{
    auth::Role,
    clock::Clock,
    event::Channel,
    mail,
    testing::{self, TableLock, TestDatabase, noon, sign_in_many},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    invites::three,
    scene::{eventually, id, strings, text},
    support::{Answer, Person, api, api_on},
};

impl Person<'_> {
    pub async fn leaves(&self) -> Answer {
        self.api.send(self.request(Method::DELETE, "/api/users/me")).await
    }
}

#[tokio::test]
async fn an_export_has_everything_of_the_user_and_nothing_of_others() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    let conversation = guest.conversation_with(&host).await;
    for number in 1..=230 {
        guest.say(&conversation, &format!("Number {number}")).await.ok(201);
    }
    let foreign = host.conversation_with(&third).await;
    host.say(&foreign, "A secret").await.ok(201);
    host.appear().await;
    let request = guest.ask(&host, "Hello?").await.ok(201)["request"].clone();
    let invite = guest.invite(&host).await;
    host.answer(&invite, "accept").await.ok(200);
    let run = guest.sam("I want to talk to Jane Goodall").await;
    guest.sam("Who knows about submarines?").await;
    third.sam("Who knows a secret?").await;

    let answer = guest.get("/api/users/me/export").await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(!answer.text.contains("A secret") && !answer.text.contains(&third.id));
    let export = answer.ok(200);
    assert_eq!(export["exportedAt"], "2026-11-16T12:00:00.000Z");
    assert_eq!((&export["user"]["id"], &export["user"]["email"]), (&json!(guest.id), &json!("guest@example.com")));
    assert_eq!(export["logins"].as_array().unwrap().len(), 1);
    assert_eq!(export["availability"]["weekly"], json!([]));
    assert_eq!(export["requestedPeople"], json!(["Jane Goodall"]));
    assert_eq!(export["requestedSkills"], json!(["submarines"]));
    assert_eq!(strings(&export["samRuns"], "status"), ["complete", "complete"]);
    assert_eq!((&export["samRuns"][1]["runId"], &export["samRuns"][1]["messageId"]), (&run["runId"], &json!(2)));
    assert_eq!(export["requests"], json!([request]));
    assert_eq!(strings(&export["invites"], "status"), ["accepted"]);
    assert_eq!(strings(&export["sessions"], "status"), ["in_progress"]);
    assert_eq!(export["conversations"].as_array().unwrap().len(), 2, "with the host, and with Sam");
    let human =
        export["conversations"].as_array().unwrap().iter().find(|it| it["conversation"]["type"] == "human").unwrap();
    let messages = human["messages"].as_array().unwrap();
    let numbers: Vec<_> = messages.iter().map(|message| message["messageId"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=230).rev().collect::<Vec<_>>(), "each once, over all pages");
    assert_eq!(third.get("/api/users/me/export").await.ok(200)["requests"], json!([]));
}

#[tokio::test]
async fn a_user_has_one_export_at_a_time_and_a_process_sixteen() {
    let settings = [("DATABASE_POOL", "24")];
    let api = api_on(&TestDatabase::create().await, Clock::manual(noon()), &settings).await;
    let people = sign_in_many(&api.store, 17).await;
    let people: Vec<_> = people.iter().map(|person| Person::signed_in(&api, person)).collect();
    let (path, late) = ("/api/users/me/export", &people[16]);
    // Exports begin, and come no further than this.
    let lock = TableLock::take(&api.store, "attendance").await;
    let mut under_way = Vec::new();
    for person in &people[..16] {
        let begun = person.request(Method::GET, path).send().await.unwrap();
        assert_eq!(begun.status(), 200);
        under_way.push(begun);
    }
    let again = people[0].get(path).await;
    again.refused(429, "rate_limited");
    assert!(again.headers.contains_key("retry-after"));
    let refused = late.get(path).await;
    refused.refused(503, "service_unavailable");
    assert!(refused.headers.contains_key("retry-after"));
    lock.release().await;
    assert!(under_way.remove(0).text().await.unwrap().ends_with('}'));
    people[0].get(path).await.ok(200);
    late.get(path).await.ok(200);
    for export in under_way {
        assert!(export.text().await.unwrap().ends_with('}'));
    }
}

#[tokio::test]
async fn who_leaves_is_gone_and_others_are_told_as_ever() {
    let api = api().await;
    let [guest, host, third] = three(&api).await;
    host.patch("/api/users/me", json!({"name": "Hannah Host", "bio": "Bees", "headline": "Keeper"})).await.ok(200);
    let conversation = guest.conversation_with(&host).await;
    host.say(&conversation, "What they still need").await.ok(201);
    host.appear().await;
    third.appear().await;
    let request = guest.ask(&host, "Hello?").await.ok(201)["request"].clone();
    let waiting = host.invite(&third).await;
    let session = guest.invite(&host).await;
    host.answer(&session, "accept").await.ok(200);
    host.sam("I want to talk to Jane Goodall").await;
    let mut socket = host.socket("/ws").await;

    assert_eq!(host.leaves().await.status, 204);
    host.get("/api/auth/me").await.refused(401, "unauthenticated");
    let closed = tokio::time::timeout(Duration::from_secs(5), socket.closed());
    assert_eq!(closed.await.expect("within five seconds"), Some(4003));
    api.refresh(&host.refresh_token).await.refused(401, "unauthenticated");
    assert_eq!(third.told_about(&waiting).await, ["pending", "cancelled"]);
    let told = api.told(Channel::Notifications(id(&guest.id))).await;
    assert_eq!(told.last().unwrap()["type"], "request.updated");
    assert_eq!(told.last().unwrap()["payload"]["request"]["id"], request["id"]);
    assert_eq!(told.last().unwrap()["payload"]["request"]["status"], "declined");
    let told = api.told(Channel::Sessions(id(&guest.id))).await;
    assert_eq!(
        (&told[1]["type"], &told[1]["payload"]["session"]["status"]),
        (&json!("session.updated"), &json!("complete"))
    );
    assert!(!guest.is_busy().await);

    let seen = guest.see(&host).await;
    assert_eq!((&seen["name"], &seen["bio"], &seen["headline"]), (&json!("Deleted user"), &json!(""), &json!("")));
    assert_eq!((&seen["is_online"], &seen["presence_state"]), (&json!(false), &json!("offline")));
    let messages = guest.get(&format!("/api/conversations/{conversation}/messages")).await.ok(200);
    assert_eq!(messages["messages"][0]["content"], "What they still need");
    assert_eq!(guest.get("/api/users?q=bees").await.ok(200)["users"], json!([]));
    guest.connect(&host).await.refused(404, "resource_not_found");
    guest.ask(&host, "Still there?").await.refused(404, "resource_not_found");
    assert!(mail::kept(&api.store, Some("host@example.com")).await.unwrap().is_empty());

    api.advance(Duration::from_secs(1));
    assert!(api.work().await.contains(&"erase_user"));
    let sent = guest.get("/api/notifications").await.ok(200)["notifications"].to_string();
    assert!(sent.contains("Hannah Host"), "what was said to others stays until it was mailed: {sent}");
    let told = api.told(Channel::Conversation(id(&conversation))).await;
    let last = told.last().unwrap();
    assert_eq!(last["type"], "conversation.updated");
    assert_eq!(last["payload"]["conversation"]["participant_display_map"][&host.id], "Deleted user");
    assert!(!last.to_string().contains("Hannah"));
    for channel in [Channel::Notifications(id(&host.id)), Channel::Sessions(id(&host.id))] {
        assert_eq!(api.told(channel).await, Vec::<Value>::new(), "what told them only is gone");
    }
    assert_eq!(testing::traces_of_sam(&api.store).await, 0, "nothing of what Sam was asked is left");
    let again = api.arrive(&["host"]).await.remove(0);
    assert_ne!(again.id, host.id, "the address is free");
    assert_eq!(again.get("/api/conversations").await.ok(200)["conversations"], json!([]));
}

#[tokio::test]
async fn the_last_admin_can_not_leave_and_who_left_can_not_be_brought_back() {
    let api = api().await;
    let [admin, manager, member] = three(&api).await;
    admin.becomes(Role::Admin).await;
    manager.becomes(Role::Manager).await;
    admin.leaves().await.refused(409, "last_admin");
    admin.decides_about(&member, json!({"managed": true, "managerId": manager.id})).await.ok(200);
    assert_eq!(manager.leaves().await.status, 204);
    admin.decides_about(&manager, json!({"suspended": false})).await.refused(404, "resource_not_found");
    let listed = admin.get("/api/admin/users").await.ok(200);
    assert_eq!(strings(&listed["users"], "id"), [text(&json!(member.id)), text(&json!(admin.id))]);
    assert_eq!(admin.get("/api/admin/metrics").await.ok(200)["totals"]["users"], 2);
    assert!(api.work().await.contains(&"erase_user"));
    assert_eq!(admin.see(&member).await["manager_id"], Value::Null);
    member.becomes(Role::Admin).await;
    eventually("there is another admin", async || (admin.leaves().await.status == 204).then_some(())).await;
    admin.leaves().await.refused(401, "unauthenticated");
}
