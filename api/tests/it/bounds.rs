//! The last that is still allowed, and the first that isn't.

use humanchat_domain::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    booking::TEN,
    scene::text,
    support::{Api, Person, api},
};

fn long(count: usize) -> String {
    "ä".repeat(count)
}

/// Registers with all of these; `None` where that succeeds, else the field that is refused.
async fn registering(api: &Api, name: &str, password: &str) -> Option<String> {
    let email = format!("{}@example.com", uuid::Uuid::now_v7().simple());
    let body = json!({"name": name, "email": email, "password": password});
    refused_field(&api.anonymous(Method::POST, "/api/auth/register", Some(body)).await)
}

fn refused_field(answer: &crate::support::Answer) -> Option<String> {
    if answer.status.is_success() {
        return None;
    }
    let fields = answer.refused(422, "validation_failed")["fields"].clone();
    fields.as_object().unwrap().keys().next().cloned()
}

#[tokio::test]
async fn names_and_passwords() {
    let api = api().await;
    let good = "correct horse battery";
    for (name, password, field) in [
        (long(2), good.to_owned(), None),
        (long(1), good.to_owned(), Some("name")),
        (long(80), good.to_owned(), None),
        (long(81), good.to_owned(), Some("name")),
        ("Casey".to_owned(), long(8), None),
        ("Casey".to_owned(), long(7), Some("password")),
        ("Casey".to_owned(), long(128), None),
        ("Casey".to_owned(), long(129), Some("password")),
    ] {
        assert_eq!(registering(&api, &name, &password).await.as_deref(), field, "{name} {password}");
    }
}

#[tokio::test]
async fn what_people_write() {
    let api = api().await;
    let [guest, host]: [Person<'_>; 2] = api.arrive(&["guest", "host"]).await.try_into().ok().unwrap();
    host.appear().await;
    let messages = format!("/api/conversations/{}/messages", guest.conversation_with(&host).await);
    let message = |content: String, rest: Value| {
        let mut body = json!({"content": content, "type": "user_text"});
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        body
    };
    let attachments = |count: usize| {
        let one = json!({"url": "https://example.com/a.png", "name": "a", "mimeType": "image/png", "sizeBytes": 1});
        json!({"attachments": vec![one; count]})
    };
    let ask = |words: String| json!({"targetUserId": host.id, "message": words});
    let sam = |words: String| json!({"message": words});
    for (path, body, field) in [
        (messages.as_str(), message(long(8000), json!({})), None),
        (&messages, message(long(8001), json!({})), Some("content")),
        (&messages, message(String::new(), json!({})), Some("content")),
        (&messages, message(long(1), attachments(10)), None),
        (&messages, message(long(1), attachments(11)), Some("attachments")),
        (&messages, message(long(1), json!({"clientMessageId": "m".repeat(128)})), None),
        (&messages, message(long(1), json!({"clientMessageId": "m".repeat(129)})), Some("clientMessageId")),
        ("/api/requests", ask(long(2001)), Some("message")),
        ("/api/requests", ask(long(2000)), None),
        ("/api/sam", sam(long(4001)), Some("message")),
    ] {
        assert_eq!(refused_field(&guest.post(path, body.clone()).await).as_deref(), field, "{path} {body}");
    }
    let request = guest.request(Method::POST, "/api/sam").header("Prefer", "respond-async").json(&sam(long(4000)));
    api.send(request).await.ok(202);
}

#[tokio::test]
async fn how_long_a_talk_may_be() {
    let api = api().await;
    let [guest, host]: [Person<'_>; 2] = api.arrive(&["guest", "host"]).await.try_into().ok().unwrap();
    host.keeps_open().await;
    for (minutes, field) in [(4, Some("durationMinutes")), (481, Some("durationMinutes")), (5, None), (480, None)] {
        let body = json!({"hostUserId": host.id, "startTime": TEN, "durationMinutes": minutes, "price": 0});
        let answer = guest.post("/api/sessions", body).await;
        assert_eq!(refused_field(&answer).as_deref(), field, "{minutes}");
        if field.is_none() {
            let path = format!("/api/sessions/{}", text(&answer.json()["session"]["id"]));
            guest.patch(&path, json!({"status": "cancelled"})).await.ok(200);
        }
    }
}

#[tokio::test]
async fn how_much_is_listed() {
    let api = api().await;
    let [guest, host]: [Person<'_>; 2] = api.arrive(&["guest", "host"]).await.try_into().ok().unwrap();
    let conversation = guest.conversation_with(&host).await;
    for number in 0..101 {
        guest.say(&conversation, &format!("Number {number}")).await.ok(201);
    }
    let path = format!("/api/conversations/{conversation}/messages");
    for (query, count) in [("", 20), ("?limit=1", 1), ("?limit=100", 100)] {
        let page = guest.get(&format!("{path}{query}")).await.ok(200);
        assert_eq!(page["messages"].as_array().unwrap().len(), count, "{query}");
        assert!(page["nextCursor"].is_string(), "{query}");
    }
    for query in ["?limit=0", "?limit=101"] {
        guest.get(&format!("{path}{query}")).await.refused(400, "malformed_request");
    }
    host.becomes(Role::Admin).await;
    let staff = crate::scene::eventually("a new role", async || {
        let answer = host.get("/api/admin/metrics?days=90").await;
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(staff.await["sparkline"].as_array().unwrap().len(), 90);
    host.get("/api/admin/metrics?days=91").await.refused(400, "malformed_request");
}
