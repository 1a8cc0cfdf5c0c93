//! Clients that break the rules or say too much: refused clearly, and nobody else is harmed.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, future::join_all};
use humanchat_domain::testing::sign_in_many;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::{
    MaybeTlsStream,
    tungstenite::{
        Message,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

use super::{opening, refusal};
use crate::{
    scene::text,
    story::stage::Stage,
    support::{Person, Socket, api},
};

const MIB: usize = 1024 * 1024;
/// What a client may say at once, and in a second after that.
const BURST: usize = 200;
const PER_SECOND: usize = 50;

impl Socket {
    /// Sends bytes as they are, past the client's own library.
    async fn raw(&mut self, bytes: &[u8]) {
        let MaybeTlsStream::Plain(tcp) = self.stream.get_mut() else { panic!("not plain") };
        // The server may have hung up on the first of them.
        tcp.write_all(bytes).await.ok();
    }

    /// How long a ping of the client's takes.
    async fn round_trip(&mut self) -> Duration {
        let began = Instant::now();
        self.quiet().await;
        began.elapsed()
    }
}

/// A frame's first bytes and as many zeros; the mask is zero too.
fn frame(head: &[u8], zeros: usize) -> Vec<u8> {
    let mut bytes = head.to_vec();
    bytes.resize(head.len() + 4 + zeros, 0);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_break_the_protocol_end_their_socket_alone() {
    let api = api().await;
    let ada = api.register("Ada").await;
    let mut other = ada.socket("/ws").await;
    let too_long = [0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0];
    let far_too_long = [0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    for (what, bytes, code) in [
        ("not masked", vec![0x81, 2, b'h', b'i'], 1002),
        ("reserved bits", frame(&[0xf1, 0x80], 0), 1002),
        ("a reserved data frame", frame(&[0x83, 0x80], 0), 1002),
        ("a reserved control frame", frame(&[0x8b, 0x80], 0), 1002),
        ("a ping of 126 bytes", frame(&[0x89, 0xfe, 0, 126], 126), 1002),
        ("half a ping", frame(&[0x09, 0x80], 0), 1002),
        ("the middle of nothing", frame(&[0x80, 0x80], 0), 1002),
        ("a text within a text", [frame(&[0x01, 0x80], 0), frame(&[0x81, 0x80], 0)].concat(), 1002),
        ("a close of one byte", frame(&[0x88, 0x81], 1), 1002),
        ("half a character", [&[0x81, 0x81, 0, 0, 0, 0][..], &[0xc3]].concat(), 1007),
        ("2^63 bytes announced", frame(&too_long, 0), 1009),
        ("2^63 - 1 bytes announced", frame(&far_too_long, 0), 1009),
        ("65,537 bytes announced", frame(&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1], 0), 1009),
    ] {
        let mut socket = ada.socket("/ws").await;
        socket.raw(&bytes).await;
        assert_eq!(socket.closed().await, Some(code), "{what}");
        other.quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_without_end_take_little_memory() {
    const SOCKETS: usize = 100;
    let stage = Stage::new().await;
    let (program, api) = stage.api(&[]).await;
    let people = sign_in_many(&stage.store, 1).await;
    let ada = Person::signed_in(&api, &people[0]);
    let mut other = ada.socket("/ws").await;
    let mut sockets = join_all((0..SOCKETS).map(|_| ada.socket("/ws"))).await;
    let before = program.memory();
    let part = |kind| Message::Frame(Frame::message(vec![b' '; 60 * 1024], OpCode::Data(kind), false));
    for socket in &mut sockets {
        socket.send(part(Data::Text)).await;
    }
    // Nothing more than empty parts, which never add up to anything.
    let empty = frame(&[0x00, 0x80], 0).repeat(10_000);
    for socket in &mut sockets {
        socket.raw(&empty).await;
    }
    let round_trip = other.round_trip().await;
    let grown = program.memory().saturating_sub(before);
    println!("{SOCKETS} messages without end: {} KiB, and others waited {round_trip:?}", grown / 1024);
    assert!(grown < SOCKETS * 256 * 1024, "{} MiB", grown / MIB);
    assert!(round_trip < Duration::from_secs(2), "{round_trip:?}");
    for socket in &mut sockets {
        socket.stream.send(part(Data::Continue)).await.ok();
        assert_eq!(socket.closed().await, Some(1009));
    }
}

/// Sends so many messages without waiting for an answer.
async fn flood(socket: &mut Socket, messages: impl Iterator<Item = Message>) {
    for message in messages {
        socket.stream.feed(message).await.unwrap();
    }
    socket.stream.flush().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_too_much_is_read_slowly_and_harms_nobody() {
    const FRAMES: usize = 10_000;
    let stage = Stage::new().await;
    let (program, api) = stage.api(&[]).await;
    let people = sign_in_many(&stage.store, 200).await;
    let (ada, ben) = (Person::signed_in(&api, &people[0]), Person::signed_in(&api, &people[1]));
    let conversation = ada.conversation_with(&ben).await;
    let status = |n: usize| format!("status:{}", people[n % people.len()].user_id);
    let subscribe = |n| json!({"type": "subscribe", "channel": status(n)}).to_string();
    let typing = |_| json!({"type": "typing", "payload": {"conversationId": conversation}}).to_string();
    let mut other = ben.socket("/ws").await;
    let before = program.memory();
    let began = Instant::now();
    let mut sockets = Vec::new();
    for text in [&subscribe as &dyn Fn(usize) -> String, &|_| r#"{"type":"ping"}"#.into(), &typing, &|_| "x".into()] {
        let mut socket = ada.socket("/ws").await;
        flood(&mut socket, (0..FRAMES).map(|n| Message::text(text(n)))).await;
        sockets.push(socket);
    }
    let mut pinging = ada.socket("/ws").await;
    flood(&mut pinging, (0..FRAMES).map(|_| Message::Ping("?".into()))).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        slowest = slowest.max(other.round_trip().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let grown = program.memory().saturating_sub(before);
    println!("{FRAMES} frames of each kind: {} KiB, and others waited {slowest:?} at most", grown / 1024);
    assert!(grown < 16 * MIB, "{} MiB", grown / MIB);
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    // The first 128 are listened to; what follows is refused, no sooner than it is read.
    let flooding = &mut sockets[0];
    let (mut subscribed, mut refused) = (0, 0);
    while refused < 30 {
        let frame = flooding.next().await;
        match frame["type"].as_str().unwrap() {
            "subscribed" => subscribed += 1,
            "error" => {
                assert_eq!(frame["payload"]["code"], "forbidden", "{frame}");
                refused += 1;
            }
            kind => assert_eq!(kind, "status.changed"),
        }
    }
    assert_eq!(subscribed, 128);
    let flooding = &mut sockets[1];
    let mut answered = 0;
    while answered < BURST + PER_SECOND * 3 {
        assert_eq!(flooding.next().await["type"], "pong");
        answered += 1;
    }
    assert!(began.elapsed() >= Duration::from_secs(3), "read too fast");
}

#[tokio::test]
async fn half_an_upgrade_is_refused() {
    let api = api().await;
    let ada = api.register("Ada").await;
    for missing in ["connection", "upgrade", "sec-websocket-version", "sec-websocket-key"] {
        let headers = [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let mut request = api.http.get(api.url(&format!("/ws?token={}", ada.token)));
        for (name, value) in headers.into_iter().filter(|(name, _)| *name != missing) {
            request = request.header(name, value);
        }
        api.send(request).await.refused(400, "malformed_request");
    }
}

#[tokio::test]
async fn a_ticket_is_its_owners_alone() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let ticket = text(&ben.post("/api/ws/ticket", json!({})).await.ok(201)["ticket"]);
    let path = |owner: &str| format!("/notifications/{owner}?token={ticket}");
    assert_eq!(refusal(opening(&api, &path(&ada.id))).await, (404, "resource_not_found".into()));
    assert_eq!(refusal(opening(&api, &path(&ben.id))).await, (401, "unauthenticated".into()), "it was used up");
}
