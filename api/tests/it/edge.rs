//! What every request passes: ids, limits, media types, JSON, and clients that leave.

use humanchat_domain::event::Channel;
use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::{
    raw::{Wire, head},
    scene::{id, text},
    support::{Answer, Api, Person, api},
};

const LIMIT: usize = 64 * 1024;

impl Person<'_> {
    /// Sends bytes as JSON, whatever they are.
    pub async fn send_bytes(&self, method: Method, path: &str, bytes: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(method, path).header(CONTENT_TYPE, "application/json");
        self.api.send(request.body(bytes)).await
    }

    /// Sends text as the change of the profile.
    pub async fn profile(&self, body: &str) -> Answer {
        self.send_bytes(Method::PATCH, "/api/users/me", body.to_owned()).await
    }

    pub async fn bio(&self) -> Value {
        self.see(self).await["bio"].clone()
    }
}

pub async fn somebody(api: &Api) -> Person<'_> {
    api.arrive(&["somebody"]).await.remove(0)
}

#[tokio::test]
async fn a_request_id_is_kept_where_it_is_one_and_made_where_it_is_not() {
    let api = api().await;
    let id_of = async |id: &[u8], path: &str| {
        let answer = api.send(api.http.get(api.url(path)).header("x-request-id", id)).await;
        answer.headers["x-request-id"].to_str().unwrap().to_owned()
    };
    let longest = "x".repeat(128);
    for path in ["/health/live", "/api/auth/me", "/nowhere", "/docs/", "/openapi.json"] {
        for good in ["a", "A-z_0.9", &longest] {
            assert_eq!(id_of(good.as_bytes(), path).await, good, "{path}");
        }
        let long = "x".repeat(129);
        let bad: [&[u8]; 6] = [b"", b"a b", b"a\tb", b"\xff", "ä".as_bytes(), long.as_bytes()];
        for bad in bad {
            let made = id_of(bad, path).await;
            assert_eq!(made.parse::<uuid::Uuid>().unwrap().get_version_num(), 7, "{path}");
        }
        assert_ne!(id_of(b"", path).await, id_of(b"", path).await);
    }
}

#[tokio::test]
async fn unknown_routes_and_methods_are_refused_in_the_envelope() {
    let api = api().await;
    let casey = somebody(&api).await;
    for path in [
        "/api",
        "/api/",
        "/api/users/",
        "//api/users",
        "/api/users/me/me",
        "/API/users",
        "/api/auth/login/",
        "/%00",
        "/..%2f",
        "/x?y",
    ] {
        casey.get(path).await.refused(404, "resource_not_found");
        api.anonymous(Method::DELETE, path, None).await.refused(404, "resource_not_found");
    }
    for (method, path) in [
        (Method::GET, "/api/auth/login"),
        (Method::DELETE, "/api/users"),
        (Method::PUT, "/api/users/me"),
        (Method::PATCH, "/api/conversations"),
        (Method::POST, "/health/live"),
        (Method::OPTIONS, "/api/users"),
        (Method::TRACE, "/api/users"),
        (Method::from_bytes(b"BREW").unwrap(), "/api/users"),
    ] {
        let answer = api.anonymous(method.clone(), path, None).await;
        answer.refused(405, "method_not_allowed");
        assert!(answer.headers.contains_key("allow"), "{method} {path}: {:?}", answer.headers);
    }
    let answer = api.anonymous(Method::HEAD, "/health/live", None).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
}

#[tokio::test]
async fn a_body_is_at_most_64_kib_however_it_comes() {
    let api = api().await;
    let casey = somebody(&api).await;
    let padded = |length: usize| {
        let body = r#"{"bio": "fits"}"#;
        format!("{body}{}", " ".repeat(length - body.len()))
    };
    casey.profile(&padded(LIMIT)).await.ok(200);
    assert_eq!(casey.bio().await, "fits");
    casey.profile(&padded(LIMIT + 1)).await.refused(413, "payload_too_large");
    casey.profile(&padded(LIMIT * 16)).await.refused(413, "payload_too_large");
    // Announced, but never sent.
    let mut wire = Wire::open(&api).await;
    wire.write(format!("{}\r\n", head(&casey, "PATCH", "/api/users/me", Some(usize::MAX / 2))).as_bytes()).await;
    wire.answer().await.refused(413, "payload_too_large");
    // In chunks that would never end.
    let mut wire = Wire::open(&api).await;
    wire.write(format!("{}\r\n", head(&casey, "PATCH", "/api/users/me", None)).as_bytes()).await;
    for _ in 0..65 {
        wire.write(format!("400\r\n{}\r\n", " ".repeat(1024)).as_bytes()).await;
    }
    wire.answer().await.refused(413, "payload_too_large");
    // And in chunks that do.
    let mut wire = Wire::open(&api).await;
    wire.write(format!("{}\r\n", head(&casey, "PATCH", "/api/users/me", None)).as_bytes()).await;
    for part in [r#"{"bio""#, r#": "in "#, r#"parts"}"#] {
        wire.write(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes()).await;
    }
    wire.write(b"0\r\n\r\n").await;
    assert_eq!(wire.answer().await.ok(200)["user"]["bio"], "in parts");
}

#[tokio::test]
async fn half_a_request_changes_nothing_and_hurts_nobody() {
    let api = api().await;
    let people = api.arrive(&["casey", "river"]).await;
    let [casey, river] = &people[..] else { unreachable!() };
    let conversation = casey.conversation_with(river).await;
    let path = format!("/api/conversations/{conversation}/messages");
    let body = json!({"content": "Half", "type": "user_text"}).to_string();
    let head = head(casey, "POST", &path, Some(body.len()));
    let whole = format!("{head}\r\n{body}");
    // More than there are connections to the database.
    for cut in (1..whole.len()).step_by(whole.len() / 25) {
        let mut wire = Wire::open(&api).await;
        wire.write(&whole.as_bytes()[..cut]).await;
        drop(wire);
    }
    let sent = async || casey.get(&path).await.ok(200)["messages"].as_array().unwrap().len();
    assert_eq!(sent().await, 0);
    // Whole ones, whose clients leave at once, are done wholly or not at all, and so are those after them.
    for _ in 0..25 {
        let mut wire = Wire::open(&api).await;
        wire.write(whole.as_bytes()).await;
        drop(wire);
        casey.say(&conversation, "Meanwhile").await.ok(201);
    }
    let page = river.get(&format!("{path}?limit=100")).await.ok(200);
    let numbers: Vec<_> =
        page["messages"].as_array().unwrap().iter().map(|row| row["messageId"].as_u64().unwrap()).collect();
    assert!((25..=50).contains(&numbers.len()), "{numbers:?}");
    assert_eq!(numbers, (1..=numbers.len() as u64).rev().collect::<Vec<_>>());
    let events = api.told(Channel::Conversation(id(&conversation))).await;
    assert!(events.len() >= numbers.len());
    let ready = api.anonymous(Method::GET, "/health/ready", None).await.ok(200);
    assert_eq!(text(&ready["status"]), "ok");
}

#[tokio::test]
async fn the_documents_and_health_need_no_login() {
    let api = api().await;
    let live = api.anonymous(Method::GET, "/health/live", None).await;
    assert_eq!(live.ok(200), json!({"status": "ok"}));
    let ready = api.anonymous(Method::GET, "/health/ready", None).await.ok(200);
    assert_eq!((&ready["postgres"], &ready["redis"]), (&json!("up"), &json!("none")));
    assert!(ready["queue_lag_seconds"].is_number(), "{ready}");
    for (path, media_type) in [
        ("/openapi.yaml", "application/yaml"),
        ("/openapi.json", "application/json"),
        ("/docs/", "text/html"),
        ("/magic-link", "text/html"),
    ] {
        let answer = api.anonymous(Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with(media_type), "{path}");
    }
    api.anonymous(Method::GET, "/docs/nothing.js", None).await.refused(404, "resource_not_found");
}
