//! The hub: this process' topics and sockets.
//!
//! [`bells`](super::bells) tells topics what happened; [`review`](super::review) ends what may no
//! longer be.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::extract::ws::CloseCode;
use humanchat_domain::{
    Store,
    bus::{TabOpened, Wishes},
    event::Channel,
    id::{LoginId, UserId},
    realtime::{self, Standing, Wish},
};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::{
    SocketLimits, bells,
    gate::Gate,
    members::{Member, Members},
    outbox::{Outbox, code},
    presence::Presence,
    review,
    statuses::{self, Statuses},
    topic::{SocketId, Topic},
};
use crate::{batch::Batch, edge::caller::Caller};

/// How long a listener waits for the bus to hear a channel, so that even what isn't stored reaches
/// it from the first moment.
const TUNING_IN: Duration = Duration::from_millis(500);
/// How long a shutdown waits for sockets to go.
const STOPPING: Duration = Duration::from_secs(7);

/// This process' sockets.
#[derive(Debug, Clone)]
pub(crate) struct Hub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    limits: SocketLimits,
    wishes: Wishes,
    gate: Gate,
    standings: Batch<Wish, Standing>,
    statuses: Statuses,
    topics: Mutex<HashMap<Channel, Arc<Topic>>>,
    members: Mutex<Members>,
    next_id: AtomicU64,
    presence: Presence,
    tasks: TaskTracker,
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
    pub(crate) fn start(store: Store, limits: SocketLimits) -> anyhow::Result<Self> {
        let listener = store.bus().listen()?;
        let presence = Presence::start(store.clone());
        let (statuses, looks) = Statuses::new();
        let reader = store.clone();
        let hub = Self(Arc::new(Inner {
            limits,
            wishes: listener.wishes(),
            gate: Gate::new(store.settings().database_pool, limits),
            standings: Batch::start("where channels stand", move |wishes| {
                let store = reader.clone();
                async move { realtime::standings(&store, &wishes).await }
            }),
            statuses,
            topics: Mutex::default(),
            members: Mutex::default(),
            next_id: AtomicU64::new(1),
            presence,
            tasks: TaskTracker::new(),
            store,
        }));
        tokio::spawn(statuses::keep(hub.clone(), looks));
        tokio::spawn(bells::hear(hub.clone(), listener));
        tokio::spawn(bells::check_topics(hub.clone()));
        tokio::spawn(review::review_sockets(hub.clone()));
        Ok(hub)
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(super) fn limits(&self) -> SocketLimits {
        self.0.limits
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    /// Where channels stand for those who ask.
    pub(super) fn standings(&self) -> &Batch<Wish, Standing> {
        &self.0.standings
    }

    pub(super) fn statuses(&self) -> &Statuses {
        &self.0.statuses
    }

    /// Whether bells of other processes reach this one now.
    pub(super) fn hears_others(&self) -> bool {
        self.0.wishes.are_heard()
    }

    /// Counts sockets' tasks, so that a shutdown can wait for them.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// How many sockets there are, and how many channels they listen to.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.members().count(), self.topics().len())
    }

    /// Closes every socket and waits for them to go.
    pub(crate) async fn stop(&self) {
        self.0.tasks.close();
        self.close_where(code::RESTARTING, |_| true);
        tokio::time::timeout(STOPPING, self.0.tasks.wait()).await.ok();
        self.0.presence.end().await;
    }

    /// Takes a socket in. It counts as its user's presence once this returns.
    pub(super) async fn enter(&self, caller: Caller, tab: Option<String>, outbox: Outbox) -> Seat {
        let Caller { user_id, login_id, role } = caller;
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        {
            // All under one lock: of sockets that a tab opens at once, the one that is named last stays.
            let mut members = self.members();
            let tab = tab.map(|tab| TabOpened { user_id, tab, socket: Uuid::now_v7() });
            if let Some(opened) = &tab {
                members.replace_tab(opened);
                self.store().bus().tell_tab(opened.clone());
            }
            members.insert(id, Member { user_id, login_id, role, tab, outbox: outbox.clone() });
        }
        // A stop closes whom it finds; whoever comes after that finds the stop.
        if self.0.tasks.is_closed() {
            outbox.close(code::RESTARTING);
        }
        let seat = Seat { id, user_id, outbox, hub: self.clone(), channels: HashSet::new() };
        self.0.presence.came(user_id).await;
        seat
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn topics(&self) -> MutexGuard<'_, HashMap<Channel, Arc<Topic>>> {
        self.0.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn close_where(&self, code: CloseCode, chosen: impl Fn(&Member) -> bool) {
        for member in self.members().all().filter(|member| chosen(member)) {
            member.outbox.close(code);
        }
    }

    /// Closes what a tab had before its new socket.
    pub(super) fn replace_tab(&self, opened: &TabOpened) {
        self.members().replace_tab(opened);
    }

    /// The logins behind the sockets.
    pub(super) fn logins(&self) -> HashSet<LoginId> {
        self.members().all().map(|member| member.login_id).collect()
    }

    /// The channel's topic, where somebody listens or is about to.
    pub(super) fn topic(&self, channel: Channel) -> Option<Arc<Topic>> {
        self.topics().get(&channel).cloned()
    }

    pub(super) fn channels(&self) -> Vec<Channel> {
        self.topics().keys().copied().collect()
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

    /// Listens for bells of a channel without a socket: whatever is said after this will be heard of, if late.
    pub(crate) async fn listen_to(&self, channel: Channel) -> Ear {
        let held = self.hold(channel);
        let rumours = held.topic.rumours();
        held.tune_in().await;
        Ear { rumours, _held: held }
    }

    pub(super) fn drop_if_idle(&self, channel: Channel) {
        let mut topics = self.topics();
        if topics.get(&channel).is_some_and(|topic| topic.is_idle()) {
            topics.remove(&channel);
            self.0.wishes.remove(channel);
        }
    }
}

/// Hears that something numbered was said on a channel, not what.
pub(crate) struct Ear {
    rumours: watch::Receiver<i64>,
    _held: Held,
}

impl Ear {
    /// Waits until something was said that had not been when this was last called.
    pub(crate) async fn rung(&mut self) {
        // It ends only with the topic, which is held.
        self.rumours.changed().await.ok();
    }
}

impl Held {
    /// Waits until bells of the channel reach this process, but not for a bus that is away.
    pub(super) async fn tune_in(&self) {
        if self.hub.hears_others() {
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
        self.channels.contains(&channel) && self.hub.topic(channel).is_some_and(|topic| topic.has(self.id))
    }

    pub(super) fn channel_count(&self) -> usize {
        self.channels.len()
    }

    pub(super) fn joined(&mut self, channel: Channel) {
        self.channels.insert(channel);
    }

    /// Whether the socket was listening.
    pub(super) fn leave(&mut self, channel: Channel) -> bool {
        let mut listened = false;
        if let Some(topic) = self.hub.topic(channel) {
            listened = topic.leave(self.id);
            self.hub.drop_if_idle(channel);
        }
        self.channels.remove(&channel) && listened
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        for channel in std::mem::take(&mut self.channels) {
            self.leave(channel);
        }
        if let Some(member) = self.hub.members().remove(self.id) {
            self.hub.0.presence.went(member.user_id);
        }
    }
}
