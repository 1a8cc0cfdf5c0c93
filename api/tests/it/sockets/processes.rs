//! Several api processes on one database.

use serde_json::json;

use super::{CATCH_UP, apis_with_redis, apis_without_redis, send_many, within};
use crate::{scene::text, support::Api};

/// Something durable on each kind of channel, told by one process to a listener of another.
async fn everything_reaches_the_other_process(apis: &[Api]) {
    let (ada, ben) = (apis[0].register("Ada").await, apis[0].register("Ben").await);
    let far = ben.at(&apis[1]);
    let conversation = ada.conversation_with(&ben).await;
    let channels =
        [format!("conversation:{conversation}"), format!("sessions:{}", ben.id), format!("notifications:{}", ben.id)];
    let mut sockets = Vec::new();
    for channel in &channels {
        let mut socket = far.socket("/ws").await;
        socket.subscribe(channel).await;
        sockets.push(socket);
    }
    let invite = ada.invite(&ben).await;
    let session = ben.answer(&invite, "accept").await.ok(200)["session"].clone();
    ben.patch(&format!("/api/sessions/{}", text(&session["id"])), json!({"status": "complete"})).await.ok(200);
    send_many(&ada, &conversation, 2).await;
    within(CATCH_UP, async {
        for (socket, (channel, count)) in sockets.iter_mut().zip(channels.iter().zip([3, 2, 5])) {
            socket.numbers(channel, 1..=count).await;
        }
    })
    .await;
    for socket in &mut sockets {
        socket.quiet().await;
    }
}

#[tokio::test]
async fn what_one_process_commits_listeners_of_another_hear() {
    everything_reaches_the_other_process(&apis_with_redis(2).await).await;
}

#[tokio::test]
async fn without_redis_they_hear_it_within_five_seconds() {
    everything_reaches_the_other_process(&apis_without_redis(2).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_write_to_one_channel_at_once_keep_its_order() {
    let apis = apis_with_redis(3).await;
    let (ada, ben) = (apis[0].register("Ada").await, apis[0].register("Ben").await);
    let conversation = ada.conversation_with(&ben).await;
    let channel = format!("conversation:{conversation}");
    let mut sockets = Vec::new();
    for api in &apis {
        let mut socket = ben.at(api).socket("/ws").await;
        socket.subscribe(&channel).await;
        sockets.push(socket);
    }
    let people: Vec<_> = apis.iter().map(|api| ada.at(api)).collect();
    let writers = people.iter().map(|person| send_many(person, &conversation, 30));
    let numbers: Vec<_> = futures_util::future::join_all(writers).await.concat();
    assert_eq!(numbers.iter().max(), Some(&90));
    within(CATCH_UP, async {
        for socket in &mut sockets {
            socket.numbers(&channel, 1..=90).await;
        }
    })
    .await;
    for socket in &mut sockets {
        socket.quiet().await;
    }
}
