//! Everybody comes back at once, to a process that knows nobody yet.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use humanchat_domain::testing::{SignedIn, connections, sign_in_many};
use serde_json::json;
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;

use super::stage::{Program, Stage, in_time};
use crate::{
    scene::percentile,
    support::{Api, PATIENCE, Person, Socket},
};

const POOL: usize = 16;

/// How many come; `STORM_SOCKETS` says otherwise, for a measurement by hand.
fn sockets() -> usize {
    let told = std::env::var_os("STORM_SOCKETS").and_then(|count| count.to_str()?.parse().ok());
    told.unwrap_or(1000)
}

/// Opens a socket as a good client does: told to come later, it comes later.
async fn come(api: &Api, person: &SignedIn, told_off: &AtomicUsize) -> Socket {
    loop {
        match Socket::open(&format!("ws://{}/ws?token={}", api.address, person.token)).await {
            Ok(mut socket) => {
                assert_eq!(socket.next().await["type"], "ready");
                for channel in ["notifications", "sessions"] {
                    let channel = format!("{channel}:{}", person.user_id);
                    socket.say(json!({"type": "subscribe", "channel": channel, "after": 0})).await;
                    assert_eq!(socket.next_of("subscribed").await["payload"]["recovered"], true);
                }
                return socket;
            }
            Err(tungstenite::Error::Http(refusal)) => {
                assert_eq!(refusal.status(), 503, "{refusal:?}");
                let wait = refusal.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                told_off.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(wait)).await;
            }
            // More than the system keeps waiting for a process to take them.
            Err(tungstenite::Error::Io(_)) => tokio::time::sleep(Duration::from_millis(500)).await,
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

/// Asks again and again; returns how long each answer took.
async fn ask_on(person: &Person<'_>, stop: &CancellationToken) -> Vec<Duration> {
    let mut times = Vec::new();
    while !stop.is_cancelled() {
        let began = Instant::now();
        person.get("/api/conversations").await.ok(200);
        times.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    times
}

/// The most connections that the process had to its database at once.
async fn watch_connections(stage: &Stage, stop: &CancellationToken) -> usize {
    let mut most = 0;
    while !stop.is_cancelled() {
        let own = stage.store.connections();
        most = most.max(connections(&stage.store).await.saturating_sub(own.idle + own.used));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_sockets_is_taken_in_and_requests_go_on() {
    let stage = Stage::new().await;
    let (program, api) = stage.api(&[("DATABASE_POOL", &POOL.to_string())]).await;
    api.has_redis().await;
    let mut people = sign_in_many(&stage.store, sockets() + 1).await;
    let asker = Person::signed_in(&api, &people.pop().unwrap());
    let idle = program.memory();
    let stop = CancellationToken::new();
    let (told_off, began) = (AtomicUsize::new(0), Instant::now());
    let storm = async {
        let opened = join_all(people.iter().map(|person| come(&api, person, &told_off))).await;
        stop.cancel();
        (opened, began.elapsed())
    };
    let ((mut opened, took), times, most) = in_time(PATIENCE * 4, "the storm", async {
        tokio::join!(storm, ask_on(&asker, &stop), watch_connections(&stage, &stop))
    })
    .await;
    println!(
        "{} sockets with two channels each in {took:?}; memory went from {} to {} MiB",
        opened.len(),
        idle >> 20,
        program.memory() >> 20
    );
    println!(
        "{} were told to come later; {most} connections to the database at most; of {} answers meanwhile the \
         median took {:?}, p99 {:?}",
        told_off.into_inner(),
        times.len(),
        percentile(&times, 50),
        percentile(&times, 99)
    );
    assert!(most <= POOL + 1, "{most} connections");
    assert!(percentile(&times, 90) < Duration::from_secs(2), "requests starve: {times:?}");
    tell_all(&program, &asker, &mut opened).await;
}

/// Tells everybody something at once.
async fn tell_all(program: &Program, asker: &Person<'_>, sockets: &mut [Socket]) {
    let channel = format!("status:{}", asker.id);
    join_all(sockets.iter_mut().map(async |socket| {
        socket.subscribe(&channel).await;
        assert_eq!(socket.next().await["payload"]["presence_state"], "active");
    }))
    .await;
    let (began, worked) = (Instant::now(), program.processor_time());
    asker.put("/api/users/me/presence", json!({"state": "idle"})).await.ok(200);
    let heard = join_all(sockets.iter_mut().map(async |socket| {
        assert_eq!(socket.next().await["payload"]["presence_state"], "idle");
        began.elapsed()
    }))
    .await;
    println!(
        "all were told something within {:?}, for which the process worked {:?}",
        heard.iter().max().unwrap(),
        program.processor_time().saturating_sub(worked)
    );
}
