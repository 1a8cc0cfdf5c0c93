//! Webhooks that wait to be delivered, and the ways in which their delivery can be made worse.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::events::Event;
use crate::world::table::{Row as _, Table};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// For three days Stripe tries again; with these pauses that is about so many times.
const LAST_ATTEMPT: u32 = 8_640;
/// How many deliveries are remembered.
const LOG_KEPT: usize = 10_000;

/// Where events are sent.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// `http://…`
    pub url: String,
    /// `whsec_…`; events are signed with each of them, as while a secret is being replaced.
    pub secrets: Vec<String>,
}

/// What goes wrong with webhooks.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Knobs {
    /// Nothing is sent until this is off again.
    paused: bool,
    /// How many more copies of each event are sent.
    duplicate: u32,
    /// Events are sent in another order: each waits a random time up to this.
    shuffle_ms: u64,
    /// Each event waits this long.
    delay_ms: u64,
    /// So many events to come are never sent.
    drop: u32,
    /// The same seed gives the same order.
    seed: u64,
}

/// An event on its way to an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) endpoint: Endpoint,
    pub(crate) event: String,
    pub(crate) body: Bytes,
    attempt: u32,
    due: Instant,
    /// How often everything had been forgotten when the event happened.
    era: u32,
}

/// A delivery that was tried.
#[derive(Debug, Clone, Serialize)]
struct Tried {
    event: String,
    url: String,
    attempt: u32,
    /// `None`: no answer.
    status: Option<u16>,
}

/// What waits, and what was tried.
#[derive(Debug)]
pub(crate) struct Outbox {
    endpoints: Vec<Endpoint>,
    knobs: Knobs,
    random: StdRng,
    waiting: Vec<Delivery>,
    under_way: usize,
    tried: VecDeque<Tried>,
    /// How many events were taken over.
    collected: usize,
    /// How often everything was forgotten.
    era: u32,
}

impl Outbox {
    pub(crate) fn new(endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints,
            knobs: Knobs::default(),
            random: StdRng::seed_from_u64(0),
            waiting: Vec::new(),
            under_way: 0,
            tried: VecDeque::new(),
            collected: 0,
            era: 0,
        }
    }

    /// Sends events to one more place, from now on.
    pub(crate) fn add_endpoint(&mut self, endpoint: Endpoint) {
        self.endpoints.push(endpoint);
    }

    /// Changes what goes wrong.
    pub(crate) fn turn(&mut self, knobs: Knobs) {
        self.random = StdRng::seed_from_u64(knobs.seed);
        self.knobs = knobs;
    }

    /// Takes over events that are new; whether there were any.
    pub(crate) fn collect(&mut self, events: &Table<Event>) -> bool {
        let before = self.collected;
        for event in events.iter().skip(before) {
            self.collected += 1;
            if self.knobs.drop > 0 {
                self.knobs.drop -= 1;
            } else {
                self.post(event);
            }
        }
        self.collected > before
    }

    /// Sends an event, once more if it was sent before.
    pub(crate) fn post(&mut self, event: &Event) {
        // Stripe sends indented JSON: whoever signs or checks something other than the raw bytes finds out.
        let body = Bytes::from(format!("{:#}", event.json()));
        for endpoint in &self.endpoints {
            for _ in 0..=self.knobs.duplicate {
                let shuffled = self.random.random_range(0..=self.knobs.shuffle_ms);
                self.waiting.push(Delivery {
                    endpoint: endpoint.clone(),
                    event: event.id().to_owned(),
                    body: body.clone(),
                    attempt: 1,
                    due: Instant::now() + Duration::from_millis(self.knobs.delay_ms + shuffled),
                    era: self.era,
                });
            }
        }
    }

    /// Takes what is due, earliest first, and tells when the next is.
    pub(crate) fn take_due(&mut self, now: Instant) -> (Vec<Delivery>, Option<Instant>) {
        if self.knobs.paused {
            return (Vec::new(), None);
        }
        self.waiting.sort_by_key(|delivery| delivery.due);
        let rest = self.waiting.partition_point(|delivery| delivery.due <= now);
        let later = self.waiting.split_off(rest);
        let due = std::mem::replace(&mut self.waiting, later);
        self.under_way += due.len();
        (due, self.waiting.first().map(|delivery| delivery.due))
    }

    /// Notes how a delivery went; one that failed waits for its next attempt.
    pub(crate) fn tried(&mut self, mut delivery: Delivery, status: Option<u16>) {
        if delivery.era != self.era {
            return;
        }
        self.under_way -= 1;
        if self.tried.len() == LOG_KEPT {
            self.tried.pop_front();
        }
        let Delivery { event, endpoint, attempt, .. } = &delivery;
        self.tried.push_back(Tried { event: event.clone(), url: endpoint.url.clone(), attempt: *attempt, status });
        let delivered = status.is_some_and(|status| (200..300).contains(&status));
        if !delivered && delivery.attempt < LAST_ATTEMPT {
            let pause = FIRST_PAUSE.saturating_mul(1 << delivery.attempt.min(16)).min(LONGEST_PAUSE);
            delivery.due = Instant::now() + pause;
            delivery.attempt += 1;
            self.waiting.push(delivery);
        }
    }

    /// Forgets everything but the endpoints.
    pub(crate) fn reset(&mut self) {
        *self = Self { era: self.era + 1, ..Self::new(std::mem::take(&mut self.endpoints)) };
    }

    /// As JSON, without secrets.
    pub(crate) fn json(&self) -> Value {
        let endpoints: Vec<&str> = self.endpoints.iter().map(|endpoint| endpoint.url.as_str()).collect();
        json!({
            "endpoints": endpoints,
            "knobs": self.knobs,
            "waiting": self.waiting.len() + self.under_way,
            "tried": self.tried,
        })
    }
}
