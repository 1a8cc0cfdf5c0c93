//! Processes that die in the middle.

use std::time::Duration;

use humanchat_domain::{
    invites,
    testing::{age_leases, age_socket_processes, jobs},
};
use serde_json::json;

use super::{
    SHORT, ends_at, expires_once, invite_id,
    stage::{Stage, in_time},
};
use crate::{redis::PrivateRedis, scene::eventually};

/// More than a lease lasts.
const LEASE: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_whose_worker_died_before_its_time_is_ended_by_the_next() {
    let stage = Stage::new().await;
    let (_one, api) = stage.api(&[SHORT]).await;
    let mut worker = stage.worker(&[]).await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let (mut ada_hears, mut ben_hears) = (ada.listen().await, ben.listen().await);
    let invite = ada.invite(&ben).await;
    worker.kill();
    for socket in [&mut ada_hears, &mut ben_hears] {
        socket.invite_event("pending", &invite).await;
    }
    // Every read tells the truth before any job did.
    eventually("the end of the invite's time", async || {
        let pending = ben.get("/api/conversations/invites/pending").await.ok(200);
        (pending["invites"] == json!([])).then_some(())
    })
    .await;
    assert!(api.store.clock().now() >= ends_at(&invite));
    ben.answer(&invite, "accept").await.refused(410, "invite_expired");
    for socket in [&mut ada_hears, &mut ben_hears] {
        socket.quiet().await;
    }
    let _next = stage.worker(&[]).await;
    expires_once(&invite, [(&ada, &mut ada_hears), (&ben, &mut ben_hears)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_worker_is_killed_over_it_is_done_once_by_another() {
    let stage = Stage::new().await;
    let (_one, api) = stage.api(&[SHORT]).await;
    let mut worker = stage.worker(&[]).await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let (mut ada_hears, mut ben_hears) = (ada.listen().await, ben.listen().await);
    let invite = ada.invite(&ben).await;
    for socket in [&mut ada_hears, &mut ben_hears] {
        socket.invite_event("pending", &invite).await;
    }
    // Holds the invite's row, so that the job has to wait.
    let mut held = api.store.begin(None).await.unwrap();
    assert!(invites::expire(&mut held, invite_id(&invite)).await.unwrap().is_some(), "its time is not over");
    eventually("a worker to take the job", async || {
        (jobs(&api.store, "expire_invite").await[0].state == "running").then_some(())
    })
    .await;
    let _next = stage.worker(&[]).await;
    worker.kill();
    drop(held);
    for socket in [&mut ada_hears, &mut ben_hears] {
        socket.quiet().await;
    }
    age_leases(&api.store, LEASE).await;
    // A worker looks after others' jobs once its own leases have been safe for a while.
    in_time(Duration::from_secs(25), "the rescue", async {
        while jobs(&api.store, "expire_invite").await[0].state != "done" {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(jobs(&api.store, "expire_invite").await[0].rescues, 1);
    expires_once(&invite, [(&ada, &mut ada_hears), (&ben, &mut ben_hears)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_a_killed_api_go_offline_for_others() {
    let redis = tokio::task::block_in_place(PrivateRedis::start);
    let stage = Stage::with(&[("REDIS_URL", &redis.server.url())]).await;
    let ((mut dying, here), (_two, there)) = tokio::join!(stage.api(&[]), stage.api(&[]));
    let _worker = stage.worker(&[]).await;
    tokio::join!(here.has_redis(), there.has_redis());
    let (ada, ben) = (here.register("Ada").await, there.register("Ben").await);
    let mut watcher = ben.socket("/ws").await;
    watcher.subscribe(&format!("status:{}", ada.id)).await;
    assert_eq!(watcher.next().await["payload"]["is_online"], false);
    let mut socket = ada.socket("/ws").await;
    assert_eq!(watcher.next().await["payload"]["is_online"], true);
    dying.kill();
    assert_eq!(socket.closed().await, None, "nobody was left to say goodbye");
    // Instead of waiting for the 20 seconds that a process may go unseen.
    age_socket_processes(&here.store, Duration::from_secs(25)).await;
    let is_online = ben.get(&format!("/api/users/{}", ada.id)).await.ok(200)["user"]["is_online"].clone();
    assert_eq!(is_online, false, "seen at once");
    // The worker looks every ten seconds, and the living process tells it lives every five.
    let told = in_time(Duration::from_secs(15), "the sweep", async {
        loop {
            watcher.say(json!({"type": "ping"})).await;
            let frame = watcher.next().await;
            if frame["type"] != "pong" {
                return frame;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!((&told["type"], &told["payload"]["is_online"]), (&json!("status.changed"), &json!(false)));
    // The living process was given up too, if the sweep came before it told that it lives.
    eventually("the living to be seen", async || {
        let ben = ada.at(&there).get(&format!("/api/users/{}", ben.id)).await.ok(200);
        (ben["user"]["is_online"] == true).then_some(())
    })
    .await;
}
