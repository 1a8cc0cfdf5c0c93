//! `/api/conversations/:id/messages`: sent once, numbered without gaps, read newest first.

use std::{collections::BTreeSet, time::Duration};

use futures_util::FutureExt;
use humanchat_domain::event::Channel;
use serde_json::{Value, json};

use crate::{
    scene::{at_once, count, id},
    support::{Answer, Api, Person, api},
};

/// Two people and their conversation.
async fn talk(api: &Api) -> (Person<'_>, Person<'_>, String) {
    let mut people = api.arrive(&["casey", "river"]).await;
    let conversation = people[0].conversation_with(&people[1]).await;
    let river = people.remove(1);
    (people.remove(0), river, conversation)
}

impl Person<'_> {
    async fn send_message(&self, conversation: &str, body: Value) -> Answer {
        self.post(&format!("/api/conversations/{conversation}/messages"), body).await
    }

    /// The messages of a conversation, newest first, from one page.
    async fn messages(&self, conversation: &str) -> Vec<Value> {
        let page = self.get(&format!("/api/conversations/{conversation}/messages?limit=100")).await.ok(200);
        page["messages"].as_array().unwrap().clone()
    }
}

fn numbers(messages: &[Value]) -> Vec<i64> {
    messages.iter().map(|message| message["messageId"].as_i64().unwrap()).collect()
}

fn replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

#[tokio::test]
async fn a_message_is_stored_as_it_was_sent() {
    let api = api().await;
    let (casey, river, conversation) = talk(&api).await;
    api.advance(Duration::from_millis(1234));
    let url = "https://files.example/ä%20b.png?x=1#y";
    let file = json!({"url": url, "name": "Ä b.png", "mimeType": "image/png", "sizeBytes": 0});
    let full = json!({
        "content": "  Hey 👩‍🚀,\n\tsee\u{202E}this  ", "type": "attachment", "attachments": [file],
        "actions": [{"kind": "offer", "price": 12.5, "deep": {"list": [1, -2, 1e3, null, true, "x"]}}],
        "clientMessageId": "my own #1",
    });
    let sent = casey.send_message(&conversation, full.clone()).await.ok(201);
    assert_eq!(sent, json!({"messageId": 1, "timestamp": 1_794_830_401_234_i64}));
    let stored = &river.messages(&conversation).await[0];
    let mut expected = full;
    for (field, value) in [
        ("messageId", json!(1)),
        ("conversationId", json!(conversation)),
        ("senderId", json!(casey.id)),
        ("origin", json!("human")),
        ("timestamp", sent["timestamp"].clone()),
    ] {
        expected[field] = value;
    }
    assert_eq!(*stored, expected);
    let least = river.send_message(&conversation, json!({"content": "x", "type": "user_text"})).await.ok(201);
    assert_eq!(least["messageId"], 2);
    let stored = &casey.messages(&conversation).await[0];
    assert_eq!((&stored["attachments"], &stored["actions"]), (&json!([]), &json!([])));
    assert!(stored.get("clientMessageId").is_none());
    let events = api.told(Channel::Conversation(id(&conversation))).await;
    assert_eq!(events[0]["payload"], expected);
    assert_eq!(events.len(), 2);
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_takes_no_number() {
    let api = api().await;
    let (casey, _, conversation) = talk(&api).await;
    let file = json!({"url": "https://files.example/a.png", "name": "a.png", "mimeType": "image/png", "sizeBytes": 1});
    let with = |field: &str, value: Value| {
        let mut body = json!({"content": "Hello", "type": "attachment", "attachments": [file]});
        body[field] = value;
        body
    };
    let with_file = |field: &str, value: Value| {
        let mut file = file.clone();
        file[field] = value;
        with("attachments", json!([file]))
    };
    for (body, field) in [
        (with("content", json!("")), "content"),
        (with("content", json!("\u{200B}\n ")), "content"),
        (with("content", json!("nul\0")), "content"),
        (with("content", json!("x".repeat(8001))), "content"),
        (with("type", json!("sam_response")), "type"),
        (with("type", json!("system_notice")), "type"),
        (with("type", json!("shout")), "type"),
        (with("type", json!("sam_action")), "type"),
        (with("attachments", json!([])), "attachments"),
        (with("attachments", json!(vec![file.clone(); 11])), "attachments"),
        (with("attachments", json!([null])), "attachments[0]"),
        (with("actions", json!(vec![json!({}); 11])), "actions"),
        (with("actions", json!(["offer"])), "actions[0]"),
        (with("actions", json!([{}, {"a": ["nul\0"]}])), "actions[1]"),
        (with("actions", json!([{"nul\0": 1}])), "actions[0]"),
        (with("clientMessageId", json!("")), "clientMessageId"),
        (with("clientMessageId", json!("x".repeat(129))), "clientMessageId"),
        (with("clientMessageId", json!("ä")), "clientMessageId"),
        (with("clientMessageId", json!("a\nb")), "clientMessageId"),
        (with("origin", json!("sam")), "origin"),
        (with("senderId", json!(casey.id)), "senderId"),
        (with("timestamp", json!(1)), "timestamp"),
        (with_file("url", json!("http://files.example/a.png")), "attachments[0].url"),
        (with_file("url", json!("file:///etc/passwd")), "attachments[0].url"),
        (with_file("url", json!("https://files.example/\0")), "attachments[0].url"),
        (with_file("url", json!("https://files.example/a\nb")), "attachments[0].url"),
        (with_file("name", json!("")), "attachments[0].name"),
        (with_file("name", json!("a\nb")), "attachments[0].name"),
        (with_file("mimeType", json!("png")), "attachments[0].mimeType"),
        (with_file("mimeType", json!("image/png\r\nx: y")), "attachments[0].mimeType"),
        (with_file("sizeBytes", json!(-1)), "attachments[0].sizeBytes"),
        (with_file("sizeBytes", json!(i64::MAX)), "attachments[0].sizeBytes"),
        (with_file("sizeBytes", json!(1.5)), "attachments[0].sizeBytes"),
        (with_file("data", json!("AAAA")), "attachments[0].data"),
    ] {
        let details = casey.send_message(&conversation, body).await.refused(422, "validation_failed");
        assert!(details["fields"][field].is_string(), "{field}: {details}");
    }
    casey.send_message(&conversation, json!({"type": "user_text"})).await.refused(422, "validation_failed");
    let longest = "👩".repeat(8000);
    let sent = casey.send_message(&conversation, json!({"content": longest, "type": "user_text"})).await.ok(201);
    assert_eq!(sent["messageId"], 1);
    assert_eq!(api.told(Channel::Conversation(id(&conversation))).await.len(), 1);
}

#[tokio::test]
async fn messages_come_newest_first_page_by_page_while_more_are_sent() {
    let api = api().await;
    let (casey, river, conversation) = talk(&api).await;
    for n in 1..=7 {
        let sender = if n % 2 == 0 { &casey } else { &river };
        sender.say(&conversation, &format!("Message {n}")).await.ok(201);
    }
    let path = format!("/api/conversations/{conversation}/messages?limit=3");
    let walked = casey.walk(&path, "messages", async |_| drop(river.say(&conversation, "More").await.ok(201))).await;
    assert_eq!(numbers(&walked), [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(numbers(&casey.messages(&conversation).await), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    let page = casey.get(&format!("/api/conversations/{conversation}/messages?limit=9")).await.ok(200);
    assert!(page.get("nextCursor").is_none(), "absent on the last page");
    for query in ["limit=0", "limit=101", "cursor=x", "cursor=9"] {
        let answer = casey.get(&format!("/api/conversations/{conversation}/messages?{query}")).await;
        answer.refused(400, "malformed_request");
    }
    // A cursor of another conversation, and one of the other participant.
    let other = api.arrive(&["other"]).await.remove(0);
    let elsewhere = casey.conversation_with(&other).await;
    let page = casey.get(&path).await.ok(200);
    let cursor = page["nextCursor"].as_str().unwrap();
    let answer = casey.get(&format!("/api/conversations/{elsewhere}/messages?cursor={cursor}")).await;
    answer.refused(400, "malformed_request");
    river.get(&format!("{path}&cursor={cursor}")).await.refused(400, "malformed_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_at_once_are_numbered_without_gaps() {
    let api = api().await;
    let (casey, river, conversation) = talk(&api).await;
    let words: Vec<_> = (0..50).map(|n| format!("Message {n}")).collect();
    let say = |n: usize| if n.is_multiple_of(2) { &casey } else { &river }.say(&conversation, &words[n]).boxed();
    let answers = at_once((0..50).map(say)).await;
    assert_eq!(count(&answers, 201), 50, "{answers:?}");
    let stored = casey.messages(&conversation).await;
    assert_eq!(numbers(&stored), (1..=50).rev().collect::<Vec<_>>());
    for (answer, words) in answers.iter().zip(&words) {
        let number = answer.json()["messageId"].as_i64().unwrap();
        let message = stored.iter().find(|message| message["messageId"] == number).unwrap();
        assert_eq!(message["content"], *words, "whoever was told {number} has it");
    }
    let events = api.told(Channel::Conversation(id(&conversation))).await;
    let told: Vec<_> = events.iter().map(|event| event["payload"]["messageId"].as_i64().unwrap()).collect();
    assert_eq!(told, (1..=50).collect::<Vec<_>>(), "events in the order of the messages");
}

#[tokio::test]
async fn the_same_client_message_id_sends_once_for_ever() {
    let api = api().await;
    let (casey, river, conversation) = talk(&api).await;
    let body = json!({"content": "Once", "type": "user_text", "clientMessageId": "m-1"});
    let first = casey.send_message(&conversation, body.clone()).await;
    first.ok(201);
    assert!(!replayed(&first));
    api.advance(Duration::from_hours(24 * 365));
    let again = casey.post(&format!("/api/conversations/{conversation}/messages"), body.clone()).await;
    // A year later the access token is over, the name of the message isn't.
    again.refused(401, "token_expired");
    let casey = Person::of(&api, &sign_in_again(&api, &casey).await);
    let again = casey.send_message(&conversation, body.clone()).await;
    assert_eq!((again.ok(201), replayed(&again)), (first.json(), true));
    for other in [
        json!({"content": "Twice", "type": "user_text", "clientMessageId": "m-1"}),
        json!({"content": "Once", "type": "sam_action", "clientMessageId": "m-1"}),
        json!({"content": "Once", "type": "user_text", "clientMessageId": "m-1", "actions": [{}]}),
    ] {
        casey.send_message(&conversation, other).await.refused(422, "idempotency_key_reused");
    }
    // The name is the sender's own.
    let river = Person::of(&api, &sign_in_again(&api, &river).await);
    assert_eq!(river.send_message(&conversation, body.clone()).await.ok(201)["messageId"], 2);
    assert_eq!(casey.say(&conversation, "Next").await.ok(201)["messageId"], 3, "no number was lost");
    assert_eq!(numbers(&casey.messages(&conversation).await), [3, 2, 1]);
    assert_eq!(api.told(Channel::Conversation(id(&conversation))).await.len(), 3);
}

async fn sign_in_again(api: &Api, person: &Person<'_>) -> Value {
    let link = json!({"email": person.email});
    api.anonymous(reqwest::Method::POST, "/api/auth/magic-link", Some(link)).await.ok(202);
    api.work().await;
    let verify = json!({"token": api.mailed_tokens(&person.email).await[0]});
    api.anonymous(reqwest::Method::POST, "/api/auth/magic-link/verify", Some(verify)).await.ok(200)
}

#[tokio::test]
async fn a_replay_is_recognised_whatever_numbers_its_actions_hold() {
    let api = api().await;
    let (casey, _, conversation) = talk(&api).await;
    for (number, n) in [
        "0.1",
        "0.12345678901234567",
        "1.7976931348623157e308",
        "5e-324",
        "-0",
        "-0.0",
        "1e0",
        "9007199254740993",
        "18446744073709551615",
        "123456789012345678901234567890",
        "0.3333333333333333148",
        "2.2250738585072011e-308",
        "6.02e23",
        "9.109383713928e-31",
        "0.30000000000000004",
    ]
    .into_iter()
    .zip(1..)
    {
        let actions = format!(r#"[{{"value": {number}}}]"#);
        let body =
            format!(r#"{{"content": "x", "type": "user_text", "clientMessageId": "n-{n}", "actions": {actions}}}"#);
        for again in [false, true] {
            let path = format!("/api/conversations/{conversation}/messages");
            let request = casey.request(reqwest::Method::POST, &path).header("content-type", "application/json");
            let answer = api.send(request.body(body.clone())).await;
            assert_eq!((answer.status.as_u16(), replayed(&answer)), (201, again), "{number}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_at_the_same_moment_are_one_message_without_a_gap() {
    let api = api().await;
    let (casey, river, conversation) = talk(&api).await;
    for round in 0..5 {
        let body = json!({"content": "Once", "type": "user_text", "clientMessageId": format!("m-{round}")});
        let send = |n: usize| match n {
            0..8 => casey.send_message(&conversation, body.clone()).boxed(),
            _ => river.say(&conversation, "Meanwhile").boxed(),
        };
        let answers = at_once((0..11).map(send)).await;
        assert_eq!(count(&answers, 201), 11, "{answers:?}");
        let same = &answers[..8];
        assert_eq!(same.iter().filter(|answer| replayed(answer)).count(), 7, "{answers:?}");
        assert!(same.iter().all(|answer| answer.text == same[0].text), "{answers:?}");
    }
    let stored = numbers(&casey.messages(&conversation).await);
    assert_eq!(stored, (1..=20).rev().collect::<Vec<_>>());
    let events = api.told(Channel::Conversation(id(&conversation))).await;
    let told: BTreeSet<_> = events.iter().map(|event| event["payload"]["messageId"].as_i64().unwrap()).collect();
    assert_eq!((events.len(), told.len()), (20, 20));
}
