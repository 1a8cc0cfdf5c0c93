//! The bell between processes: what was committed is shouted over Redis pub/sub, or inside the
//! process where there is no Redis.
//!
//! It may lose anything. Durable frames carry their number, so that a listener notices and reads
//! what it missed from Postgres.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use fred::{
    clients::{Client, SubscriberClient},
    interfaces::{ClientLike, EventInterface, PubsubInterface},
    types::{
        Builder, CustomCommand,
        config::{Config, ReconnectPolicy},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

use crate::{error::Result, event::Channel, id::UserId};

/// How long a bell or a subscription may wait for a Redis that is away.
const COMMAND_TIMEOUT: Duration = Duration::from_millis(250);
/// A bell that waited longer isn't rung any more: after an outage, listeners would be told for
/// minutes who had been typing or online long ago.
const STALE: Duration = Duration::from_secs(1);
const RESUBSCRIBE_EVERY: Duration = Duration::from_millis(100);
const RECONNECT_EVERY_MS: u32 = 250;
/// Where processes tell each other of tabs.
const TABS: &str = "hc:tabs";
/// Bells that may wait in a process; more are dropped, and made up for from Postgres.
const BACKLOG: usize = 16_384;

/// One event as sockets send it, serialised once.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Where it belongs.
    pub channel: Channel,
    /// Its number in the channel; `None` for a passing event.
    pub seq: Option<i64>,
    /// `{"type", "payload", "channel", "seq"?, "timestamp"}`, valid UTF-8.
    pub json: Bytes,
}

/// A browser tab has a new socket: what it had before, in whichever process, is to be closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabOpened {
    /// Whose tab.
    pub user_id: UserId,
    /// Which of theirs.
    pub tab: String,
    /// The new socket, a UUIDv7: of two that come at once, the later one stays.
    pub socket: Uuid,
}

/// What travels between processes.
#[derive(Debug)]
enum Bell {
    Frame(Frame),
    Tab(TabOpened),
}

impl Bell {
    fn redis_channel(&self) -> String {
        match self {
            Self::Frame(frame) => redis_channel(frame.channel),
            Self::Tab(_) => TABS.to_owned(),
        }
    }

    fn encode(&self) -> Result<Bytes> {
        match self {
            Self::Frame(frame) => Ok(frame.encode()),
            Self::Tab(tab) => Ok(serde_json::to_vec(tab)?.into()),
        }
    }
}

#[derive(Serialize)]
struct Wire<'a> {
    r#type: &'a str,
    payload: &'a Value,
    channel: Channel,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<i64>,
    timestamp: i64,
}

impl Frame {
    /// Puts an event into its frame.
    ///
    /// # Errors
    /// When the payload can't be written as JSON.
    pub fn new(channel: Channel, seq: Option<i64>, kind: &str, payload: &Value, at: DateTime<Utc>) -> Result<Self> {
        let wire = Wire { r#type: kind, payload, channel, seq, timestamp: at.timestamp_millis() };
        Ok(Self { channel, seq, json: serde_json::to_vec(&wire)?.into() })
    }

    /// What travels over Redis: the number, a line break, the frame.
    fn encode(&self) -> Bytes {
        let mut bytes = self.seq.unwrap_or(0).to_string().into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.json);
        bytes.into()
    }

    fn decode(channel: Channel, bytes: &Bytes) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let seq: i64 = std::str::from_utf8(&bytes[..end]).ok()?.parse().ok()?;
        let json = bytes.slice(end + 1..);
        std::str::from_utf8(&json).ok()?;
        Some(Self { channel, seq: (seq > 0).then_some(seq), json })
    }
}

/// What a listener hears.
#[derive(Debug, Clone)]
pub enum Signal {
    /// A frame on some channel.
    Frame(Frame),
    /// A tab got a new socket, perhaps in this process.
    TabOpened(TabOpened),
    /// These channels are heard from now on; what was said on them until now may have been missed.
    Heard(Vec<Channel>),
    /// Something may have been missed on any channel.
    Gap,
}

/// The sending side, shared by everything in the process.
#[derive(Debug, Clone)]
pub struct Bus {
    outbox: mpsc::Sender<(Instant, Bell)>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Local(broadcast::Sender<Frame>),
    Redis { publisher: Client, builder: Box<Builder> },
}

impl Bus {
    /// A bus inside this process.
    pub fn local() -> Self {
        let (outbox, mut waiting) = mpsc::channel::<(Instant, Bell)>(BACKLOG);
        let (sender, _) = broadcast::channel(BACKLOG);
        let ring = sender.clone();
        tokio::spawn(async move {
            while let Some((_, bell)) = waiting.recv().await {
                // There is no other process, and this one knows of its own tabs.
                if let Bell::Frame(frame) = bell {
                    ring.send(frame).ok();
                }
            }
        });
        Self { outbox, kind: Kind::Local(sender) }
    }

    /// A bus over Redis. Connects in the background and goes on trying for ever.
    ///
    /// # Errors
    /// When the URL can't be read.
    pub fn redis(url: &str) -> std::result::Result<Self, fred::error::Error> {
        let mut builder = Builder::from_config(Config::from_url(url)?);
        builder
            .with_config(|config| {
                // Otherwise a Redis that is away at the start would never be tried again.
                config.fail_fast = false;
            })
            .set_policy(ReconnectPolicy::new_constant(0, RECONNECT_EVERY_MS))
            .with_performance_config(|config| {
                config.default_command_timeout = COMMAND_TIMEOUT;
                config.broadcast_channel_capacity = BACKLOG;
            })
            .with_connection_config(|config| {
                config.connection_timeout = Duration::from_secs(2);
                config.internal_command_timeout = Duration::from_secs(2);
                config.max_command_attempts = 1;
                config.unresponsive.max_timeout = Some(Duration::from_secs(5));
                config.unresponsive.interval = Duration::from_secs(1);
            });
        let publisher = builder.build()?;
        publisher.connect();
        let (outbox, mut waiting) = mpsc::channel::<(Instant, Bell)>(BACKLOG);
        let client = publisher.clone();
        tokio::spawn(async move {
            while let Some((rung, bell)) = waiting.recv().await {
                if rung.elapsed() > STALE {
                    continue;
                }
                let Ok(bytes) = bell.encode() else { continue };
                let sent: std::result::Result<(), _> = client.publish(bell.redis_channel(), bytes).await;
                if let Err(error) = sent {
                    tracing::debug!(%error, ?bell, "a bell was not rung");
                }
            }
        });
        Ok(Self { outbox, kind: Kind::Redis { publisher, builder: Box::new(builder) } })
    }

    /// Rings the bell. Never waits and never fails: see the module's words on loss.
    pub fn publish(&self, frame: Frame) {
        self.ring(Bell::Frame(frame));
    }

    /// Tells other processes of a tab's new socket. Never waits and never fails.
    pub fn tell_tab(&self, tab: TabOpened) {
        self.ring(Bell::Tab(tab));
    }

    fn ring(&self, bell: Bell) {
        if self.outbox.try_send((Instant::now(), bell)).is_err() {
            tracing::debug!("too many bells wait; one was dropped");
        }
    }

    /// Whether other processes hear this bus.
    pub fn is_shared(&self) -> bool {
        matches!(self.kind, Kind::Redis { .. })
    }

    /// Whether the bus works now; a local one always does.
    pub fn is_connected(&self) -> bool {
        match &self.kind {
            Kind::Local(_) => true,
            Kind::Redis { publisher, .. } => publisher.is_connected(),
        }
    }

    /// The connection it rings on, for other short commands.
    pub(crate) fn redis_client(&self) -> Option<Client> {
        match &self.kind {
            Kind::Local(_) => None,
            Kind::Redis { publisher, .. } => Some(publisher.clone()),
        }
    }

    /// The process' ear. One is enough: it hears every channel it was asked to.
    ///
    /// # Errors
    /// When the Redis client can't be built.
    pub fn listen(&self) -> std::result::Result<Listener, fred::error::Error> {
        let (wishes, wanted) = mpsc::unbounded_channel();
        let (sender, signals) = mpsc::channel(BACKLOG);
        match &self.kind {
            Kind::Local(frames) => {
                tokio::spawn(hear_local(frames.subscribe(), sender, wanted));
            }
            Kind::Redis { builder, .. } => {
                let subscriber = builder.build_subscriber_client()?;
                subscriber.connect();
                tokio::spawn(hear_redis(subscriber.clone(), sender.clone()));
                tokio::spawn(keep_subscriptions(subscriber, sender, wanted));
            }
        }
        Ok(Listener { signals, wishes: Wishes(wishes) })
    }
}

/// The receiving side of the bus.
#[derive(Debug)]
pub struct Listener {
    signals: mpsc::Receiver<Signal>,
    wishes: Wishes,
}

impl Listener {
    /// The next thing heard; `None` when the process ends.
    pub async fn next(&mut self) -> Option<Signal> {
        self.signals.recv().await
    }

    /// A handle to say which channels should be heard.
    pub fn wishes(&self) -> Wishes {
        self.wishes.clone()
    }
}

/// Says which channels a [`Listener`] should hear. Takes effect soon, and again after each loss.
#[derive(Debug, Clone)]
pub struct Wishes(mpsc::UnboundedSender<(Channel, bool)>);

impl Wishes {
    /// Starts to hear a channel.
    pub fn add(&self, channel: Channel) {
        self.0.send((channel, true)).ok();
    }

    /// Stops to hear a channel.
    pub fn remove(&self, channel: Channel) {
        self.0.send((channel, false)).ok();
    }
}

fn redis_channel(channel: Channel) -> String {
    format!("hc:{{{channel}}}")
}

fn from_redis_channel(text: &str) -> Option<Channel> {
    text.strip_prefix("hc:{")?.strip_suffix('}')?.parse().ok()
}

async fn hear_local(
    mut frames: broadcast::Receiver<Frame>,
    signals: mpsc::Sender<Signal>,
    mut wanted: mpsc::UnboundedReceiver<(Channel, bool)>,
) {
    loop {
        let signal = tokio::select! {
            frame = frames.recv() => match frame {
                Ok(frame) => Signal::Frame(frame),
                Err(broadcast::error::RecvError::Lagged(_)) => Signal::Gap,
                Err(broadcast::error::RecvError::Closed) => return,
            },
            // Everything inside the process is heard; the hub knows what it wants.
            wish = wanted.recv() => match wish { Some(_) => continue, None => return },
        };
        if signals.send(signal).await.is_err() {
            return;
        }
    }
}

fn decode(name: &str, value: Option<&[u8]>) -> Option<Signal> {
    if name == TABS {
        return serde_json::from_slice(value?).ok().map(Signal::TabOpened);
    }
    Frame::decode(from_redis_channel(name)?, &Bytes::copy_from_slice(value?)).map(Signal::Frame)
}

async fn hear_redis(subscriber: SubscriberClient, signals: mpsc::Sender<Signal>) {
    let mut messages = subscriber.message_rx();
    loop {
        let signal = match messages.recv().await {
            Ok(message) => match decode(&message.channel, message.value.as_bytes()) {
                Some(signal) => signal,
                None => continue,
            },
            Err(broadcast::error::RecvError::Lagged(_)) => Signal::Gap,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if signals.send(signal).await.is_err() {
            return;
        }
    }
}

async fn is_answering(subscriber: &SubscriberClient) -> bool {
    // In a cluster: at the node where the client subscribes.
    let slot = fred::util::redis_keyslot(subscriber.id().as_bytes());
    let ping = CustomCommand::new_static("PING", slot, false);
    let answer: std::result::Result<fred::types::Value, _> = subscriber.custom(ping, Vec::<String>::new()).await;
    answer.is_ok()
}

/// Brings Redis' subscriptions in line with the wishes, in batches, and anew after a reconnect.
async fn keep_subscriptions(
    subscriber: SubscriberClient,
    signals: mpsc::Sender<Signal>,
    mut wanted: mpsc::UnboundedReceiver<(Channel, bool)>,
) {
    const BATCH: usize = 500;
    let mut wishes: HashSet<Channel> = HashSet::new();
    let mut held: HashSet<Channel> = HashSet::new();
    let mut hears_tabs = false;
    let mut reconnects = subscriber.reconnect_rx();
    let mut retry = tokio::time::interval(RESUBSCRIBE_EVERY);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            count = wanted.recv_many(&mut batch, BATCH) => {
                if count == 0 { return }
                for (channel, wish) in batch.drain(..) {
                    if wish { wishes.insert(channel); } else { wishes.remove(&channel); }
                }
            }
            _ = reconnects.recv() => {
                held.clear();
                hears_tabs = false;
            }
            _ = retry.tick(), if wishes != held || !hears_tabs => {}
        }
        if !subscriber.is_connected() {
            continue;
        }
        if !hears_tabs {
            hears_tabs = subscriber.subscribe(TABS).await.is_ok();
        }
        let missing: Vec<_> = wishes.difference(&held).copied().collect();
        for channels in missing.chunks(BATCH) {
            let names: Vec<_> = channels.iter().map(|channel| redis_channel(*channel)).collect();
            // The client calls it done once it is written. Redis takes what comes on a connection in
            // order: when it answers what follows, it hears the channels.
            if subscriber.subscribe(names).await.is_ok() && is_answering(&subscriber).await {
                held.extend(channels);
                if signals.send(Signal::Heard(channels.to_vec())).await.is_err() {
                    return;
                }
            }
        }
        let extra: Vec<_> = held.difference(&wishes).copied().collect();
        for channels in extra.chunks(BATCH) {
            let names: Vec<_> = channels.iter().map(|channel| redis_channel(*channel)).collect();
            if subscriber.unsubscribe(names).await.is_ok() {
                for channel in channels {
                    held.remove(channel);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::UserId;

    #[test]
    fn frames_survive_the_way_over_redis() {
        let channel = Channel::Notifications(UserId::new());
        let at = DateTime::from_timestamp_millis(1_731_709_200_000).unwrap();
        for seq in [None, Some(7)] {
            let frame = Frame::new(channel, seq, "x", &serde_json::json!({"line": "one\ntwo"}), at).unwrap();
            let back = Frame::decode(channel, &frame.encode()).unwrap();
            assert_eq!((back.seq, &back.json), (frame.seq, &frame.json));
            assert_eq!(from_redis_channel(&redis_channel(channel)), Some(channel));
        }
    }

    #[test]
    fn tabs_survive_the_way_over_redis() {
        let tab = TabOpened { user_id: UserId::new(), tab: "one\n{x}".to_owned(), socket: Uuid::now_v7() };
        let bell = Bell::Tab(tab.clone());
        let Some(Signal::TabOpened(back)) = decode(&bell.redis_channel(), Some(&bell.encode().unwrap())) else {
            panic!("not a tab")
        };
        assert_eq!(back, tab);
    }
}
