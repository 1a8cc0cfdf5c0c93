//! A client that doesn't read.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt,
    future::{join, join_all},
};
use serde_json::json;
use tokio::{net::TcpSocket, task::block_in_place};
use tokio_tungstenite::{MaybeTlsStream, client_async};
use tokio_util::sync::CancellationToken;

use super::{apis, opening};
use crate::{
    redis::PrivateRedis,
    scene::{eventually, percentile},
    support::{Person, Socket, api},
};

/// A socket whose client's system takes little that the client doesn't read.
async fn narrow_socket(person: &Person<'_>) -> Socket {
    let tcp = TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(4096).unwrap();
    let address: SocketAddr = person.api.address;
    let stream = MaybeTlsStream::Plain(tcp.connect(address).await.unwrap());
    let request = opening(person.api, &format!("/ws?token={}", person.token));
    let (stream, _) = client_async(request, stream).await.unwrap();
    let mut socket = Socket { stream };
    assert_eq!(socket.next().await["type"], "ready");
    socket
}

/// Talks on; returns how long each message took to be heard.
async fn listen_on(
    writer: &Person<'_>,
    conversation: &str,
    hearing: &mut Socket,
    stop: &CancellationToken,
    most: usize,
) -> Vec<Duration> {
    let mut times = Vec::new();
    while !stop.is_cancelled() && times.len() < most {
        let began = Instant::now();
        writer.say(conversation, "and on").await.ok(201);
        hearing.next().await;
        times.push(began.elapsed());
    }
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_closed_with_4008_and_holds_nobody_up() {
    const MOST: usize = 600;
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    let mut reading = ada.socket("/ws").await;
    let mut slow = narrow_socket(&ben).await;
    reading.subscribe(&channel).await;
    slow.subscribe(&channel).await;
    let (cyd, dan) = (api.register("Cyd").await, api.register("Dan").await);
    let talk = cyd.conversation_with(&dan).await;
    let mut hearing = dan.socket("/ws").await;
    hearing.subscribe(&format!("conversation:{talk}")).await;
    let before = listen_on(&cyd, &talk, &mut hearing, &CancellationToken::new(), 50).await;
    // Some 32 KiB each.
    let words = "👩".repeat(8000);
    let mut sent = 0;
    let is_online = async || ada.get(&format!("/api/users/{}", ben.id)).await.ok(200)["user"]["is_online"] == true;
    let stop = CancellationToken::new();
    let flood = async {
        while is_online().await {
            assert!(sent < MOST, "{MOST} messages waited for a client that doesn't read");
            join_all((0..8).map(|_| ada.say(&conversation, &words).boxed())).await;
            sent += 8;
            reading.numbers(&channel, i64::try_from(sent - 7).unwrap()..=i64::try_from(sent).unwrap()).await;
        }
        stop.cancel();
    };
    let ((), during) = join(flood, listen_on(&cyd, &talk, &mut hearing, &stop, 10_000)).await;
    let p99 = |times: &[Duration]| percentile(times, 99);
    println!("a message of others was heard within {:?} before and {:?} meanwhile (p99)", p99(&before), p99(&during));
    assert!(p99(&during) < Duration::from_secs(1), "others are held up");
    println!("a client that does not read was closed after {} KiB", sent * 32);
    assert!(sent * 32 > 1024, "closed before 1 MiB waited");
    assert_eq!(slow.closed().await, Some(4008));
    ada.say(&conversation, "goodbye").await.ok(201);
    reading.numbers(&channel, [i64::try_from(sent + 1).unwrap()]).await;
    reading.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_waits_for_a_client_that_reads_slowly() {
    let api = api().await;
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    let words = "👩".repeat(8000);
    for _ in 0..8 {
        join_all((0..16).map(|_| ada.say(&conversation, &words).boxed())).await;
    }
    let mut slow = narrow_socket(&ben).await;
    // 4 MiB, while live frames come too.
    assert_eq!(slow.replay(&channel, 0).await, (128, true));
    for _ in 0..4 {
        ada.say(&conversation, "live").await.ok(201);
    }
    slow.numbers(&channel, 1..=132).await;
    slow.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_in_the_middle_of_a_replay_leaves_nothing_behind() {
    let redis = block_in_place(PrivateRedis::start);
    let api = apis(1, &[("REDIS_URL", &redis.server.url())]).await.remove(0);
    let (ada, ben) = (api.register("Ada").await, api.register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    let words = "👩".repeat(8000);
    for _ in 0..8 {
        join_all((0..16).map(|_| ada.say(&conversation, &words).boxed())).await;
    }
    let mut slow = narrow_socket(&ben).await;
    slow.say(json!({"type": "subscribe", "channel": channel, "after": 0})).await;
    assert_eq!(slow.next().await["type"], "subscribed");
    assert_eq!(redis.channels().len(), 2, "one of them for tabs");
    drop(slow);
    eventually("ben to be gone", async || {
        let ben = ada.get(&format!("/api/users/{}", ben.id)).await.ok(200);
        (ben["user"]["is_online"] == false).then_some(())
    })
    .await;
    eventually("the channel to be left", async || (redis.channels() == ["hc:tabs"]).then_some(())).await;
    let mut reading = ada.socket("/ws").await;
    assert_eq!(reading.replay(&channel, 127).await, (128, true));
    reading.numbers(&channel, [128]).await;
    reading.quiet().await;
}
