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
    bus::{Frame, Listener, Signal, TabOpened, Wishes},
    event::Channel,
    id::{LoginId, UserId},
    realtime,
};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{
    outbox::{Outbox, code},
    presence::Presence,
    topic::{Heard, SocketId, Topic},
};

/// How often all topics are compared with the database.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// The same where bells don't reach this process from others.
const CHECK_EVERY_ALONE: Duration = Duration::from_secs(1);
/// How often the logins behind sockets are looked at. A socket may be opened on a login remembered
/// for three seconds, and still has to end within five.
const REVIEW_EVERY: Duration = Duration::from_millis(1500);
/// How long a listener waits for the bus to hear a channel, so that even what isn't stored reaches
/// it from the first moment.
const TUNING_IN: Duration = Duration::from_millis(500);
/// How long a shutdown waits for sockets to go.
const STOPPING: Duration = Duration::from_secs(7);
/// Events read at once when catching up: few, so that even the largest don't by themselves make a
/// client too slow.
const PAGE: i64 = 10;

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
    /// The browser tab, if it has a name, and the socket's own, which grows with time.
    tab: Option<(String, Uuid)>,
    outbox: Outbox,
}

impl Member {
    fn is_replaced_by(&self, other: &TabOpened) -> bool {
        self.user_id == other.user_id
            && self.tab.as_ref().is_some_and(|(tab, socket)| *tab == other.tab && *socket < other.socket)
    }
}

/// A topic held open for a socket that is about to listen, also where the socket ends meanwhile.
pub(super) struct Held {
    pub topic: Arc<Topic>,
    channel: Channel,
    hub: Hub,
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

    /// How many sockets there are, and how many channels they listen to.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.sockets().len(), self.topics().len())
    }

    /// Closes every socket and waits for them to go.
    pub(crate) async fn stop(&self) {
        self.0.tasks.close();
        self.close_where(code::RESTARTING, |_| true);
        tokio::time::timeout(STOPPING, self.0.tasks.wait()).await.ok();
        self.0.presence.end().await;
    }

    /// Takes a socket in. It counts as its user's presence once this returns.
    pub(super) async fn enter(&self, user_id: UserId, login_id: LoginId, tab: Option<String>, outbox: Outbox) -> Seat {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        {
            let mut sockets = self.sockets();
            let socket = Uuid::now_v7();
            if let Some(tab) = &tab {
                let opened = TabOpened { user_id, tab: tab.clone(), socket };
                for member in sockets.values().filter(|member| member.is_replaced_by(&opened)) {
                    member.outbox.close(code::REPLACED);
                }
                self.store().bus().tell_tab(opened);
            }
            let tab = tab.map(|tab| (tab, socket));
            sockets.insert(id, Member { user_id, login_id, tab, outbox: outbox.clone() });
        }
        // A stop closes whom it finds; whoever comes after that finds the stop.
        if self.0.tasks.is_closed() {
            outbox.close(code::RESTARTING);
        }
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

    /// The channel's topic, made if need be.
    pub(super) fn hold(&self, channel: Channel) -> Held {
        let mut topics = self.topics();
        let topic = topics.entry(channel).or_insert_with(|| {
            self.0.wishes.add(channel);
            Arc::default()
        });
        topic.begin_joining();
        Held { topic: Arc::clone(topic), channel, hub: self.clone() }
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
                Signal::TabOpened(tab) => self.close_where(code::REPLACED, |member| member.is_replaced_by(&tab)),
                // On their own, so that a slow database doesn't keep bells from ringing.
                Signal::Heard(channels) => {
                    self.set_audible(&channels);
                    let hub = self.clone();
                    tokio::spawn(async move { hub.check(channels).await });
                }
                Signal::Gap => {
                    let hub = self.clone();
                    tokio::spawn(async move { hub.check_all().await });
                }
            }
        }
    }

    fn set_audible(&self, channels: &[Channel]) {
        let topics = self.topics();
        for topic in channels.iter().filter_map(|channel| topics.get(channel)) {
            topic.set_audible();
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
            loop {
                if let Err(error) = hub.read_missed(channel, &topic).await {
                    tracing::warn!(%error, "missed events could not be read; the next check tries again");
                }
                if topic.end_catching_up() {
                    return;
                }
            }
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
            self.check_all().await;
        }
    }

    async fn check_all(&self) {
        let channels = self.topics().keys().copied().collect();
        self.check(channels).await;
    }

    /// Compares topics with the database. Who is just about to listen is told how far to read.
    async fn check(&self, mut channels: Vec<Channel>) {
        channels.retain(|channel| !matches!(channel, Channel::Status(_)));
        if channels.is_empty() {
            return;
        }
        match realtime::newest(&self.0.store, &channels).await {
            Ok(rows) => {
                for (channel, seq) in rows {
                    let topic = self.topics().get(&channel).cloned();
                    if let Some(topic) = topic
                        && topic.hear_of(seq) == Heard::Gap
                    {
                        self.catch_up(channel, topic);
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

impl Held {
    /// Waits until bells of the channel reach this process, or for a moment where the bus is away.
    pub(super) async fn tune_in(&self) {
        if self.hub.store().bus().is_shared() {
            tokio::time::timeout(TUNING_IN, self.topic.audible()).await.ok();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.topic.end_joining();
        self.hub.drop_if_idle(self.channel);
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
