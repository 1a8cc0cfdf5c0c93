//! Sockets: doors, channels, replay, presence, and several api processes with and without Redis.

mod abuse;
mod channels;
mod doors;
mod endings;
mod loss;
mod model;
mod outages;
mod presence;
mod processes;
mod replay;
mod slow;

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use humanchat_domain::{
    clock::Clock,
    testing::{TestDatabase, noon, redis_url},
};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message, client::IntoClientRequest, handshake::client::Request};

use crate::{
    scene::eventually,
    support::{Api, Person, Socket, api_on},
};

/// What the contract promises for everything that Redis could have told sooner.
const CATCH_UP: Duration = Duration::from_secs(5);

/// So many api processes on one database, with a Redis between them.
async fn apis_with_redis(count: usize) -> Vec<Api> {
    let redis = redis_url().expect("TEST_REDIS_URL is not set: run tests with bin/test");
    let apis = apis(count, &[("REDIS_URL", &redis)]).await;
    for api in &apis {
        eventually("Redis", async || api.store.bus().is_connected().then_some(())).await;
    }
    apis
}

/// So many api processes on one database, which don't hear each other.
async fn apis_without_redis(count: usize) -> Vec<Api> {
    apis(count, &[]).await
}

async fn apis(count: usize, settings: &[(&str, &str)]) -> Vec<Api> {
    let database = TestDatabase::create().await;
    let clock = Clock::manual(noon());
    let mut apis = Vec::new();
    for _ in 0..count {
        apis.push(api_on(&database, clock.clone(), settings).await);
    }
    apis
}

/// Sends so many messages, one after the other; returns the numbers they got.
async fn send_many(sender: &Person<'_>, conversation: &str, count: usize) -> Vec<i64> {
    let mut numbers = Vec::new();
    for index in 0..count {
        let sent = sender.say(conversation, &format!("message {index}")).await.ok(201);
        numbers.push(sent["messageId"].as_i64().unwrap());
    }
    numbers
}

fn opening(api: &Api, path: &str) -> Request {
    format!("ws://{}{path}", api.address).into_client_request().unwrap()
}

/// Opens a socket by a request with headers of its own.
async fn open(request: Request) -> Result<Socket, tungstenite::Error> {
    let (stream, _) = tokio_tungstenite::connect_async(request).await?;
    Ok(Socket { stream })
}

/// Why a socket was not opened: status and code of the answer.
async fn refusal(request: Request) -> (u16, String) {
    match open(request).await {
        Err(tungstenite::Error::Http(response)) => {
            let body: Value = serde_json::from_slice(response.body().as_deref().unwrap_or_default()).unwrap();
            (response.status().as_u16(), body["error"]["code"].as_str().unwrap().to_owned())
        }
        Ok(_) => panic!("the socket was opened"),
        Err(error) => panic!("no answer: {error}"),
    }
}

impl Socket {
    /// Says something that is refused; returns the error's code.
    async fn refused(&mut self, frame: Value) -> String {
        self.say(frame).await;
        let answer = self.next().await;
        assert_eq!(answer["type"], "error", "{answer}");
        assert!(answer["payload"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
        answer["payload"]["code"].as_str().unwrap().to_owned()
    }

    /// Listens to what came after a number; returns where the channel stands, and whether
    /// everything asked for will come.
    async fn replay(&mut self, channel: &str, after: i64) -> (i64, bool) {
        self.say(json!({"type": "subscribe", "channel": channel, "after": after})).await;
        let subscribed = self.next_of("subscribed").await;
        let payload = &subscribed["payload"];
        assert_eq!(payload["channel"], channel);
        (payload["seq"].as_i64().unwrap(), payload["recovered"].as_bool().unwrap())
    }

    /// The next frames, which must be these numbers of the channel, in order.
    async fn numbers(&mut self, channel: &str, numbers: impl IntoIterator<Item = i64>) {
        for number in numbers {
            let frame = self.next().await;
            assert_eq!((&frame["channel"], &frame["seq"]), (&json!(channel), &json!(number)), "{frame}");
        }
    }

    async fn send(&mut self, message: Message) {
        self.stream.send(message).await.expect("the message is sent");
    }

    /// Closes as a client does; returns the code of the server's answer.
    async fn hang_up(mut self) -> Option<u16> {
        self.stream.close(None).await.ok();
        while let Some(message) = self.stream.next().await {
            if let Ok(Message::Close(frame)) = message {
                return Some(frame.map_or(1005, |frame| frame.code.into()));
            }
        }
        None
    }
}

/// Runs `deed`; asserts that it took no longer than `limit`.
async fn within<T>(limit: Duration, deed: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let result = deed.await;
    assert!(began.elapsed() <= limit, "took {:?} of {limit:?}", began.elapsed());
    result
}
