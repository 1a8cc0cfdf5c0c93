//! `Idempotency-Key`: the first reply again, instead of a second deed.

use std::time::Duration;

use futures_util::{FutureExt, future::select};
use garde::Unvalidated;
use humanchat_domain::{
    conversations::{MessageType, NewMessage, send_message},
    event::Channel,
    tx::Tx,
};
use serde_json::{Value, json};

use crate::{
    raw::{Wire, head},
    scene::{ONLINE_TTL, at_once, eventually, id, text},
    support::{Answer, Api, Person, api},
};

fn replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

/// Two people, their conversation, and the path of its messages.
async fn talk(api: &Api) -> (Person<'_>, Person<'_>, String) {
    let mut people = api.arrive(&["casey", "river"]).await;
    let conversation = people[0].conversation_with(&people[1]).await;
    let river = people.remove(1);
    (people.remove(0), river, format!("/api/conversations/{conversation}/messages"))
}

fn words(content: &str) -> Value {
    json!({"content": content, "type": "user_text"})
}

async fn sent(person: &Person<'_>, path: &str) -> usize {
    person.get(path).await.ok(200)["messages"].as_array().unwrap().len()
}

/// Holds a conversation's next number: whoever else sends to it waits until this ends.
async fn hold(api: &Api, person: &Person<'_>, path: &str) -> Tx {
    let conversation = path.split('/').nth(3).unwrap();
    let message = NewMessage {
        content: "First".to_owned(),
        r#type: MessageType::UserText,
        attachments: Vec::new(),
        actions: Vec::new(),
        client_message_id: None,
    };
    let mut tx = api.store.begin(None).await.unwrap();
    let message = Unvalidated::new(message).validate().unwrap();
    send_message(&mut tx, id(&person.id), id(conversation), message).await.unwrap();
    tx
}

#[tokio::test]
async fn the_same_key_and_body_get_the_first_reply_byte_for_byte() {
    let api = api().await;
    let (casey, river, path) = talk(&api).await;
    let first = casey.post_once(&path, "k", words("Once")).await;
    first.ok(201);
    assert!(!replayed(&first));
    casey.say(path.split('/').nth(3).unwrap(), "Meanwhile").await.ok(201);
    api.advance(Duration::from_mins(1));
    let again = casey.post_once(&path, "k", words("Once")).await;
    assert_eq!((again.status, &again.text, replayed(&again)), (first.status, &first.text, true));
    assert_eq!(again.headers["content-type"], first.headers["content-type"]);
    assert_ne!(again.headers["x-request-id"], first.headers["x-request-id"]);
    assert_eq!(sent(&casey, &path).await, 2);
    // Also where the answer was "there is one already".
    let start = json!({"participantId": river.id});
    let first = casey.post_once("/api/conversations", "k", start.clone()).await;
    first.ok(200);
    let again = casey.post_once("/api/conversations", "k", start).await;
    assert_eq!((again.status, &again.text, replayed(&again)), (first.status, &first.text, true));
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let api = api().await;
    let (casey, _, path) = talk(&api).await;
    casey.post_once(&path, "k", words("Once")).await.ok(201);
    casey.post_once(&path, "k", words("Twice")).await.refused(422, "idempotency_key_reused");
    let again = casey.post_once(&path, "k", words("Once")).await;
    assert!(replayed(&again), "that was not remembered in its stead");
    assert_eq!(sent(&casey, &path).await, 1);
}

#[tokio::test]
async fn a_key_belongs_to_its_user_and_its_route() {
    let api = api().await;
    let (casey, river, path) = talk(&api).await;
    let other = api.arrive(&["other"]).await.remove(0);
    let elsewhere = format!("/api/conversations/{}/messages", casey.conversation_with(&other).await);
    for (person, path) in [(&casey, &path), (&river, &path), (&casey, &elsewhere)] {
        let answer = person.post_once(path, "k", words("Once")).await;
        answer.ok(201);
        assert!(!replayed(&answer));
    }
    assert_eq!((sent(&casey, &path).await, sent(&casey, &elsewhere).await), (2, 1));
    // A key cannot be made to look like another's by what is in it.
    let tricky = format!("POST {path}");
    assert!(!replayed(&casey.post_once(&elsewhere, &tricky, words("Once")).await));
}

#[tokio::test]
async fn a_refusal_is_repeated_too_and_leaves_nothing_behind() {
    let api = api().await;
    let people = api.arrive(&["casey", "river", "third"]).await;
    let [casey, river, third] = &people[..] else { unreachable!() };
    let connect = "/api/conversations/connect";
    let busy = third.invite(river).await;
    river.answer(&busy, "accept").await.ok(200);
    let refused = casey.post_once(connect, "k", json!({"targetUserId": river.id})).await;
    refused.refused(409, "host_busy");
    let session = river.connect(third).await.ok(200)["session"].clone();
    let complete = json!({"status": "complete"});
    river.patch(&format!("/api/sessions/{}", text(&session["id"])), complete).await.ok(200);
    let again = casey.post_once(connect, "k", json!({"targetUserId": river.id})).await;
    assert_eq!((again.status, &again.text, replayed(&again)), (refused.status, &refused.text, true));
    casey.post_once(connect, "another", json!({"targetUserId": river.id})).await.ok(201);
    // Not a word of a refused beginning stays.
    let start = json!({"participantId": third.id, "message": "Hello"});
    casey.post_once("/api/conversations", "s", start).await.ok(201);
    let path = "/api/conversations/conv_01jd8t6ze5fkxrv8q3w2m9n7ab/messages";
    casey.post_once(path, "k", words("Hello")).await.refused(404, "resource_not_found");
    let twice = json!({"content": "x", "type": "user_text", "clientMessageId": "c"});
    let other = json!({"content": "y", "type": "user_text", "clientMessageId": "c"});
    let messages = format!("/api/conversations/{}/messages", casey.conversation_with(third).await);
    casey.post_once(&messages, "m1", twice).await.ok(201);
    for _ in 0..2 {
        casey.post_once(&messages, "m2", other.clone()).await.refused(422, "idempotency_key_reused");
    }
    assert_eq!(casey.post_once(&messages, "m3", words("Next")).await.ok(201)["messageId"], 3);
    assert_eq!(sent(casey, &messages).await, 3);
}

#[tokio::test]
async fn what_was_written_before_a_refusal_is_taken_back() {
    let api = api().await;
    let people = api.arrive(&["guest", "host", "third"]).await;
    let [guest, host, third] = &people[..] else { unreachable!() };
    host.appear().await;
    let old = guest.invite(host).await;
    api.advance(ONLINE_TTL);
    let other = third.invite(host).await;
    host.answer(&other, "accept").await.ok(200);
    // Connecting gives the old invite its outcome, and only then sees that the host is busy.
    let connect = json!({"targetUserId": host.id});
    let refused = guest.post_once("/api/conversations/connect", "k", connect).await;
    refused.refused(409, "host_busy");
    for person in [guest, host] {
        assert_eq!(person.told_about(&old).await, ["pending"]);
    }
    assert!(api.work().await.contains(&"expire_invite"), "its job is still there");
    assert_eq!(guest.told_about(&old).await, ["pending", "expired"]);
    api.idle().await;
}

#[tokio::test]
async fn an_invalid_body_does_not_use_up_its_key() {
    let api = api().await;
    let (casey, _, path) = talk(&api).await;
    casey.post_once(&path, "k", words("")).await.refused(422, "validation_failed");
    casey.post_once(&path, "k", words("Better")).await.ok(201);
}

#[tokio::test]
async fn keys_are_printable_and_not_too_long() {
    let api = api().await;
    let (casey, _, path) = talk(&api).await;
    let long = "x".repeat(256);
    let bad: [&[u8]; 5] = [b"", long.as_bytes(), b"tab\there", "ä".as_bytes(), b"\x80"];
    for key in bad {
        let request = casey.request(reqwest::Method::POST, &path).header("idempotency-key", key);
        api.send(request.json(&words("Hello"))).await.refused(400, "malformed_request");
    }
    assert_eq!(sent(&casey, &path).await, 0);
    for key in [&long[1..], "!", "a b", "~'\"\\%00"] {
        casey.post_once(&path, key, words("Hello")).await.ok(201);
        assert!(replayed(&casey.post_once(&path, key, words("Hello")).await), "{key}");
    }
}

#[tokio::test]
async fn while_the_first_runs_the_second_is_told_so() {
    let api = api().await;
    let (casey, river, path) = talk(&api).await;
    let held = hold(&api, &river, &path).await;
    let once = || casey.post_once(&path, "k", words("Once")).boxed();
    // Whichever begins waits for the number; the other is answered.
    let (second, first) = select(once(), once()).await.factor_first();
    second.refused(409, "idempotency_in_flight");
    held.commit().await.unwrap();
    let first = first.await;
    assert_eq!((first.ok(201)["messageId"].clone(), replayed(&first)), (json!(2), false));
    let third = once().await;
    assert_eq!((third.text.as_str(), replayed(&third)), (first.text.as_str(), true));
    assert_eq!(sent(&casey, &path).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_same_moment_a_key_never_has_two_effects() {
    let api = api().await;
    let (casey, _, path) = talk(&api).await;
    for round in 0..10 {
        let key = format!("k{round}");
        let answers = at_once((0..8).map(|_| casey.post_once(&path, &key, words("Once")).boxed())).await;
        let done: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(done.iter().filter(|answer| !replayed(answer)).count(), 1, "{answers:?}");
        assert!(done.iter().all(|answer| answer.text == done[0].text), "{answers:?}");
        for other in answers.iter().filter(|answer| answer.status != 201) {
            other.refused(409, "idempotency_in_flight");
        }
        assert_eq!(sent(&casey, &format!("{path}?limit=100")).await, round + 1);
    }
}

#[tokio::test]
async fn a_client_that_leaves_does_not_undo_what_it_asked_for() {
    let api = api().await;
    let (casey, river, path) = talk(&api).await;
    let held = hold(&api, &river, &path).await;
    let body = words("Gone before the answer").to_string();
    let mut wire = Wire::open(&api).await;
    let beginning = head(&casey, "POST", &path, Some(body.len()));
    wire.write(format!("{beginning}Idempotency-Key: k\r\n\r\n{body}").as_bytes()).await;
    let again = async || casey.post_once(&path, "k", words("Gone before the answer")).await;
    // Whichever request has the key waits for the number, so only the other is answered meanwhile.
    let runs = async || {
        let probe = tokio::time::timeout(Duration::from_millis(500), again()).await.ok()?;
        (probe.code() == "idempotency_in_flight").then_some(())
    };
    eventually("the request to run", runs).await;
    drop(wire);
    held.commit().await.unwrap();
    eventually("the message", async || (sent(&casey, &path).await == 2).then_some(())).await;
    let answer = again().await;
    assert_eq!((answer.ok(201)["messageId"].clone(), replayed(&answer)), (json!(2), true));
    assert_eq!(api.told(Channel::Conversation(id(path.split('/').nth(3).unwrap()))).await.len(), 2);
}

#[tokio::test]
async fn a_replay_asks_for_no_second_job() {
    let api = api().await;
    let people = api.arrive(&["guest", "host"]).await;
    let [guest, host] = &people[..] else { unreachable!() };
    for _ in 0..3 {
        let answer = guest.post_once("/api/conversations/connect", "k", json!({"targetUserId": host.id})).await;
        answer.ok(201);
    }
    api.advance(Duration::from_hours(24));
    assert_eq!(api.work().await, ["expire_invite", "mail_notification"]);
    api.idle().await;
}
