//! The bell between processes: what was committed is shouted over Redis pub/sub, or inside the
//! process where there is no Redis.
//!
//! It may lose anything. Durable frames carry their number, so that a listener notices and reads
//! what it missed from Postgres.

mod redis;
mod wire;

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use fred::{
    clients::{Client, SubscriberClient},
    interfaces::ClientLike,
    types::Builder,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

use crate::{event::Channel, id::UserId};

/// Bells that may wait in a process; more are dropped, and made up for from Postgres.
const BACKLOG: usize = 16_384;

/// One event as sockets send it, serialised once.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Where it belongs.
    pub channel: Channel,
    /// Its number in the channel; `None` for a passing event.
    pub seq: Option<i64>,
    /// Whose own sockets need not be told.
    pub from: Option<UserId>,
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
    Redis { publisher: Client, builder: Arc<Builder> },
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
    pub fn redis(url: &str) -> Result<Self, fred::error::Error> {
        let builder = redis::builder(url)?;
        let publisher = builder.build()?;
        publisher.connect();
        let (outbox, waiting) = mpsc::channel(BACKLOG);
        tokio::spawn(redis::ring(publisher.clone(), waiting));
        Ok(Self { outbox, kind: Kind::Redis { publisher, builder: Arc::new(builder) } })
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
    pub fn listen(&self) -> Result<Listener, fred::error::Error> {
        let (wishes, wanted) = mpsc::unbounded_channel();
        let (sender, signals) = mpsc::channel(BACKLOG);
        let subscriber = match &self.kind {
            Kind::Local(frames) => {
                tokio::spawn(hear_local(frames.subscribe(), sender, wanted));
                None
            }
            Kind::Redis { builder, .. } => {
                let subscriber = builder.build_subscriber_client()?;
                subscriber.connect();
                tokio::spawn(redis::hear(subscriber.clone(), sender.clone()));
                tokio::spawn(redis::keep_subscriptions(subscriber.clone(), sender, wanted));
                Some(subscriber)
            }
        };
        Ok(Listener { signals, wishes: Wishes { wishes, subscriber } })
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
pub struct Wishes {
    wishes: mpsc::UnboundedSender<(Channel, bool)>,
    subscriber: Option<SubscriberClient>,
}

impl Wishes {
    /// Starts to hear a channel.
    pub fn add(&self, channel: Channel) {
        self.wishes.send((channel, true)).ok();
    }

    /// Stops to hear a channel.
    pub fn remove(&self, channel: Channel) {
        self.wishes.send((channel, false)).ok();
    }

    /// Whether other processes can be heard now.
    pub fn are_heard(&self) -> bool {
        self.subscriber.as_ref().is_some_and(ClientLike::is_connected)
    }
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
