//! What a client may say, and to whom it may listen.

use futures_util::SinkExt;
use humanchat_domain::testing::sign_in_many;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use super::apis_with_redis;
use crate::support::api;

const LARGEST: usize = 64 * 1024;

/// A ping of exactly so many bytes, as far as JSON goes.
fn ping_of(size: usize) -> String {
    let bare = r#"{"type":"ping"}"#;
    format!("{bare}{}", " ".repeat(size - bare.len()))
}

#[tokio::test]
async fn people_listen_to_what_is_theirs_and_to_anybodys_status() {
    let api = api().await;
    let (ada, ben, eve) = (api.register("Ada").await, api.register("Ben").await, api.register("Eve").await);
    let conversation = ada.conversation_with(&ben).await;
    let mut socket = ada.socket("/ws").await;
    for channel in [
        format!("conversation:{conversation}"),
        format!("sessions:{}", ada.id),
        format!("notifications:{}", ada.id),
        format!("status:{}", ada.id),
        format!("status:{}", eve.id),
    ] {
        let subscribed = socket.subscribe(&channel).await;
        assert_eq!(subscribed["payload"], json!({"channel": channel, "seq": 0, "recovered": true}));
        if channel.starts_with("status:") {
            assert_eq!(socket.next().await["type"], "status.changed", "how things stand");
        }
    }
}

#[tokio::test]
async fn a_foreign_channel_says_as_little_as_a_missing_one() {
    let api = api().await;
    let (ada, ben, eve) = (api.register("Ada").await, api.register("Ben").await, api.register("Eve").await);
    let foreign = format!("conversation:{}", ada.conversation_with(&ben).await);
    let (sessions, notifications) = (format!("sessions:{}", ada.id), format!("notifications:{}", ada.id));
    let mut socket = eve.socket("/ws").await;
    let mut answers = Vec::new();
    for channel in [
        foreign.as_str(),
        "conversation:conv_01jd8t6ze5fkxrv8q3w2m9n7ab",
        "conversation:x",
        &sessions,
        "sessions:user_01jd8t6ze5fkxrv8q3w2m9n7ab",
        "sessions:x",
        &notifications,
        "notifications:user_01jd8t6ze5fkxrv8q3w2m9n7ab",
        "notifications:x",
        "status:user_01jd8t6ze5fkxrv8q3w2m9n7ab",
        "status:x",
        "moon:x",
        "",
        ":",
        &ada.id,
    ] {
        socket.say(json!({"type": "subscribe", "channel": channel})).await;
        let mut answer = socket.next().await;
        assert_eq!(answer["payload"]["channel"], channel);
        answer["payload"]["channel"] = Value::Null;
        answers.push(answer);
    }
    assert_eq!(answers[0]["payload"]["code"], "resource_not_found");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn what_is_no_frame_is_told_and_forgiven() {
    let api = api().await;
    let ada = api.register("Ada").await;
    let mut socket = ada.socket("/ws").await;
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    for text in [
        "",
        "x",
        "[]",
        "7",
        "null",
        "{}",
        "\"ping\"",
        r#"{"type":"shout"}"#,
        r#"{"type":"subscribe"}"#,
        r#"{"type":"subscribe","channel":7}"#,
        r#"{"type":"subscribe","channel":"status:x","after":"1"}"#,
        r#"{"type":"subscribe","channel":"status:x","after":9223372036854775808}"#,
        r#"{"type":"subscribe","channel":"status:x","after":1.5}"#,
        r#"{"type":"ping","x":1}"#,
        r#"{"type":"typing","payload":{}}"#,
        r#"{"type":"typing","payload":{"conversationId":"c","x":1}}"#,
        r#"{"type":"ack","channel":"x"}"#,
        r#"{"type":"ping"}{"type":"ping"}"#,
        r#"{"type":"\ud800"}"#,
        &deep,
    ] {
        socket.say_text(text).await;
        let answer = socket.next().await;
        assert_eq!(answer["payload"]["code"], "malformed_request", "{text:.80} {answer:.200}");
    }
    socket.send(Message::binary(b"{\"type\":\"ping\"}".to_vec())).await;
    assert_eq!(socket.next().await["payload"]["code"], "malformed_request");
    for (frame, code) in [
        (json!({"type": "unsubscribe", "channel": format!("status:{}", ada.id)}), "resource_not_found"),
        (json!({"type": "unsubscribe", "channel": "\u{0}"}), "resource_not_found"),
        (json!({"type": "ack", "channel": format!("sessions:{}", ada.id), "seq": 1}), "resource_not_found"),
        (json!({"type": "typing", "payload": {"conversationId": "\u{0}"}}), "resource_not_found"),
        (json!({"type": "subscribe", "channel": format!("status:{}", ada.id), "after": -1}), "malformed_request"),
        (
            json!({"type": "subscribe", "channel": format!("sessions:{}", ada.id), "after": i64::MIN}),
            "malformed_request",
        ),
    ] {
        assert_eq!(socket.refused(frame.clone()).await, code, "{frame}");
    }
    socket.quiet().await;
}

#[tokio::test]
async fn frames_up_to_64_kib_are_read_and_larger_ones_close_with_1009() {
    let api = api().await;
    let ada = api.register("Ada").await;
    let mut socket = ada.socket("/ws").await;
    socket.say_text(&ping_of(LARGEST)).await;
    assert_eq!(socket.next().await["type"], "pong");
    let far_too_large = LARGEST * 64;
    for size in [LARGEST + 1, far_too_large] {
        let mut socket = ada.socket("/ws").await;
        // The server may hang up before it has it all.
        socket.stream.send(Message::text(ping_of(size))).await.ok();
        assert_eq!(socket.closed().await, Some(1009), "{size} bytes");
    }
    let mut socket = ada.socket("/ws").await;
    let half = " ".repeat(LARGEST / 2 + 1);
    for (kind, last) in [(Data::Text, false), (Data::Continue, true)] {
        socket.send(Message::Frame(Frame::message(half.clone(), OpCode::Data(kind), last))).await;
    }
    assert_eq!(socket.closed().await, Some(1009), "in two parts");
}

#[tokio::test]
async fn text_that_is_not_utf_8_closes_with_1007() {
    let api = api().await;
    let mut socket = api.register("Ada").await.socket("/ws").await;
    socket.send(Message::Frame(Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true))).await;
    assert_eq!(socket.closed().await, Some(1007));
}

#[tokio::test]
async fn a_socket_listens_to_128_channels_and_no_more() {
    let api = api().await;
    let ada = api.register("Ada").await;
    let mut socket = ada.socket("/ws").await;
    let people = sign_in_many(&api.store, 129).await;
    let channels: Vec<_> = people.iter().map(|person| format!("status:{}", person.user_id)).collect();
    for channel in &channels[..128] {
        socket.subscribe(channel).await;
        assert_eq!(socket.next().await["type"], "status.changed");
    }
    let one_more = json!({"type": "subscribe", "channel": channels[128]});
    assert_eq!(socket.refused(one_more.clone()).await, "forbidden");
    // One that is listened to may be asked for again.
    socket.subscribe(&channels[0]).await;
    assert_eq!(socket.next().await["type"], "status.changed");
    socket.say(json!({"type": "unsubscribe", "channel": channels[0]})).await;
    assert_eq!(socket.next().await["type"], "unsubscribed");
    socket.say(one_more).await;
    assert_eq!(socket.next().await["type"], "subscribed");
}

#[tokio::test]
async fn who_unsubscribes_hears_no_more() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    let (mut leaving, mut staying) = (ada.socket("/ws").await, ben.socket("/ws").await);
    for socket in [&mut leaving, &mut staying] {
        socket.subscribe(&channel).await;
        socket.say(json!({"type": "ack", "channel": channel, "seq": 0})).await;
    }
    leaving.say(json!({"type": "unsubscribe", "channel": channel})).await;
    let unsubscribed = leaving.next().await;
    assert_eq!((&unsubscribed["type"], &unsubscribed["payload"]["channel"]), (&json!("unsubscribed"), &json!(channel)));
    ada.say(&conversation, "hello").await.ok(201);
    staying.numbers(&channel, [1]).await;
    leaving.quiet().await;
    let unsubscribe = json!({"type": "unsubscribe", "channel": channel});
    assert_eq!(leaving.refused(unsubscribe).await, "resource_not_found");
    assert_eq!(leaving.replay(&channel, 0).await, (1, true));
    leaving.numbers(&channel, [1]).await;
}

#[tokio::test]
async fn typing_reaches_the_other_participant_and_is_not_kept() {
    let apis = apis_with_redis(2).await;
    let (ada, ben, eve) = (apis[0].register("Ada").await, apis[0].register("Ben").await, apis[0].register("Eve").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    let typing = json!({"type": "typing", "payload": {"conversationId": conversation}});
    let mut near = ben.socket("/ws").await;
    let mut far = ben.at(&apis[1]).socket("/ws").await;
    near.subscribe(&channel).await;
    far.subscribe(&channel).await;
    let (mut writer, mut stranger) = (ada.socket("/ws").await, eve.socket("/ws").await);
    let mut other_tabs = [ada.socket("/ws").await, ada.at(&apis[1]).socket("/ws").await];
    for tab in &mut other_tabs {
        tab.subscribe(&channel).await;
    }
    assert_eq!(stranger.refused(typing.clone()).await, "resource_not_found");
    writer.say(typing).await;
    for socket in [&mut near, &mut far] {
        let frame = socket.next().await;
        assert_eq!((&frame["type"], &frame["channel"]), (&json!("typing"), &json!(channel)));
        assert_eq!(frame["payload"], json!({"conversationId": conversation, "userId": ada.id}));
        assert_eq!(frame.get("seq"), None);
    }
    // Whoever writes knows.
    for tab in &mut other_tabs {
        tab.quiet().await;
    }
    writer.quiet().await;
    assert_eq!(far.replay(&channel, 0).await, (0, true));
    far.quiet().await;
}
