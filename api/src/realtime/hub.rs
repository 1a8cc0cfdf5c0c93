//! The hub: this process' topics and sockets.
//!
//! A bell tells of a frame at once. What bells fail to tell is read from the database: when a
//! number is skipped, when the bus says it may have lost something, and by a check every second or
//! two over all topics in one query.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::extract::ws::{CloseCode, Utf8Bytes};
use humanchat_domain::{
    Store, auth,
    bus::{Frame, Listener, Signal, Wishes},
    event::Channel,
    id::{LoginId, UserId},
    realtime,
};
use tokio_util::task::TaskTracker;

use super::{
    outbox::{Outbox, code},
    presence::Presence,
    topic::{Heard, SocketId, Topic},
};

/// How often all topics are compared with the database.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// The same where bells don't reach this process from others.
const CHECK_EVERY_ALONE: Duration = Duration::from_secs(1);
/// How often the logins behind sockets are looked at.
const REVIEW_EVERY: Duration = Duration::from_secs(3);
/// Events read at once when catching up.
const PAGE: i64 = 500;

/// This process' sockets.
#[derive(Debug, Clone)]
pub(crate) struct Hub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    wishes: Wishes,
    topics: Mutex<HashMap<Channel, Arc<Topic>>>,
    sockets: Mutex<HashMap<SocketId, Member>>,
    next_id: AtomicU64,
    presence: Presence,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct Member {
    user_id: UserId,
    login_id: LoginId,
    tab: Option<String>,
    outbox: Outbox,
}

/// A socket's place in the hub; leaving is dropping it.
pub(super) struct Seat {
    pub id: SocketId,
    pub user_id: UserId,
    pub outbox: Outbox,
    hub: Hub,
    channels: HashSet<Channel>,
}

impl Hub {
    /// Starts the hub's tasks.
    pub(crate) fn start(store: Store) -> anyhow::Result<Self> {
        let listener = store.bus().listen()?;
        let presence = Presence::start(store.clone());
        let hub = Self(Arc::new(Inner {
            wishes: listener.wishes(),
            topics: Mutex::default(),
            sockets: Mutex::default(),
            next_id: AtomicU64::new(1),
            presence,
            tasks: TaskTracker::new(),
            store,
        }));
        tokio::spawn(hub.clone().hear(listener));
        tokio::spawn(hub.clone().check_topics());
        tokio::spawn(hub.clone().review_logins());
        Ok(hub)
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Counts sockets' tasks, so that a shutdown can wait for them.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Closes every socket and waits for them to go.
    pub(crate) async fn stop(&self) {
        self.0.tasks.close();
        self.close_where(code::RESTARTING, |_| true);
        tokio::time::timeout(Duration::from_secs(5), self.0.tasks.wait()).await.ok();
        self.0.presence.end().await;
    }

    /// Takes a socket in. It counts as its user's presence once this returns.
    pub(super) async fn enter(&self, user_id: UserId, login_id: LoginId, tab: Option<String>, outbox: Outbox) -> Seat {
        if tab.is_some() {
            self.close_where(code::REPLACED, |member| member.user_id == user_id && member.tab == tab);
        }
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        self.sockets().insert(id, Member { user_id, login_id, tab, outbox: outbox.clone() });
        let seat = Seat { id, user_id, outbox, hub: self.clone(), channels: HashSet::new() };
        self.0.presence.came(user_id).await;
        seat
    }

    fn sockets(&self) -> MutexGuard<'_, HashMap<SocketId, Member>> {
        self.0.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<Channel, Arc<Topic>>> {
        self.0.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close_where(&self, code: CloseCode, chosen: impl Fn(&Member) -> bool) {
        for member in self.sockets().values().filter(|member| chosen(member)) {
            member.outbox.close(code);
        }
    }

    /// The channel's topic, held open by its `joining` count until [`Hub::release`].
    pub(super) fn hold(&self, channel: Channel) -> Arc<Topic> {
        let mut topics = self.topics();
        let topic = topics.entry(channel).or_insert_with(|| {
            self.0.wishes.add(channel);
            Arc::default()
        });
        topic.begin_joining();
        Arc::clone(topic)
    }

    pub(super) fn release(&self, channel: Channel, topic: &Topic) {
        topic.end_joining();
        self.drop_if_idle(channel);
    }

    fn drop_if_idle(&self, channel: Channel) {
        let mut topics = self.topics();
        if topics.get(&channel).is_some_and(|topic| topic.is_idle()) {
            topics.remove(&channel);
            self.0.wishes.remove(channel);
        }
    }

    async fn hear(self, mut listener: Listener) {
        while let Some(signal) = listener.next().await {
            match signal {
                Signal::Frame(frame) => self.deliver(&frame),
                Signal::Gap => {
                    // On its own, so that a slow database doesn't keep bells from ringing.
                    let hub = self.clone();
                    tokio::spawn(async move { hub.check().await });
                }
            }
        }
    }

    fn deliver(&self, frame: &Frame) {
        let topic = self.topics().get(&frame.channel).cloned();
        let Some(topic) = topic else { return };
        let Ok(text) = Utf8Bytes::try_from(frame.json.clone()) else { return };
        match frame.seq {
            None => topic.pass(&text),
            Some(seq) => {
                if topic.hear(seq, &text) == Heard::Gap {
                    self.catch_up(frame.channel, topic);
                }
            }
        }
    }

    /// Reads what a topic's listeners missed, in a task of its own, one at a time for each topic.
    fn catch_up(&self, channel: Channel, topic: Arc<Topic>) {
        if !topic.begin_catching_up() {
            return;
        }
        let hub = self.clone();
        tokio::spawn(async move {
            if let Err(error) = hub.read_missed(channel, &topic).await {
                tracing::warn!(%error, "missed events could not be read; the next check tries again");
            }
            topic.end_catching_up();
        });
    }

    async fn read_missed(&self, channel: Channel, topic: &Topic) -> humanchat_domain::error::Result<()> {
        while let Some(newest) = topic.newest() {
            let frames = realtime::events_after(&self.0.store, channel, newest, PAGE).await?;
            let Some(last) = frames.last().and_then(|frame| frame.seq) else { return Ok(()) };
            for frame in &frames {
                let (Some(seq), Ok(text)) = (frame.seq, Utf8Bytes::try_from(frame.json.clone())) else { continue };
                if topic.hear(seq, &text) == Heard::Gap {
                    tracing::error!(%channel, seq, "events are gone that listeners had not been told");
                    topic.skip_to(seq - 1);
                    topic.hear(seq, &text);
                }
            }
            if last <= newest {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn check_topics(self) {
        let every = if self.0.store.bus().is_shared() { CHECK_EVERY } else { CHECK_EVERY_ALONE };
        loop {
            tokio::time::sleep(every).await;
            self.check().await;
        }
    }

    async fn check(&self) {
        let topics: HashMap<_, _> = self
            .topics()
            .iter()
            .filter_map(|(channel, topic)| Some((*channel, (Arc::clone(topic), topic.newest()?))))
            .filter(|(channel, _)| !matches!(channel, Channel::Status(_)))
            .collect();
        if topics.is_empty() {
            return;
        }
        let channels: Vec<_> = topics.keys().copied().collect();
        match realtime::newest(&self.0.store, &channels).await {
            Ok(rows) => {
                for (channel, seq) in rows {
                    if let Some((topic, newest)) = topics.get(&channel)
                        && seq > *newest
                    {
                        self.catch_up(channel, Arc::clone(topic));
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "topics could not be checked for missed events"),
        }
    }

    /// Closes the sockets of logins that have ended and of users who were suspended.
    async fn review_logins(self) {
        loop {
            tokio::time::sleep(REVIEW_EVERY).await;
            let logins: HashSet<_> = self.sockets().values().map(|member| member.login_id).collect();
            if logins.is_empty() {
                continue;
            }
            let logins: Vec<_> = logins.into_iter().collect();
            match auth::authorities(&self.0.store, &logins).await {
                Ok(living) => {
                    let living: HashSet<_> = living.into_iter().map(|(login, _)| login).collect();
                    let ended: HashSet<_> = logins.into_iter().filter(|login| !living.contains(login)).collect();
                    self.close_where(code::LOGGED_OUT, |member| ended.contains(&member.login_id));
                }
                Err(error) => tracing::warn!(%error, "the logins behind sockets could not be checked"),
            }
        }
    }
}

impl Seat {
    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(super) fn listens_to(&self, channel: Channel) -> bool {
        self.channels.contains(&channel)
    }

    pub(super) fn channel_count(&self) -> usize {
        self.channels.len()
    }

    pub(super) fn joined(&mut self, channel: Channel) {
        self.channels.insert(channel);
    }

    /// Whether the socket was listening.
    pub(super) fn leave(&mut self, channel: Channel) -> bool {
        let topic = self.hub.topics().get(&channel).cloned();
        if let Some(topic) = topic {
            topic.leave(self.id);
            self.hub.drop_if_idle(channel);
        }
        self.channels.remove(&channel)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        for channel in std::mem::take(&mut self.channels) {
            self.leave(channel);
        }
        if let Some(member) = self.hub.sockets().remove(&self.id) {
            self.hub.0.presence.went(member.user_id);
        }
    }
}
