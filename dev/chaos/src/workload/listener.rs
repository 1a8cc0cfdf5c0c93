//! Sockets: everybody listens to what is theirs, comes back where the line breaks, and asks for what
//! was said meanwhile.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use rand::{RngExt as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};
use tokio_util::sync::CancellationToken;

use super::{person::Person, talks::list};
use crate::history::{History, Subscription, digest};

/// How long anything at a socket's opening may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many conversations somebody listens to.
const TALKS: usize = 5;

/// How far somebody has heard each channel.
type Heard = BTreeMap<String, i64>;

/// A listener that runs beside its person.
#[derive(Debug)]
pub(crate) struct Ear {
    task: JoinHandle<()>,
    closed: CancellationToken,
}

impl Ear {
    /// Begins to listen.
    pub(crate) fn open(person: Arc<Person>, rng: StdRng) -> Self {
        let closed = CancellationToken::new();
        let task = tokio::spawn(listen(person, rng, closed.clone()));
        Self { task, closed }
    }

    /// Stops listening.
    pub(crate) async fn close(self) {
        self.closed.cancel();
        // What was heard is noted by the task itself.
        let _ = self.task.await;
    }
}

async fn listen(person: Arc<Person>, mut rng: StdRng, closed: CancellationToken) {
    let mut heard = Heard::new();
    while !closed.is_cancelled() {
        let span = Duration::from_secs_f64(rng.random_range(3.0..60.0));
        if let Ok(mut line) = Line::open(&person, &mut rng).await {
            let channels = channels(&person, &mut rng).await;
            tokio::select! {
                _ = line.follow(&channels, &heard, &person.world.history, &mut rng) => {}
                () = sleep(span) => {}
                () = closed.cancelled() => {}
            }
            line.hang_up(&person, &mut heard).await;
        } else if rng.random_bool(0.3) {
            person.get(&mut rng, "/api/auth/me").await;
        }
        tokio::select! {
            () = sleep(Duration::from_millis(rng.random_range(100..4000))) => {}
            () = closed.cancelled() => {}
        }
    }
}

/// The channels somebody cares for: their own, and their latest conversations.
async fn channels(person: &Person, rng: &mut StdRng) -> Vec<String> {
    let mut channels = vec![format!("notifications:{}", person.name), format!("sessions:{}", person.name)];
    if let Some(talks) = person.get(rng, &format!("/api/conversations?limit={TALKS}")).await {
        let ids = list(&talks, "conversations").filter_map(|talk| talk["id"].as_str());
        channels.extend(ids.map(|id| format!("conversation:{id}")));
    }
    channels
}

/// One socket, and the subscriptions on it.
struct Line {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    subscriptions: BTreeMap<String, Subscription>,
}

impl Line {
    async fn open(person: &Person, rng: &mut StdRng) -> Result<Self> {
        let url = format!("ws://{}/ws?token={}", person.world.api(rng), person.token());
        let (socket, _) = timeout(PATIENCE, connect_async(url)).await??;
        Ok(Self { socket, subscriptions: BTreeMap::new() })
    }

    /// Asks for a channel from behind `after`, or from now on.
    async fn subscribe(&mut self, channel: &str, after: Option<i64>) -> Result<()> {
        let mut frame = json!({"type": "subscribe", "channel": channel});
        if let Some(after) = after {
            frame["after"] = json!(after);
        }
        let subscription = Subscription { channel: channel.to_owned(), after, ..Subscription::default() };
        self.subscriptions.insert(channel.to_owned(), subscription);
        Ok(self.socket.send(Message::text(frame.to_string())).await?)
    }

    /// Subscribes, mostly to what is new to the listener, and hears what comes until the line breaks.
    async fn follow(&mut self, channels: &[String], heard: &Heard, history: &History, rng: &mut StdRng) -> Result<()> {
        for channel in channels {
            let after = match rng.random_range(0..10) {
                0 => None,
                1 => Some(0),
                _ => Some(heard.get(channel).copied().unwrap_or(0)),
            };
            self.subscribe(channel, after).await?;
        }
        loop {
            self.hear(history).await?;
        }
    }

    /// Takes in the next frame; notes if there is to be none any more.
    async fn hear(&mut self, history: &History) -> Result<()> {
        let text = match self.socket.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(frame))) => {
                history.parted(frame.map(|frame| frame.code.into()));
                bail!("the other side has ended it");
            }
            Some(Ok(_)) => return Ok(()),
            Some(Err(_)) | None => {
                history.parted(None);
                bail!("the line is cut");
            }
        };
        let frame: Value = serde_json::from_str(&text)?;
        let channel = frame["channel"].as_str().or(frame["payload"]["channel"].as_str()).unwrap_or_default();
        let Some(subscription) = self.subscriptions.get_mut(channel) else { return Ok(()) };
        let kind = frame["type"].as_str().unwrap_or_default();
        let payload = &frame["payload"];
        match (kind, frame["seq"].as_i64()) {
            ("subscribed", _) => {
                subscription.said = payload["seq"].as_i64().zip(payload["recovered"].as_bool());
            }
            ("error", _) => bail!("refused: {frame}"),
            (_, Some(seq)) => subscription.heard.push((seq, digest(kind, payload))),
            _ => {}
        }
        Ok(())
    }

    /// Notes what was heard.
    async fn hang_up(mut self, person: &Person, heard: &mut Heard) {
        // Whoever is there notices; a line that is broken already is hung up too.
        let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
        for (channel, subscription) in self.subscriptions {
            if let Some((seq, _)) = subscription.heard.last() {
                let so_far = heard.entry(channel).or_default();
                *so_far = (*so_far).max(*seq);
            }
            person.world.history.listened(subscription);
        }
    }
}

/// Hears all that was ever said on the channels, once everything is well: `newest` tells how far each
/// goes.
pub(crate) async fn hear_everything(person: &Person, rng: &mut StdRng, newest: &Heard) -> Result<()> {
    // Reading anything signs in again whose token has run out meanwhile.
    person.get(rng, "/api/auth/me").await.context("who may read can't")?;
    let mut line = Line::open(person, rng).await?;
    for channel in newest.keys() {
        line.subscribe(channel, Some(0)).await?;
    }
    let deadline = Instant::now() + PATIENCE;
    let complete = |line: &Line| {
        newest.iter().all(|(channel, seq)| {
            let heard = line.subscriptions.get(channel).and_then(|subscription| subscription.heard.last());
            *seq == 0 || heard.is_some_and(|(last, _)| last >= seq)
        })
    };
    while !complete(&line) {
        ensure!(Instant::now() < deadline, "{} did not hear everything in {PATIENCE:?}", person.name);
        if let Ok(heard) = timeout(PATIENCE, line.hear(&person.world.history)).await {
            heard?;
        }
    }
    line.hang_up(person, &mut Heard::new()).await;
    Ok(())
}
