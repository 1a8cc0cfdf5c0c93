//! A Redis that goes away, comes back, forgets, or hangs up.

use std::time::{Duration, Instant};

use futures_util::future::join;
use serde_json::json;
use tokio::task::block_in_place;

use super::{CATCH_UP, apis, within};
use crate::{
    redis::PrivateRedis,
    scene::eventually,
    support::{Api, Person, Socket},
};

struct Pair<'a> {
    ada: Person<'a>,
    far: Person<'a>,
    conversation: String,
    channel: String,
}

async fn pair(apis: &[Api]) -> Pair<'_> {
    let (ada, ben) = (apis[0].register("Ada").await, apis[0].register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    Pair { ada, far: ben.at(&apis[1]), conversation, channel }
}

impl Pair<'_> {
    async fn listen(&self) -> Socket {
        let mut socket = self.far.socket("/ws").await;
        socket.subscribe(&self.channel).await;
        socket
    }

    /// Waits until what isn't stored gets through again, which only Redis can do.
    async fn hears_typing(&self, socket: &mut Socket) {
        let mut writer = self.ada.socket("/ws").await;
        let typing = json!({"type": "typing", "payload": {"conversationId": self.conversation}});
        eventually("typing to get through", async || {
            writer.say(typing.clone()).await;
            socket.say(json!({"type": "ping"})).await;
            let mut heard = None;
            loop {
                match socket.next().await["type"].as_str().unwrap() {
                    "pong" => return heard,
                    "typing" => heard = Some(()),
                    other => panic!("unexpected {other}"),
                }
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn whatever_happens_to_redis_nothing_is_lost_or_doubled() {
    let mut redis = block_in_place(PrivateRedis::start);
    let apis = apis(2, &[("REDIS_URL", &redis.server.url())]).await;
    let pair = pair(&apis).await;
    let early = pair.listen().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let writer = async {
        let mut sent = 0;
        while !stop.is_cancelled() {
            let began = Instant::now();
            pair.ada.say(&pair.conversation, "more").await.ok(201);
            assert!(began.elapsed() < Duration::from_secs(1), "a message took {:?}", began.elapsed());
            sent += 1;
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        sent
    };
    let troubles = async {
        let mut late = Vec::new();
        for trouble in 0..4 {
            match trouble {
                0 => drop(redis.tell("FLUSHALL")),
                1 => drop(redis.tell("CLIENT KILL TYPE pubsub")),
                2 => drop(redis.tell("CLIENT KILL TYPE normal")),
                _ => block_in_place(|| redis.server.stop()).unwrap(),
            }
            // Comes in the middle of it, and asks for everything.
            let mut socket = pair.far.socket("/ws").await;
            assert!(socket.replay(&pair.channel, 0).await.1);
            late.push(socket);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        block_in_place(|| redis.server.restart()).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.cancel();
        late
    };
    let (sent, late) = join(writer, troubles).await;
    let mut sockets: Vec<_> = late.into_iter().chain([early]).collect();
    for socket in &mut sockets {
        within(CATCH_UP, socket.numbers(&pair.channel, 1..=sent)).await;
        socket.quiet().await;
    }
    for socket in &mut sockets {
        pair.hears_typing(socket).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_listeners_hear_within_five_seconds() {
    let mut redis = block_in_place(PrivateRedis::start);
    let apis = apis(2, &[("REDIS_URL", &redis.server.url())]).await;
    let pair = pair(&apis).await;
    let mut early = pair.listen().await;
    block_in_place(|| redis.server.kill()).unwrap();
    let mut late = pair.listen().await;
    for number in 1..=2 {
        pair.ada.say(&pair.conversation, "hello?").await.ok(201);
        let began = Instant::now();
        within(CATCH_UP, join(early.numbers(&pair.channel, [number]), late.numbers(&pair.channel, [number]))).await;
        println!("without its Redis, an event of another process came after {:?}", began.elapsed());
    }
    let ready = apis[1].anonymous(reqwest::Method::GET, "/health/ready", None).await.ok(200);
    assert_eq!((&ready["status"], &ready["redis"]), (&json!("degraded"), &json!("down")));
    block_in_place(|| redis.server.restart()).unwrap();
    pair.hears_typing(&mut early).await;
    pair.hears_typing(&mut late).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_comes_later_is_found() {
    let mut redis = block_in_place(PrivateRedis::start);
    block_in_place(|| redis.server.stop()).unwrap();
    let apis = apis(2, &[("REDIS_URL", &redis.server.url())]).await;
    let pair = pair(&apis).await;
    let mut socket = pair.listen().await;
    pair.ada.say(&pair.conversation, "hello?").await.ok(201);
    within(CATCH_UP, socket.numbers(&pair.channel, [1])).await;
    block_in_place(|| redis.server.restart()).unwrap();
    pair.hears_typing(&mut socket).await;
    let began = Instant::now();
    pair.ada.say(&pair.conversation, "hello!").await.ok(201);
    assert_eq!(socket.next_of("message.created").await["seq"], 2);
    println!("through Redis, an event of another process came after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_people_stand_is_heard_whatever_happens_to_redis() {
    let mut redis = block_in_place(PrivateRedis::start);
    let apis = apis(2, &[("REDIS_URL", &redis.server.url())]).await;
    let (ada, ben) = (apis[0].register("Ada").await, apis[1].register("Ben").await);
    let state = async |name: &str| {
        ben.put("/api/users/me/presence", json!({"state": name})).await.ok(200);
    };
    let channel = format!("status:{}", ben.id);
    let mut early = ada.socket("/ws").await;
    early.subscribe(&channel).await;
    assert_eq!(early.next().await["payload"]["presence_state"], "active");
    block_in_place(|| redis.server.stop()).unwrap();
    state("idle").await;
    assert_eq!(within(CATCH_UP, early.next()).await["payload"]["presence_state"], "idle");
    let mut late = ada.socket("/ws").await;
    let began = Instant::now();
    late.subscribe(&channel).await;
    assert!(began.elapsed() < Duration::from_millis(250), "waited {:?} for a Redis that is away", began.elapsed());
    assert_eq!(late.next().await["payload"]["presence_state"], "idle");
    block_in_place(|| redis.server.restart()).unwrap();
    state("offline").await;
    for socket in [&mut early, &mut late] {
        assert_eq!(within(CATCH_UP, socket.next()).await["payload"]["presence_state"], "offline");
        socket.quiet().await;
    }
}
