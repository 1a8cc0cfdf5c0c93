//! How sockets end, and that both sides learn of it.

use std::time::Duration;

use futures_util::{StreamExt, future::join_all};
use humanchat_api::SocketLimits;
use humanchat_domain::{
    auth::Role,
    clock::Clock,
    maintenance,
    testing::{TestDatabase, noon, remove_participant},
    users,
};
use serde_json::json;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{CATCH_UP, apis_with_redis, within};
use crate::{
    scene::id,
    support::{api, api_with},
};

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

#[tokio::test]
async fn a_new_role_ends_the_sockets_of_the_old_one() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let (mut socket, mut other) = (ada.socket("/ws").await, ben.socket("/ws").await);
    let mut tx = api.store.begin(None).await.unwrap();
    users::set_role(&mut tx, id(&ada.id), Role::Manager).await.unwrap();
    tx.commit().await.unwrap();
    within(CATCH_UP, async { assert_eq!(socket.closed().await, Some(4004)) }).await;
    other.quiet().await;
}

#[tokio::test]
async fn a_login_that_was_not_renewed_ends_its_sockets() {
    let api = api().await;
    let ada = api.register("Ada").await;
    let mut socket = ada.socket("/ws").await;
    api.advance(Duration::from_hours(24 * 31));
    socket.quiet().await;
    maintenance::prune_credentials(&api.store, 100).await.unwrap();
    within(CATCH_UP, async { assert_eq!(socket.closed().await, Some(4003)) }).await;
}

#[tokio::test]
async fn who_no_longer_takes_part_hears_no_more() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    let (mut leaving, mut staying) = (ben.socket("/ws").await, ada.socket("/ws").await);
    for socket in [&mut leaving, &mut staying] {
        socket.subscribe(&channel).await;
    }
    remove_participant(&api.store, id(&conversation), id(&ben.id)).await;
    let last = within(CATCH_UP, leaving.next()).await;
    assert_eq!((&last["type"], &last["payload"]["channel"]), (&json!("unsubscribed"), &json!(channel)));
    ada.say(&conversation, "alone").await.ok(201);
    staying.numbers(&channel, [1]).await;
    leaving.quiet().await;
    for frame in [
        json!({"type": "typing", "payload": {"conversationId": conversation}}),
        json!({"type": "subscribe", "channel": channel}),
    ] {
        assert_eq!(leaving.refused(frame).await, "resource_not_found");
    }
}

#[tokio::test]
async fn a_client_of_which_nothing_is_heard_is_closed_with_4009() {
    const SILENCE: Duration = Duration::from_millis(800);
    let limits = SocketLimits { ping_every: Duration::from_millis(200), silence: SILENCE, ..SocketLimits::default() };
    let api = api_with(&TestDatabase::create().await, Clock::manual(noon()), &[], limits).await;
    let ada = api.register("Ada").await;
    let (mut answering, mut silent) = (ada.socket("/ws").await, ada.socket("/ws").await);
    let mut pings = 0;
    // It says nothing, but its system answers each ping as long as it reads.
    let reads = tokio::time::timeout(SILENCE * 2, async {
        while let Some(Ok(Message::Ping(_))) = answering.stream.next().await {
            pings += 1;
        }
    });
    assert!(reads.await.is_err(), "closed after {pings} pings");
    assert!(pings >= 5, "{pings} pings");
    assert_eq!(silent.closed().await, Some(4009));
    answering.quiet().await;
}
