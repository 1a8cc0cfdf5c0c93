//! Numbers, and what `after` brings back: everything, once, in order, then live.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use futures_util::future::{join, join_all};
use humanchat_domain::{
    clock::Clock,
    maintenance,
    testing::{TestDatabase, noon},
};
use serde_json::json;
use tokio::sync::Barrier;

use super::{apis_with_redis, apis_without_redis, send_many};
use crate::{
    scene::{eventually, text},
    support::{Api, Person, api, api_on},
};

#[tokio::test]
async fn each_channel_counts_from_one_without_gaps() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channels = [
        (format!("conversation:{conversation}"), vec!["message.created", "conversation.updated", "conversation.read"]),
        (format!("sessions:{}", ben.id), vec!["session.created", "session.updated"]),
        (
            format!("notifications:{}", ben.id),
            vec![
                "notification.created",
                "notification.created",
                "instant_invite",
                "notification.read",
                "instant_invite",
                "notification.read",
            ],
        ),
    ];
    let mut sockets = Vec::new();
    for (channel, _) in &channels {
        let mut socket = ben.socket("/ws").await;
        assert_eq!(socket.subscribe(channel).await["payload"]["seq"], 0);
        sockets.push(socket);
    }
    ada.say(&conversation, "hello").await.ok(201);
    let invite = ada.invite(&ben).await;
    let session = ben.answer(&invite, "accept").await.ok(200)["session"].clone();
    ben.post(&format!("/api/conversations/{conversation}/read"), json!({"messageId": 1})).await.ok(200);
    ben.patch(&format!("/api/sessions/{}", text(&session["id"])), json!({"status": "complete"})).await.ok(200);
    for (socket, (channel, types)) in sockets.iter_mut().zip(&channels) {
        for (kind, seq) in types.iter().zip(1..) {
            let frame = socket.next().await;
            assert_eq!(
                (&frame["type"], &frame["channel"], &frame["seq"]),
                (&json!(kind), &json!(channel), &json!(seq))
            );
            assert_eq!(frame["timestamp"], noon().timestamp_millis());
        }
        socket.quiet().await;
    }
}

#[tokio::test]
async fn after_brings_back_what_came_after() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    send_many(&ada, &conversation, 5).await;
    let mut socket = ben.socket("/ws").await;
    for (after, first) in [(0, 1), (3, 4), (5, 6)] {
        assert_eq!(socket.replay(&channel, after).await, (5, true));
        socket.numbers(&channel, first..=5).await;
        socket.quiet().await;
    }
    // Past the head: not this channel's history.
    for after in [6, i64::MAX] {
        assert_eq!(socket.replay(&channel, after).await, (5, false));
        socket.quiet().await;
    }
    send_many(&ada, &conversation, 1).await;
    socket.numbers(&channel, [6]).await;
    socket.quiet().await;
}

#[tokio::test]
async fn a_replayed_frame_is_the_live_one() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    let mut socket = ben.socket("/ws").await;
    socket.subscribe(&channel).await;
    ada.say(&conversation, "naïve 👩‍💻 \\ \"quoted\"\n\u{2028}").await.ok(201);
    let live = socket.next().await;
    socket.replay(&channel, 0).await;
    assert_eq!(socket.next().await, live);
}

#[tokio::test]
async fn a_long_replay_comes_whole() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    // More than a page of events, and more bytes than may wait for a socket.
    let words = "x".repeat(8000);
    for _ in 0..8 {
        join_all((0..20).map(|_| ada.say(&conversation, &words))).await;
    }
    let mut socket = ben.socket("/ws").await;
    assert_eq!(socket.replay(&channel, 0).await, (160, true));
    socket.numbers(&channel, 1..=160).await;
    socket.quiet().await;
}

#[tokio::test]
async fn what_is_older_than_kept_is_not_recovered() {
    let database = TestDatabase::create().await;
    let api = api_on(&database, Clock::manual(noon()), &[]).await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    let mut socket = ben.socket("/ws").await;
    send_many(&ada, &conversation, 3).await;
    assert_eq!(socket.replay(&channel, 0).await, (3, true));
    socket.numbers(&channel, 1..=3).await;
    // A process whose clock is eight days ahead does the housekeeping.
    let late = database.store(Clock::manual(noon() + TimeDelta::days(8)));
    maintenance::rotate_events(&late).await.unwrap();
    maintenance::prune_stray_events(&late, 100).await.unwrap();
    for (after, recovered) in [(0, false), (2, false), (3, true)] {
        assert_eq!(socket.replay(&channel, after).await, (3, recovered), "after {after}");
        socket.quiet().await;
    }
    send_many(&ada, &conversation, 2).await;
    socket.numbers(&channel, 4..=5).await;
    for (after, recovered) in [(2, false), (3, true), (4, true)] {
        assert_eq!(socket.replay(&channel, after).await, (5, recovered), "after {after}");
        if recovered {
            socket.numbers(&channel, after + 1..=5).await;
        }
        socket.quiet().await;
    }
}

/// Two people write without a pause while sockets come and ask for the past.
async fn join_while_others_write(apis: &[Api]) {
    const MESSAGES: usize = 60;
    const JOINERS: usize = 16;
    let (ada, ben) = (apis[0].register("Ada").await, apis[0].register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    let newest = Arc::new(AtomicI64::new(0));
    let total = i64::try_from(2 * MESSAGES).unwrap();
    let start = Barrier::new(2 + JOINERS);
    let write = async |person: Person<'_>| {
        start.wait().await;
        for _ in 0..MESSAGES {
            let sent = person.say(&conversation, "more").await.ok(201);
            newest.fetch_max(sent["messageId"].as_i64().unwrap(), Ordering::SeqCst);
        }
    };
    let join_in = async |index: usize| {
        let person = ben.at(&apis[index % apis.len()]);
        let mut socket = person.socket("/ws").await;
        start.wait().await;
        for round in 1.. {
            // Spread over the time the others write.
            let wanted = total * i64::try_from(index + JOINERS * round).unwrap() / i64::try_from(4 * JOINERS).unwrap();
            let until = wanted.min(total);
            eventually("the writers", async || (newest.load(Ordering::SeqCst) >= until).then_some(())).await;
            let head = newest.load(Ordering::SeqCst);
            let after = head * i64::try_from(index).unwrap() / i64::try_from(JOINERS).unwrap();
            let (seq, recovered) = socket.replay(&channel, after).await;
            assert!(recovered && seq >= head, "after {after}: {seq} of {head}");
            if until == total {
                socket.numbers(&channel, after + 1..=total).await;
                socket.quiet().await;
                return;
            }
            // Some beyond the head: heard live, or read on the way there.
            socket.numbers(&channel, after + 1..=(seq + 3).min(total)).await;
        }
    };
    let writers = join(write(ada.clone()), write(ben.at(&apis[apis.len() - 1])));
    join(writers, join_all((0..JOINERS).map(join_in))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_while_others_write_misses_and_repeats_nothing_in_one_process() {
    join_while_others_write(&apis_without_redis(1).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_while_others_write_misses_and_repeats_nothing_across_processes() {
    join_while_others_write(&apis_with_redis(2).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_while_others_write_misses_and_repeats_nothing_without_redis() {
    join_while_others_write(&apis_without_redis(2).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_message_after_subscribed_comes_at_once() {
    let apis = apis_with_redis(2).await;
    let (ada, ben) = (apis[0].register("Ada").await, apis[0].register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    let mut socket = ben.at(&apis[1]).socket("/ws").await;
    for round in 1..=20 {
        socket.subscribe(&channel).await;
        ada.say(&conversation, "first").await.ok(201);
        // Well before the hub's own check of its topics.
        tokio::time::timeout(Duration::from_secs(1), socket.numbers(&channel, [round]))
            .await
            .expect("told by the bell");
        socket.say(json!({"type": "unsubscribe", "channel": channel})).await;
        assert_eq!(socket.next().await["type"], "unsubscribed");
    }
}
