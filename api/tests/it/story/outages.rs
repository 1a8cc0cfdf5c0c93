//! Stories without Redis, for a while or altogether.

use serde_json::json;
use tokio::task::block_in_place;

use super::{SHORT, expires_once, meet, stage::Stage};
use crate::{redis::PrivateRedis, scene::text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_expires_on_both_sides_while_redis_is_away() {
    let mut redis = block_in_place(PrivateRedis::start);
    // Without Redis it takes up to two seconds to hear of an invite, and then it is to be accepted.
    let ttl = ("INVITE_TTL_ONLINE_SECS", "5");
    let stage = Stage::with(&[("REDIS_URL", &redis.server.url()), ttl]).await;
    let ((_one, here), (_two, there)) = tokio::join!(stage.api(&[]), stage.api(&[]));
    let _worker = stage.worker(&[]).await;
    tokio::join!(here.has_redis(), there.has_redis());
    let (ada, ben) = tokio::join!(here.register("Ada"), there.register("Ben"));
    let (mut ada_hears, mut ben_hears) = (ada.listen().await, ben.listen().await);
    let invite = ada.invite(&ben).await;
    for socket in [&mut ada_hears, &mut ben_hears] {
        socket.invite_event("pending", &invite).await;
    }
    block_in_place(|| redis.server.stop()).unwrap();
    expires_once(&invite, [(&ada, &mut ada_hears), (&ben, &mut ben_hears)]).await;
    // A whole meeting goes on meanwhile, and after Redis is back nothing comes twice.
    let (session, _) = meet((&ada, &mut ada_hears), (&ben, &mut ben_hears)).await;
    block_in_place(|| redis.server.restart()).unwrap();
    tokio::join!(here.has_redis(), there.has_redis());
    ben.patch(&format!("/api/sessions/{}", text(&session["id"])), json!({"status": "complete"})).await.ok(200);
    for socket in [&mut ada_hears, &mut ben_hears] {
        assert_eq!(socket.next_deed().await["payload"]["session"]["status"], "complete");
        socket.quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_story_goes_without_redis_too() {
    let stage = Stage::with(&[SHORT]).await;
    let (one, api) = stage.api(&[]).await;
    let _worker = stage.worker(&[]).await;
    assert!(one.log().contains("no REDIS_URL"), "it says so: {}", one.log());
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let (mut ada_hears, mut ben_hears) = (ada.listen().await, ben.listen().await);
    let (session, conversation) = meet((&ada, &mut ada_hears), (&ben, &mut ben_hears)).await;
    ben_hears.subscribe(&format!("conversation:{conversation}")).await;
    ada.say(&conversation, "Hi!").await.ok(201);
    assert_eq!(ben_hears.next_deed().await["payload"]["content"], "Hi!");
    ben.patch(&format!("/api/sessions/{}", text(&session["id"])), json!({"status": "complete"})).await.ok(200);
    for socket in [&mut ada_hears, &mut ben_hears] {
        assert_eq!(socket.next_deed().await["payload"]["session"]["status"], "complete");
    }
    let invite = ada.invite(&ben).await;
    for socket in [&mut ada_hears, &mut ben_hears] {
        socket.invite_event("pending", &invite).await;
    }
    expires_once(&invite, [(&ada, &mut ada_hears), (&ben, &mut ben_hears)]).await;
}
