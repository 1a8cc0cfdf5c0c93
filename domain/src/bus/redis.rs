//! The bus over Redis pub/sub: one connection to ring, one to hear.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use fred::{
    clients::{Client, SubscriberClient},
    interfaces::{ClientLike, EventInterface, PubsubInterface},
    types::{
        Builder, CustomCommand,
        config::{Config, ReconnectPolicy},
    },
};
use futures_util::future::join_all;
use tokio::sync::{broadcast, mpsc};

use super::{
    BACKLOG, Bell, Signal,
    wire::{TABS, decode, redis_channel},
};
use crate::event::Channel;

/// How long a bell or a subscription may wait for a Redis that is away.
const COMMAND_TIMEOUT: Duration = Duration::from_millis(250);
/// A bell that waited longer isn't rung any more: after an outage, listeners would be told for
/// minutes who had been typing long ago.
const STALE: Duration = Duration::from_secs(1);
const RESUBSCRIBE_EVERY: Duration = Duration::from_millis(100);
const RECONNECT_EVERY_MS: u32 = 250;
/// Bells rung together, and channels subscribed to together.
const BATCH: usize = 500;

/// How clients of this Redis are made.
pub(super) fn builder(url: &str) -> Result<Builder, fred::error::Error> {
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
    Ok(builder)
}

/// Rings bells in order, as many to a round trip as wait.
pub(super) async fn ring(publisher: Client, mut waiting: mpsc::Receiver<(Instant, Bell)>) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let fresh = batch.drain(..).filter(|(rung, _)| rung.elapsed() <= STALE);
        // The client sends in the order in which these are first polled.
        join_all(fresh.map(|(_, bell)| ring_one(&publisher, bell))).await;
    }
}

async fn ring_one(publisher: &Client, bell: Bell) {
    let Ok(bytes) = bell.encode() else { return };
    let sent: Result<(), _> = publisher.publish(bell.redis_channel(), bytes).await;
    if let Err(error) = sent {
        tracing::debug!(%error, ?bell, "a bell was not rung");
    }
}

/// Passes on what Redis says.
pub(super) async fn hear(subscriber: SubscriberClient, signals: mpsc::Sender<Signal>) {
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

/// What should be heard, and what Redis was told.
#[derive(Default)]
struct Subscriptions {
    wanted: HashSet<Channel>,
    held: HashSet<Channel>,
    /// Where the two may differ.
    unsettled: HashSet<Channel>,
    hears_tabs: bool,
}

impl Subscriptions {
    fn wish(&mut self, channel: Channel, wanted: bool) {
        let changed = if wanted { self.wanted.insert(channel) } else { self.wanted.remove(&channel) };
        if changed {
            self.unsettled.insert(channel);
        }
    }

    fn forget_held(&mut self) {
        self.held.clear();
        self.hears_tabs = false;
        self.unsettled.clone_from(&self.wanted);
    }

    fn is_settled(&self) -> bool {
        self.hears_tabs && self.unsettled.is_empty()
    }

    /// Brings Redis in line with the wishes, in batches. Says what is heard from now on.
    async fn settle(&mut self, subscriber: &SubscriberClient) -> Vec<Channel> {
        if !self.hears_tabs {
            self.hears_tabs = subscriber.subscribe(TABS).await.is_ok();
        }
        let unsettled: Vec<_> = self.unsettled.drain().collect();
        let (missing, rest): (Vec<_>, Vec<_>) =
            unsettled.into_iter().partition(|channel| self.wanted.contains(channel) && !self.held.contains(channel));
        let extra: Vec<_> =
            rest.into_iter().filter(|channel| self.held.contains(channel) && !self.wanted.contains(channel)).collect();
        let mut heard = Vec::new();
        for channels in missing.chunks(BATCH) {
            // The client calls it done once it is written. Redis takes what comes on a connection in
            // order: when it answers what follows, it hears the channels.
            if subscriber.subscribe(names(channels)).await.is_ok() && is_answering(subscriber).await {
                self.held.extend(channels);
                heard.extend_from_slice(channels);
            } else {
                self.unsettled.extend(channels);
            }
        }
        for channels in extra.chunks(BATCH) {
            if subscriber.unsubscribe(names(channels)).await.is_ok() {
                for channel in channels {
                    self.held.remove(channel);
                }
            } else {
                self.unsettled.extend(channels);
            }
        }
        heard
    }
}

fn names(channels: &[Channel]) -> Vec<String> {
    channels.iter().map(|channel| redis_channel(*channel)).collect()
}

async fn is_answering(subscriber: &SubscriberClient) -> bool {
    // In a cluster: at the node where the client subscribes.
    let slot = fred::util::redis_keyslot(subscriber.id().as_bytes());
    let ping = CustomCommand::new_static("PING", slot, false);
    let answer: Result<fred::types::Value, _> = subscriber.custom(ping, Vec::<String>::new()).await;
    answer.is_ok()
}

/// Keeps Redis' subscriptions in line with the wishes, and makes them anew after a reconnect.
pub(super) async fn keep_subscriptions(
    subscriber: SubscriberClient,
    signals: mpsc::Sender<Signal>,
    mut wanted: mpsc::UnboundedReceiver<(Channel, bool)>,
) {
    let mut subscriptions = Subscriptions::default();
    let mut reconnects = subscriber.reconnect_rx();
    let mut retry = tokio::time::interval(RESUBSCRIBE_EVERY);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            count = wanted.recv_many(&mut batch, BATCH) => {
                if count == 0 { return }
                for (channel, wish) in batch.drain(..) {
                    subscriptions.wish(channel, wish);
                }
            }
            _ = reconnects.recv() => subscriptions.forget_held(),
            _ = retry.tick(), if !subscriptions.is_settled() => {}
        }
        if !subscriber.is_connected() {
            continue;
        }
        let heard = subscriptions.settle(&subscriber).await;
        if !heard.is_empty() && signals.send(Signal::Heard(heard)).await.is_err() {
            return;
        }
    }
}
