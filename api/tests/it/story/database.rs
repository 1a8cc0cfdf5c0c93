//! A Postgres that goes away and comes back.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use humanchat_domain::{Store, clock::Clock, config::Settings, testing::redis_url};
use humanchat_local::{
    database,
    postgres::{Postgres, PostgresOptions},
    scratch::Scratch,
};
use reqwest::Method;
use serde_json::json;
use tokio::task::block_in_place;

use super::{
    SHORT, ends_at, expires_once,
    stage::{SECRET, Stage, in_time},
};
use crate::scene::eventually;

/// How soon everything works again.
const RECOVERY: Duration = Duration::from_secs(10);

/// A Postgres that a test may stop.
pub(super) struct PrivatePostgres {
    pub(super) server: Postgres,
    _scratch: Scratch,
}

impl PrivatePostgres {
    pub(super) fn start() -> Self {
        let scratch = Scratch::create().unwrap();
        let options = PostgresOptions { data_dir: scratch.postgres(), durable: true, install: false };
        Self { server: Postgres::start(options).unwrap(), _scratch: scratch }
    }
}

async fn stage_on(postgres: &PrivatePostgres) -> Stage {
    database::create(&postgres.server.url("postgres"), "story", None).await.unwrap();
    let url = postgres.server.url("story");
    let redis = redis_url().expect("TEST_REDIS_URL is not set: run tests with bin/test");
    let settings = [("DATABASE_URL", url.as_str()), ("REDIS_URL", &redis), ("JWT_SECRET", SECRET), SHORT];
    let all = HashMap::from(settings);
    let own = Settings::from_lookup(&|name| all.get(name).map(|value| (*value).to_owned())).unwrap();
    let stage = Stage::on(&url, Store::open(own, Clock::System).unwrap(), &settings[1..]);
    let (status, log) = stage.run(&["migrate"], &[]).await;
    assert!(status.success(), "{log}");
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgres_restarts_the_api_says_so_and_then_nothing_is_missing() {
    let mut postgres = block_in_place(PrivatePostgres::start);
    let stage = stage_on(&postgres).await;
    let ((mut one, here), (mut two, there)) = tokio::join!(stage.api(&[]), stage.api(&[]));
    let mut worker = stage.worker(&[]).await;
    tokio::join!(here.has_redis(), there.has_redis());
    let (ada, ben) = (here.register("Ada").await, there.register("Ben").await);
    let (mut ada_hears, mut ben_hears) = (ada.listen().await, ben.listen().await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    let mut reader = ben.socket("/ws").await;
    reader.subscribe(&channel).await;
    ada.say(&conversation, "one").await.ok(201);
    assert_eq!(reader.next().await["seq"], 1);
    let invite = ada.invite(&ben).await;
    for socket in [&mut ada_hears, &mut ben_hears] {
        socket.invite_event("pending", &invite).await;
    }

    block_in_place(|| postgres.server.stop_immediate()).unwrap();
    let away = ada.say(&conversation, "lost?").await;
    away.refused(503, "service_unavailable");
    assert!(away.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);
    // What was true a second ago is told for so long.
    eventually("the end of readiness", async || {
        let ready = here.anonymous(Method::GET, "/health/ready", None).await;
        (ready.status == 503).then(|| assert_eq!(ready.json()["postgres"], "down"))
    })
    .await;
    here.anonymous(Method::GET, "/health/live", None).await.ok(200);
    reader.quiet().await;

    block_in_place(|| postgres.server.restart()).unwrap();
    let back = Instant::now();
    in_time(RECOVERY, "the recovery", async {
        eventually("a message to be taken", async || (ada.say(&conversation, "two").await.status == 201).then_some(()))
            .await;
        assert_eq!(reader.next().await["seq"], 2);
        expires_once(&invite, [(&ada, &mut ada_hears), (&ben, &mut ben_hears)]).await;
    })
    .await;
    println!("{:?} after Postgres was back, everything was told", back.elapsed());
    assert!(here.store.clock().now() >= ends_at(&invite));
    reader.quiet().await;
    let mut late = ben.socket("/ws").await;
    late.say(json!({"type": "subscribe", "channel": channel, "after": 0})).await;
    for number in ["subscribed", "message.created", "message.created"] {
        assert_eq!(late.next().await["type"], number);
    }
    for program in [&mut one, &mut two, &mut worker] {
        assert_eq!(program.status(), None, "{}", program.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn migrating_twice_at_once_or_again_is_harmless() {
    let postgres = block_in_place(PrivatePostgres::start);
    let stage = stage_on(&postgres).await;
    database::create(&postgres.server.url("postgres"), "herd", None).await.unwrap();
    let url = postgres.server.url("herd");
    let other = [("DATABASE_URL", url.as_str())];
    let herd = futures_util::future::join_all((0..4).map(|_| stage.run(&["migrate"], &other))).await;
    for (status, log) in herd.into_iter().chain([stage.run(&["migrate"], &other).await]) {
        assert!(status.success(), "{log}");
    }
    let (_one, api) = stage.api(&other).await;
    api.register("Ada").await;
}
