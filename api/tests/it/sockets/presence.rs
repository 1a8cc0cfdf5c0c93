//! Who is there, as others see and hear it.

use std::time::Duration;

use futures_util::FutureExt;
use humanchat_domain::{maintenance, realtime::SocketProcess, testing::age_socket_processes};
use serde_json::{Value, json};

use super::{CATCH_UP, apis_with_redis, within};
use crate::{
    scene::{at_once, eventually, id, text},
    support::{Person, Socket, api},
};

/// Longer than a process may go unseen.
const UNSEEN: Duration = Duration::from_secs(25);

impl Person<'_> {
    async fn sees_online(&self, other: &Person<'_>) -> bool {
        self.get(&format!("/api/users/{}", other.id)).await.ok(200)["user"]["is_online"] == true
    }

    /// A socket that listens to somebody's status, who isn't there yet.
    async fn watch(&self, other: &Person<'_>) -> Socket {
        let mut socket = self.socket("/ws").await;
        socket.subscribe(&format!("status:{}", other.id)).await;
        assert_eq!(socket.status(other).await, offline(), "the first word is how things stand");
        socket
    }
}

impl Socket {
    /// The next word about somebody: online, state, busy.
    async fn status(&mut self, person: &Person<'_>) -> (bool, String, bool) {
        let frame = self.next().await;
        assert_eq!(frame["type"], "status.changed", "{frame}");
        assert_eq!(frame["channel"], format!("status:{}", person.id));
        assert_eq!(frame.get("seq"), None);
        let payload = &frame["payload"];
        assert_eq!(payload["user_id"], json!(person.id));
        let flag = |value: &Value| value.as_bool().unwrap();
        (flag(&payload["is_online"]), text(&payload["presence_state"]), flag(&payload["has_active_session"]))
    }
}

fn online() -> (bool, String, bool) {
    (true, "active".into(), false)
}

fn offline() -> (bool, String, bool) {
    (false, "active".into(), false)
}

#[tokio::test]
async fn who_has_a_socket_is_seen_at_once_in_every_process() {
    let apis = apis_with_redis(2).await;
    let (ada, ben) = (apis[0].register("Ada").await, apis[1].register("Ben").await);
    let mut watcher = ada.watch(&ben).await;
    assert!(!ada.sees_online(&ben).await);
    let first = ben.socket("/ws").await;
    assert!(ada.sees_online(&ben).await);
    assert_eq!(watcher.status(&ben).await, online());
    let second = ben.at(&apis[0]).socket("/ws").await;
    assert_eq!(second.hang_up().await, Some(1005));
    assert!(ada.sees_online(&ben).await);
    // Without a word, as when a network goes away.
    drop(first);
    assert_eq!(watcher.status(&ben).await, offline());
    assert!(!ada.sees_online(&ben).await);
    watcher.quiet().await;
}

#[tokio::test]
async fn a_state_over_http_is_told() {
    let apis = apis_with_redis(2).await;
    let (ada, ben) = (apis[0].register("Ada").await, apis[1].register("Ben").await);
    let mut watcher = ada.watch(&ben).await;
    let state = async |state: &str| {
        ben.put("/api/users/me/presence", json!({"state": state})).await.ok(200);
    };
    let _socket = ben.socket("/ws").await;
    assert_eq!(watcher.status(&ben).await, online());
    for (name, seen) in [("idle", true), ("offline", false), ("active", true)] {
        state(name).await;
        assert_eq!(watcher.status(&ben).await, (seen, name.into(), false));
        assert_eq!(ada.sees_online(&ben).await, seen);
    }
    state("active").await;
    watcher.quiet().await;
}

#[tokio::test]
async fn presence_over_http_ends_by_itself_and_is_told() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let mut watcher = ada.watch(&ben).await;
    ben.appear().await;
    assert_eq!(watcher.status(&ben).await, online());
    api.advance(Duration::from_secs(45));
    assert!(!ada.sees_online(&ben).await);
    assert_eq!(api.work().await, ["end_presence"]);
    assert_eq!(watcher.status(&ben).await, offline());
}

#[tokio::test]
async fn busy_and_free_are_told() {
    let apis = apis_with_redis(2).await;
    let (ada, ben) = (apis[0].register("Ada").await, apis[1].register("Ben").await);
    let eve = apis[1].register("Eve").await;
    let mut watchers = [(eve.watch(&ada).await, &ada), (eve.watch(&ben).await, &ben)];
    let invite = ada.invite(&ben).await;
    let session = ben.answer(&invite, "accept").await.ok(200)["session"].clone();
    for (watcher, person) in &mut watchers {
        assert_eq!(watcher.status(person).await, (false, "active".into(), true));
    }
    ben.patch(&format!("/api/sessions/{}", text(&session["id"])), json!({"status": "complete"})).await.ok(200);
    for (watcher, person) in &mut watchers {
        assert_eq!(watcher.status(person).await, offline());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_two_processes_at_once_is_told_gone() {
    let apis = apis_with_redis(2).await;
    let (ada, ben) = (apis[0].register("Ada").await, apis[0].register("Ben").await);
    let mut watcher = ada.watch(&ben).await;
    for round in 0..15 {
        let sockets = [ben.socket("/ws").await, ben.at(&apis[1]).socket("/ws").await];
        assert_eq!(watcher.status(&ben).await, online(), "in round {round}");
        at_once(sockets.map(|socket| async { drop(socket) }.boxed())).await;
        assert_eq!(watcher.status(&ben).await, offline(), "in round {round}");
        watcher.quiet().await;
    }
}

#[tokio::test]
async fn people_of_a_dead_process_go_offline_and_others_stay() {
    let api = api().await;
    let (ada, ben, cyd) = (api.register("Ada").await, api.register("Ben").await, api.register("Cyd").await);
    let mut watcher = ada.watch(&ben).await;
    let mut other_watcher = ada.watch(&cyd).await;
    // A process that tells of two people and is never heard of again; one of them is here too.
    let people = [id(&ben.id), id(&cyd.id)];
    SocketProcess::new(api.store.clone()).report(&people, &[], || people.to_vec()).await.unwrap();
    assert_eq!(watcher.status(&ben).await, online());
    assert_eq!(other_watcher.status(&cyd).await, online());
    age_socket_processes(&api.store, UNSEEN).await;
    // Reports, and so is seen again.
    let _socket = cyd.socket("/ws").await;
    assert!(!ada.sees_online(&ben).await, "even before anybody sweeps");
    maintenance::sweep_presence(&api.store).await.unwrap();
    assert_eq!(watcher.status(&ben).await, offline());
    assert!(ada.sees_online(&cyd).await);
    maintenance::sweep_presence(&api.store).await.unwrap();
    watcher.quiet().await;
}

#[tokio::test]
async fn a_process_that_was_given_up_for_dead_tells_of_its_people_anew() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let mut watcher = ada.watch(&ben).await;
    let _socket = ben.socket("/ws").await;
    assert_eq!(watcher.status(&ben).await, online());
    age_socket_processes(&api.store, UNSEEN).await;
    maintenance::sweep_presence(&api.store).await.unwrap();
    assert_eq!(watcher.status(&ben).await, offline());
    within(CATCH_UP + Duration::from_secs(1), async { assert_eq!(watcher.status(&ben).await, online()) }).await;
    assert!(ada.sees_online(&ben).await);
}

#[tokio::test]
async fn what_is_told_twice_is_as_if_told_once() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let mut watcher = ada.watch(&ben).await;
    let people = [id(&ben.id)];
    let process = SocketProcess::new(api.store.clone());
    for _ in 0..2 {
        process.report(&people, &[], || people.to_vec()).await.unwrap();
    }
    assert_eq!(watcher.status(&ben).await, online());
    watcher.quiet().await;
    for _ in 0..2 {
        process.report(&[], &people, Vec::new).await.unwrap();
    }
    assert_eq!(watcher.status(&ben).await, offline());
    watcher.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_reports_while_it_is_swept_keeps_its_people() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let people = [id(&ben.id)];
    let process = SocketProcess::new(api.store.clone());
    process.report(&people, &[], || people.to_vec()).await.unwrap();
    for round in 0..30 {
        age_socket_processes(&api.store, UNSEEN).await;
        let report = async { process.report(&[], &[], || people.to_vec()).await.unwrap() };
        let sweep = async { maintenance::sweep_presence(&api.store).await.unwrap() };
        at_once([report.boxed(), sweep.boxed()]).await;
        assert!(ada.sees_online(&ben).await, "in round {round}");
    }
}

#[tokio::test]
async fn sockets_that_come_and_go_in_haste_leave_the_truth_behind() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    for _ in 0..10 {
        drop(ben.socket("/ws").await);
    }
    let socket = ben.socket("/ws").await;
    assert!(ada.sees_online(&ben).await);
    drop(socket);
    eventually("ben to be gone", async || (!ada.sees_online(&ben).await).then_some(())).await;
}
