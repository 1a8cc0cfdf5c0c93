//! How an api process begins and ends.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::stage::{Program, Stage};
use crate::{
    raw::Wire,
    scene::eventually,
    support::{Api, PASSWORD},
};

/// A request whose body is still to come: the server has begun to wait for it.
struct HalfSent {
    stream: TcpStream,
    body: String,
}

impl HalfSent {
    async fn registration(api: &Api) -> Self {
        let body = json!({"name": "Eve", "email": "eve@example.com", "password": PASSWORD}).to_string();
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        let head = format!(
            "POST /api/auth/register HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Expect: 100-continue\r\nConnection: close\r\n\r\n",
            api.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut go_on = [0; 25];
        stream.read_exact(&mut go_on).await.unwrap();
        assert_eq!(std::str::from_utf8(&go_on).unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
        Self { stream, body }
    }

    async fn finish(mut self) -> String {
        self.stream.write_all(self.body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

async fn is_gone(api: &Api) {
    eventually("the door to close", async || TcpStream::connect(api.address).await.is_err().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_ends_what_it_began_and_says_goodbye() {
    let stage = Stage::new().await;
    let ((mut stopping, here), (_two, there)) = tokio::join!(stage.api(&[]), stage.api(&[]));
    tokio::join!(here.has_redis(), there.has_redis());
    let (ada, ben) = (here.register("Ada").await, there.register("Ben").await);
    let mut watcher = ben.socket("/ws").await;
    watcher.subscribe(&format!("status:{}", ada.id)).await;
    assert_eq!(watcher.next().await["payload"]["is_online"], false);
    let mut sockets = [ada.socket("/ws").await, ada.socket(&format!("/notifications/{}", ada.id)).await];
    assert_eq!(watcher.next().await["payload"]["is_online"], true);
    let half_sent = HalfSent::registration(&here).await;
    let began = Instant::now();
    stopping.terminate();
    for socket in &mut sockets {
        assert_eq!(socket.closed().await, Some(1012));
    }
    let told = watcher.next().await;
    assert_eq!((&told["type"], &told["payload"]["is_online"]), (&json!("status.changed"), &json!(false)));
    is_gone(&here).await;
    assert_eq!(stopping.status(), None, "a request is still being answered");
    let answer = half_sent.finish().await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(stopping.ended().await.code(), Some(0), "{}", stopping.log());
    println!("an api stopped within {:?}", began.elapsed());
    let login = json!({"email": "eve@example.com", "password": PASSWORD});
    there.anonymous(Method::POST, "/api/auth/login", Some(login)).await.ok(200);
    watcher.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_it_hears_heads_to_their_end_and_waits_for_nobody_idle() {
    let stage = Stage::with(&[]).await;
    let (mut stopping, api) = stage.api(&[]).await;
    let mut idle = Wire::open(&api).await;
    idle.write(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n").await;
    idle.next().await.ok(200);
    let mut half = Wire::open(&api).await;
    half.write(b"GET /health/live HTTP/1.1\r\n").await;
    // Both have been read: what comes after them is answered.
    for _ in 0..2 {
        api.anonymous(Method::GET, "/health/live", None).await.ok(200);
    }
    stopping.terminate();
    is_gone(&api).await;
    assert_eq!(idle.rest().await, b"");
    assert_eq!(stopping.status(), None, "a request is still coming");
    half.write(b"Host: a\r\n\r\n").await;
    half.answer().await.ok(200);
    assert_eq!(stopping.ended().await.code(), Some(0), "{}", stopping.log());
}

#[tokio::test]
async fn a_wrong_setting_is_one_line_and_an_exit_before_the_door_opens() {
    let stage = Stage::with(&[]).await;
    for (name, value) in [
        ("DATABASE_URL", "mysql://x/y"),
        ("DATABASE_URL", ""),
        ("JWT_SECRET", "short"),
        ("REDIS_URL", "http://x"),
        ("BIND_ADDR", "4000"),
        ("PUBLIC_URL", "here"),
        ("ALLOWED_ORIGINS", "everywhere"),
        ("SMTP_URL", "mail.example"),
        ("MAIL_FROM", "x"),
        ("INVITE_TTL_ONLINE_SECS", "soon"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "a=b=c"),
    ] {
        let (status, log) = stage.run(&["serve"], &[(name, value)]).await;
        assert_eq!(status.code(), Some(2), "{name}={value}: {log}");
        assert_eq!(log.lines().count(), 1, "{name}={value}: {log}");
        assert!(log.starts_with(&format!("humanchat-api: {name}: ")), "{log}");
        assert!(!log.contains(super::stage::SECRET));
    }
}

#[tokio::test]
async fn a_door_that_is_taken_is_a_failure_that_says_so() {
    let stage = Stage::with(&[]).await;
    let (_one, api) = stage.api(&[]).await;
    let address = api.address.to_string();
    let (status, log) = stage.run(&["serve"], &[("BIND_ADDR", &address)]).await;
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains(&address) && log.contains("can't listen"), "{log}");
    api.anonymous(Method::GET, "/health/live", None).await.ok(200);
}

#[tokio::test]
async fn the_document_is_printed_without_any_setting() {
    let stage = Stage::with(&[]).await;
    let mut program = Program::start(
        std::path::Path::new(env!("CARGO_BIN_EXE_humanchat-api")),
        &["openapi"],
        &[],
        stage.scratch.path(),
    );
    assert_eq!(program.ended().await.code(), Some(0));
    assert!(program.log().starts_with("openapi: 3."), "{:.200}", program.log());
    let (_one, api) = stage.api(&[]).await;
    let served = api.anonymous(Method::GET, "/openapi.yaml", None).await;
    assert_eq!(served.text, program.log());
    let json: Value = api.anonymous(Method::GET, "/openapi.json", None).await.ok(200);
    assert!(json["paths"]["/ws"].is_object());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_api_takes_over_from_a_stopping_one() {
    let stage = Stage::new().await;
    let (mut first, here) = stage.api(&[]).await;
    let (ada, ben) = (here.register("Ada").await, here.register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    let mut socket = ben.socket("/ws").await;
    socket.subscribe(&channel).await;
    ada.say(&conversation, "one").await.ok(201);
    assert_eq!(socket.next().await["seq"], 1);
    let (_second, there) = stage.api(&[]).await;
    first.terminate();
    assert_eq!(socket.closed().await, Some(1012));
    ada.at(&there).say(&conversation, "two").await.ok(201);
    let mut socket = ben.at(&there).socket("/ws").await;
    socket.say(json!({"type": "subscribe", "channel": channel, "after": 1})).await;
    assert_eq!(socket.next().await["payload"]["recovered"], true);
    assert_eq!(socket.next().await["seq"], 2);
    assert!(tokio::time::timeout(Duration::from_secs(10), first.ended()).await.unwrap().success());
}
