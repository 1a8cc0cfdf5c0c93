//! Processes that die in the middle.

use std::time::Duration;

use humanchat_domain::{
    event::Channel,
    invites,
    testing::{TableLock, age_leases, age_socket_processes, jobs, traces_of_sam},
};
use serde_json::json;

use super::{
    SHORT, ends_at, expires_once, invite_id,
    stage::{Stage, in_time},
};
use crate::{
    redis::PrivateRedis,
    scene::{eventually, id},
};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_is_gone_though_the_worker_is_killed_over_it() {
    let stage = Stage::new().await;
    let (_one, api) = stage.api(&[]).await;
    let mut worker = stage.worker(&[]).await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    ada.say(&conversation, "What Ben still needs").await.ok(201);
    ada.post("/api/sam", json!({"message": "I want to talk to Jane Goodall"})).await;
    ada.invite(&ben).await;
    let own = Channel::Notifications(id(&ada.id));
    let told = async || api.told(own).await.len();
    assert!(told().await > 0 && traces_of_sam(&api.store).await > 0);
    // The third of the steps has to wait.
    let mut held = TableLock::against_writes(&api.store, "requested_people_askers").await;
    assert_eq!(ada.leaves().await.status, 204);
    eventually("the worker to be in the middle", async || (held.waiting().await == 1).then_some(())).await;
    assert_eq!(told().await, 0, "what comes before is done");
    assert!(traces_of_sam(&api.store).await > 0, "and what comes after is not");
    worker.kill();
    held.release().await;
    age_leases(&api.store, LEASE).await;
    let _next = stage.worker(&[]).await;
    in_time(Duration::from_secs(25), "the rescue", async {
        while traces_of_sam(&api.store).await > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!((told().await, jobs(&api.store, "erase_user").await[0].rescues), (0, 1));
    let seen = ben.get(&format!("/api/conversations/{conversation}")).await.ok(200);
    assert_eq!(seen["conversation"]["participant_display_map"][&ada.id], "Deleted user");
    let said = ben.get(&format!("/api/conversations/{conversation}/messages")).await.ok(200);
    assert_eq!(said["messages"][0]["content"], "What Ben still needs");
}
