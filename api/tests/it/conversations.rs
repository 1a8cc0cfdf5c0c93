//! `/api/conversations`: starting, finding and listing them, and read marks.

use std::time::Duration;

use futures_util::FutureExt;
use humanchat_domain::event::Channel;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    scene::{at_once, count, id, strings, text},
    support::{Answer, Person, api},
};

impl Person<'_> {
    async fn start(&self, body: Value) -> Answer {
        self.post("/api/conversations", body).await
    }

    async fn read(&self, conversation: &str, message_id: Value) -> Answer {
        self.post(&format!("/api/conversations/{conversation}/read"), json!({"messageId": message_id})).await
    }

    /// The ids of the caller's conversations, in order.
    async fn listed(&self, query: &str) -> Vec<String> {
        strings(&self.get(&format!("/api/conversations{query}")).await.ok(200)["conversations"], "id")
    }
}

#[tokio::test]
async fn a_pair_has_one_conversation_whoever_starts_it() {
    let api = api().await;
    let (casey, river) = (api.register("Casey").await, api.register("River").await);
    let first = casey.start(json!({"participantId": river.id})).await.ok(201)["conversation"].clone();
    let mut people = [casey.id.clone(), river.id.clone()];
    people.sort();
    assert_eq!(first["participants"], json!(people));
    assert_eq!(first["participant_display_map"], json!({&casey.id: "Casey", &river.id: "River"}));
    assert_eq!(first["last_activity"], "2026-11-16T12:00:00.000Z");
    for (field, value) in [
        ("type", json!("human")),
        ("linked_session_id", Value::Null),
        ("last_message", Value::Null),
        ("unread_count", json!(0)),
    ] {
        assert_eq!(first[field], value, "{field}");
    }
    assert_eq!(casey.start(json!({"participantId": river.id})).await.ok(200)["conversation"], first);
    assert_eq!(river.start(json!({"participantId": casey.id})).await.ok(200)["conversation"], first);
    let found = river.get(&format!("/api/conversations/{}", text(&first["id"]))).await.ok(200);
    assert_eq!(found["conversation"], first);
    assert_eq!(strings(&found["participants"], "id"), people);
    assert_eq!(casey.listed("").await, river.listed("").await);
}

#[tokio::test]
async fn a_conversation_may_begin_with_a_message() {
    let api = api().await;
    let (casey, river) = (api.register("Casey").await, api.register("River").await);
    let begun = casey.start(json!({"participantId": river.id, "message": "Hello River"})).await.ok(201);
    let conversation = &begun["conversation"];
    assert_eq!(conversation["last_message"]["content"], "Hello River");
    assert_eq!(conversation["last_message"]["messageId"], 1);
    assert_eq!(conversation["unread_count"], 0, "one's own is read");
    let again = casey.start(json!({"participantId": river.id, "message": "Are you there?"})).await.ok(200);
    assert_eq!(again["conversation"]["last_message"]["messageId"], 2);
    let seen = river.get("/api/conversations?unread=true").await.ok(200);
    assert_eq!(seen["conversations"][0]["unread_count"], 2);
    for message in ["", "\u{200B}", "nul\0", &"x".repeat(8001)] {
        let details = casey.start(json!({"participantId": river.id, "message": message})).await;
        assert!(details.refused(422, "validation_failed")["fields"]["message"].is_string());
    }
}

#[tokio::test]
async fn nobody_talks_with_themselves_or_with_who_is_not_there() {
    let api = api().await;
    let casey = api.register("Casey").await;
    let details = casey.start(json!({"participantId": casey.id})).await.refused(422, "validation_failed");
    assert!(details["fields"]["participantId"].is_string(), "{details}");
    let missing = casey.start(json!({"participantId": "user_01jd8t6ze5fkxrv8q3w2m9n7ab"})).await;
    missing.refused(404, "resource_not_found");
    let wrong_kind = format!("conv{}", casey.id.strip_prefix("user").unwrap());
    for id in ["", "me", "user_", "\0", "👩", &wrong_kind, &casey.id.to_uppercase()] {
        let answer = casey.start(json!({"participantId": id, "message": "Hello"})).await;
        assert_eq!((answer.status, &answer.text), (missing.status, &missing.text), "{id}");
    }
    for id in [Value::Null, json!(1), json!([casey.id]), json!({"id": casey.id})] {
        casey.start(json!({"participantId": id})).await.refused(422, "validation_failed");
    }
    casey.start(json!({})).await.refused(422, "validation_failed");
    let anonymous = api.anonymous(Method::POST, "/api/conversations", Some(json!({"participantId": casey.id}))).await;
    anonymous.refused(401, "unauthenticated");
    assert_eq!(casey.listed("").await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_started_from_both_sides_at_the_same_moment_are_one() {
    let api = api().await;
    let people = api.arrive(&["a1", "a2", "b1", "b2", "c1", "c2", "d1", "d2"]).await;
    for pair in people.chunks(2) {
        let start = |n: usize| {
            let (caller, other) = (&pair[n % 2], &pair[(n + 1) % 2]);
            caller.start(json!({"participantId": other.id, "message": format!("Hello {n}")})).boxed()
        };
        let answers = at_once((0..6).map(start)).await;
        assert_eq!((count(&answers, 201), count(&answers, 200)), (1, 5), "{answers:?}");
        let listed = pair[0].listed("").await;
        assert_eq!(listed.len(), 1);
        assert!(answers.iter().all(|answer| answer.json()["conversation"]["id"] == listed[0]));
        let messages = pair[0].get(&format!("/api/conversations/{}/messages", listed[0])).await.ok(200);
        assert_eq!(messages["messages"].as_array().unwrap().len(), 6);
    }
}

#[tokio::test]
async fn a_conversation_of_others_looks_like_one_that_is_missing() {
    let api = api().await;
    let people = api.arrive(&["casey", "river", "nosy"]).await;
    let [casey, river, nosy] = &people[..] else { unreachable!() };
    let theirs = casey.conversation_with(river).await;
    casey.say(&theirs, "A secret").await.ok(201);
    let missing = "conv_01jd8t6ze5fkxrv8q3w2m9n7ab";
    let message = json!({"content": "Hello", "type": "user_text"});
    for (method, rest, body) in [
        (Method::GET, "", None),
        (Method::GET, "/messages", None),
        (Method::GET, "/messages?limit=1", None),
        (Method::POST, "/messages", Some(message)),
        (Method::POST, "/read", Some(json!({"messageId": 1}))),
    ] {
        let ask = async |id: &str| {
            let request = nosy.request(method.clone(), &format!("/api/conversations/{id}{rest}"));
            api.send(if let Some(body) = &body { request.json(body) } else { request }).await
        };
        let expected = ask(missing).await;
        expected.refused(404, "resource_not_found");
        let user = nosy.id.as_str();
        for id in [theirs.as_str(), "nonsense", "conv_", "%00", "%FF", user, &theirs.to_uppercase()] {
            assert_eq!(ask(id).await.text, expected.text, "{method} {id}{rest}");
        }
        let anonymous =
            api.anonymous(method.clone(), &format!("/api/conversations/{theirs}{rest}"), body.clone()).await;
        anonymous.refused(401, "unauthenticated");
    }
    let page = casey.get(&format!("/api/conversations/{theirs}/messages")).await.ok(200);
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn conversations_are_listed_most_recently_active_first_and_filtered() {
    let api = api().await;
    let people = api.arrive(&["casey", "ana", "ben", "cleo"]).await;
    let casey = &people[0];
    let mut all = Vec::new();
    for other in &people[1..] {
        api.advance(Duration::from_secs(1));
        all.push(casey.conversation_with(other).await);
    }
    let [ana, ben, cleo] = <[String; 3]>::try_from(all).unwrap();
    assert_eq!(casey.listed("").await, [cleo.as_str(), &ben, &ana]);
    api.advance(Duration::from_secs(1));
    people[1].say(&ana, "Hello Casey").await.ok(201);
    api.advance(Duration::from_secs(1));
    casey.say(&ben, "Hello Ben").await.ok(201);
    assert_eq!(casey.listed("").await, [ben.as_str(), &ana, &cleo]);
    assert_eq!(casey.listed("?unread=true").await, [ana.as_str()]);
    assert_eq!(casey.listed("?unread=false").await.len(), 3);
    assert_eq!(casey.listed("?type=human").await.len(), 3);
    assert_eq!(casey.listed("?type=sam").await, Vec::<String>::new());
    assert_eq!(people[2].listed("?unread=true&type=human").await, [ben.as_str()]);
    casey.read(&ana, json!(1)).await.ok(200);
    assert_eq!(casey.listed("?unread=true").await, Vec::<String>::new());
    for query in
        ["type=group", "type=", "unread=yes", "unread=", "limit=0", "limit=101", "cursor=x", "type=sam&type=human"]
    {
        casey.get(&format!("/api/conversations?{query}")).await.refused(400, "malformed_request");
    }
    api.anonymous(Method::GET, "/api/conversations", None).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_walk_through_conversations_neither_skips_nor_repeats_while_they_move_up() {
    let api = api().await;
    let names: Vec<_> = (0..8).map(|n| format!("other{n}")).collect();
    let others = api.arrive(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let late = api.arrive(&["late0", "late1", "late2", "late3"]).await;
    let casey = api.register("Casey").await;
    let mut all = Vec::new();
    for (other, n) in others.iter().zip(0..) {
        // Some of the same moment.
        api.advance(Duration::from_millis(n % 2));
        let conversation = casey.conversation_with(other).await;
        casey.say(&conversation, "Hello").await.ok(201);
        all.push(conversation);
    }
    all.reverse();
    assert_eq!(casey.listed("").await, all);
    let stir = async |page: usize| {
        api.advance(Duration::from_millis(1));
        // One that is still to come moves to the top, and so does one that was shown; one is new.
        others[page].say(&all[all.len() - 1 - page], "Hello again").await.ok(201);
        casey.say(&all[0], "Still there?").await.ok(201);
        late[page].conversation_with(&casey).await;
    };
    let rows = casey.walk("/api/conversations?limit=2", "conversations", stir).await;
    let walked: Vec<_> = rows.iter().map(|row| text(&row["id"])).collect();
    assert_eq!(walked, all);
    assert_eq!(casey.listed("").await.len(), 11);
}

#[tokio::test]
async fn a_read_mark_moves_forward_only() {
    let api = api().await;
    let people = api.arrive(&["casey", "river"]).await;
    let [casey, river] = &people[..] else { unreachable!() };
    let conversation = casey.conversation_with(river).await;
    for n in 1..=5 {
        casey.say(&conversation, &format!("Message {n}")).await.ok(201);
    }
    river.say(&conversation, "Mine").await.ok(201);
    let unread = async |person: &Person<'_>| {
        let found = person.get(&format!("/api/conversations/{conversation}")).await.ok(200);
        found["conversation"]["unread_count"].as_i64().unwrap()
    };
    assert_eq!((unread(casey).await, unread(river).await), (1, 5));
    for (mark, left) in [(2, 3), (1, 3), (2, 3), (5, 0), (4, 0), (6, 0)] {
        let answer = river.read(&conversation, json!(mark)).await.ok(200);
        assert_eq!(answer["conversation"]["unread_count"], left, "after {mark}");
    }
    assert_eq!((unread(casey).await, unread(river).await), (1, 0));
    for mark in [json!(7), json!(0), json!(-1), json!(i64::MAX), json!(1.5), json!("1"), Value::Null] {
        let details = river.read(&conversation, mark).await.refused(422, "validation_failed");
        assert!(details["fields"]["messageId"].is_string(), "{details}");
    }
    let events = api.told(Channel::Conversation(id(&conversation))).await;
    let reads: Vec<_> = events.iter().filter(|event| event["type"] == "conversation.read").collect();
    let marks: Vec<_> = reads.iter().map(|event| event["payload"]["messageId"].as_i64().unwrap()).collect();
    assert_eq!(marks, [2, 5, 6], "told once each, and only when it moved");
    assert!(reads.iter().all(|event| event["payload"]["userId"] == river.id));
}
