//! Everything the server holds, behind one lock, and the clock it lives by.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::api::faults::Faults;
use crate::api::idempotency::Ledger;
use crate::outbox::{Endpoint, Outbox};
use crate::world::World;

/// How many requests are remembered.
const REQUESTS_KEPT: usize = 100_000;

/// The simulator, shared by all connections.
#[derive(Debug)]
pub(crate) struct Shared {
    simulator: Mutex<Simulator>,
    /// Wakes whoever delivers webhooks.
    pub(crate) wake: Notify,
}

/// What the lock protects.
#[derive(Debug)]
pub(crate) struct Simulator {
    pub(crate) world: World,
    pub(crate) ledger: Ledger,
    pub(crate) faults: Faults,
    pub(crate) outbox: Outbox,
    pub(crate) requests: VecDeque<Seen>,
    /// How far its clock is ahead of the real one, in seconds.
    ahead: i64,
    /// How far the clocks of those who are told of events are ahead, too.
    listeners_ahead: i64,
    seed: u64,
}

/// A request that was seen.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Seen {
    pub(crate) request_id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) params: Value,
    pub(crate) idempotency_key: Option<String>,
    /// The status of the answer; `None` while there is none, or none was sent.
    pub(crate) status: Option<u16>,
    /// Whether the answer was one from before.
    pub(crate) replayed: bool,
}

impl Shared {
    pub(crate) fn new(seed: u64, base_url: String, endpoints: Vec<Endpoint>) -> Self {
        let simulator = Simulator {
            world: World::new(seed, base_url),
            ledger: Ledger::default(),
            faults: Faults::default(),
            outbox: Outbox::new(endpoints),
            requests: VecDeque::new(),
            ahead: 0,
            listeners_ahead: 0,
            seed,
        };
        Self { simulator: Mutex::new(simulator), wake: Notify::new() }
    }

    /// Does something with the simulator, at the time it is now; what happened goes to the webhooks.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Simulator) -> R) -> R {
        let mut simulator = self.simulator.lock().unwrap_or_else(PoisonError::into_inner);
        simulator.tick();
        let result = work(&mut simulator);
        let Simulator { world, outbox, .. } = &mut *simulator;
        if outbox.collect(&world.events) {
            self.wake.notify_one();
        }
        result
    }
}

impl Simulator {
    fn tick(&mut self) {
        let now = now() + self.ahead;
        self.world.tick(now);
    }

    /// Moves the clock forward, and does what becomes due. `everywhere` says that those who are told of
    /// events have moved theirs as well.
    pub(crate) fn advance(&mut self, seconds: u32, everywhere: bool) {
        self.ahead += i64::from(seconds);
        if everywhere {
            self.listeners_ahead += i64::from(seconds);
        }
        self.tick();
    }

    /// The time that webhooks are signed with: what the clocks of those who get them show.
    pub(crate) fn time_of_signatures(&self) -> i64 {
        now() + self.listeners_ahead
    }

    /// Notes a request.
    pub(crate) fn note(&mut self, seen: Seen) {
        if self.requests.len() == REQUESTS_KEPT {
            self.requests.pop_front();
        }
        self.requests.push_back(seen);
    }

    /// Notes how a request was answered.
    pub(crate) fn answered(&mut self, request_id: &str, status: u16, replayed: bool) {
        if let Some(seen) = self.requests.iter_mut().rev().find(|seen| seen.request_id == request_id) {
            seen.status = Some(status);
            seen.replayed = replayed;
        }
    }

    /// Forgets everything but the webhook endpoints.
    pub(crate) fn reset(&mut self) {
        self.seed = self.seed.wrapping_add(1);
        self.world = World::new(self.seed, std::mem::take(&mut self.world.base_url));
        self.ledger = Ledger::default();
        self.faults = Faults::default();
        self.outbox.reset();
        self.requests.clear();
        self.ahead = 0;
        self.listeners_ahead = 0;
        self.tick();
    }

    /// Everything, as JSON.
    pub(crate) fn json(&self) -> Value {
        let mut state = self.world.state();
        state["requests"] = json!(self.requests);
        state["faults"] = self.faults.json();
        state["webhooks"] = self.outbox.json();
        state
    }
}

/// The real time, in seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the simulator's one clock; tests move it through the control API")]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
