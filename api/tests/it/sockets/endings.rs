//! How sockets end, and that both sides learn of it.

use std::time::Duration;

use futures_util::{StreamExt, future::join_all};
use serde_json::json;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{apis_with_redis, within};
use crate::support::api;

#[tokio::test]
async fn a_clients_close_is_answered() {
    let api = api().await;
    let ada = api.register("Ada").await;
    for code in [CloseCode::Normal, CloseCode::Away, CloseCode::Library(4000)] {
        let mut socket = ada.socket("/ws").await;
        socket.say(json!({"type": "ping"})).await;
        socket.send(Message::Close(Some(CloseFrame { code, reason: "".into() }))).await;
        // Whoever says goodbye may or may not hear what was still on its way.
        assert_eq!(socket.closed().await, Some(code.into()));
        assert!(socket.stream.next().await.is_none(), "the connection ends in order");
    }
}

#[tokio::test]
async fn pings_of_the_protocol_are_answered() {
    let api = api().await;
    let mut socket = api.register("Ada").await.socket("/ws").await;
    socket.send(Message::Ping("there?".into())).await;
    assert_eq!(socket.stream.next().await.unwrap().unwrap(), Message::Pong("there?".into()));
}

#[tokio::test]
async fn a_stop_closes_sockets_with_1012_and_takes_people_offline() {
    let apis = apis_with_redis(2).await;
    let (ada, ben) = (apis[0].register("Ada").await, apis[1].register("Ben").await);
    let mut watcher = ben.socket("/ws").await;
    watcher.subscribe(&format!("status:{}", ada.id)).await;
    assert_eq!(watcher.next().await["payload"]["is_online"], false);
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(ada.socket("/ws").await);
    }
    assert_eq!(watcher.next().await["payload"]["is_online"], true);
    let stop = apis[0].app.as_ref().unwrap().stop();
    let closes = join_all(sockets.iter_mut().map(|socket| async {
        // Clients that say something just then lose their socket as cleanly as others.
        for _ in 0..50 {
            if futures_util::SinkExt::send(&mut socket.stream, Message::text(r#"{"type":"ping"}"#)).await.is_err() {
                break;
            }
        }
        socket.closed().await
    }));
    let ((), codes) = within(Duration::from_secs(5), async { tokio::join!(stop, closes) }).await;
    assert_eq!(codes, vec![Some(1012); 20]);
    let gone = watcher.next().await;
    assert_eq!((&gone["type"], &gone["payload"]["is_online"]), (&json!("status.changed"), &json!(false)));
    assert_eq!(ben.get(&format!("/api/users/{}", ada.id)).await.ok(200)["user"]["is_online"], false);
    let refused = ada.socket_or_close(0).await;
    assert!(refused.is_none(), "a stopping process takes nobody in");
    assert_eq!(ben.get(&format!("/api/users/{}", ada.id)).await.ok(200)["user"]["is_online"], false);
    watcher.quiet().await;
}
