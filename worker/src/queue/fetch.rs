//! Takes due jobs out of a queue, as many as there are free places, and waits well when there are none.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use humanchat_domain::clock::Clock;
use humanchat_jobs::Queue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    backoff::Outage,
    claim::{Claim, ClaimedJob, FreePlaces, InHand, Places, Settled, Ticket},
    link::Link,
    queries::{self, Row, Wanted},
    wake::Bells,
};
use crate::registry::Registry;

/// Jobs of one statement.
const MOST: usize = 200;
/// From its beginning, which is when its jobs are due, to its commit a unit of work takes less than
/// this, almost always. What took longer is found by the next look from the beginning.
const LONGEST_COMMIT: TimeDelta = TimeDelta::seconds(2);
const BEGINNING: (DateTime<Utc>, Uuid) = (DateTime::UNIX_EPOCH, Uuid::nil());
/// When another worker is just taking jobs of a limited kind.
const CONTENDED: Duration = Duration::from_millis(20);

/// The task that takes jobs.
#[derive(Debug)]
pub struct Fetcher {
    /// From where.
    pub queue: Queue,
    /// Which kinds.
    pub registry: Arc<Registry>,
    /// How many.
    pub places: Places,
    /// Its connection.
    pub link: Link,
    /// This process.
    pub owner: Uuid,
    /// How long a job may go without a renewal.
    pub lease: Duration,
    /// How long to wait at most before looking again.
    pub look_every: Duration,
    /// The clock of due times.
    pub clock: Clock,
    /// Where to note what was taken.
    pub in_hand: Arc<InHand>,
    /// What wakes it.
    pub bells: Bells,
    /// Where verdicts go.
    pub outbox: mpsc::UnboundedSender<Settled>,
}

/// What a round of fetching found.
#[derive(Debug, Default)]
struct Round {
    claims: Vec<Claim>,
    /// Another worker held a limited kind.
    contended: bool,
}

/// The kinds as fetching sees them.
#[derive(Debug)]
struct Kinds {
    unlimited: Vec<String>,
    limited: Vec<String>,
    priorities: BTreeMap<i16, Cursor>,
}

/// Where to begin to look within a priority.
#[derive(Debug)]
struct Cursor {
    from: (DateTime<Utc>, Uuid),
    /// When everything was looked through the last time.
    from_beginning: Option<Instant>,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { from: BEGINNING, from_beginning: None }
    }
}

impl Cursor {
    /// Where to begin this time: at the beginning every now and then.
    fn next(&mut self, look_every: Duration) -> (DateTime<Utc>, Uuid) {
        if self.from_beginning.is_none_or(|at| at.elapsed() >= look_every) {
            *self = Self { from: BEGINNING, from_beginning: Some(Instant::now()) };
        }
        self.from
    }

    /// Notes what was found, looking for `limit` jobs.
    fn found(&mut self, rows: &[Row], limit: usize, now: DateTime<Utc>) {
        self.from = match rows.last() {
            Some(last) if rows.len() == limit => (last.run_at, last.id),
            _ => (now - LONGEST_COMMIT, Uuid::nil()),
        };
    }
}

impl Fetcher {
    /// Fetches until `stop`; hands on what it takes.
    pub async fn run(mut self, work: mpsc::UnboundedSender<Claim>, stop: CancellationToken) {
        let mut kinds = self.kinds();
        let mut outage = Outage::default();
        loop {
            let places = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                places = self.places.take(MOST) => places,
            };
            let Some(places) = places else { return };
            let wanted = places.count();
            let found = self.fetch(places, &mut kinds).await;
            let pause = match found {
                Ok(round) => {
                    outage.over();
                    let count = round.claims.len();
                    if stop.is_cancelled() {
                        // Dropped, they are handed back.
                        return;
                    }
                    for claim in round.claims {
                        if work.send(claim).is_err() {
                            return;
                        }
                    }
                    if count == wanted {
                        continue;
                    }
                    match self.look_ahead(&mut kinds).await {
                        Ok(pause) if round.contended => pause.min(CONTENDED),
                        Ok(pause) => pause,
                        Err(error) => self.failed(&error, &mut outage),
                    }
                }
                Err(error) => self.failed(&error, &mut outage),
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.bells.heard(self.queue) => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn failed(&self, error: &sqlx::Error, outage: &mut Outage) -> Duration {
        tracing::warn!(queue = self.queue.as_str(), error = error as &dyn std::error::Error, "can't fetch jobs");
        outage.pause()
    }

    /// Everything the registry knows, whatever its queue: a kind may have been moved while jobs of
    /// it waited here. Limited ones are looked for in their own queue only.
    fn kinds(&self) -> Kinds {
        let mut kinds = Kinds { unlimited: Vec::new(), limited: Vec::new(), priorities: BTreeMap::new() };
        for kind in self.registry.kinds() {
            let is_here = kind.queue == self.queue;
            if kind.global_concurrency.is_none() {
                kinds.unlimited.push(kind.name.to_owned());
            } else if is_here {
                kinds.limited.push(kind.name.to_owned());
            }
            if is_here {
                kinds.priorities.entry(kind.priority).or_default();
            }
        }
        kinds
    }

    /// Takes what is due now, once. For whoever drives the queue by hand.
    #[cfg(feature = "testing")]
    pub(crate) async fn fetch_once(&mut self) -> sqlx::Result<Vec<Claim>> {
        let mut kinds = self.kinds();
        self.look_ahead(&mut kinds).await?;
        let Some(places) = self.places.take(1).await else { return Ok(Vec::new()) };
        Ok(self.fetch(places, &mut kinds).await?.claims)
    }

    async fn fetch(&mut self, mut places: FreePlaces, kinds: &mut Kinds) -> sqlx::Result<Round> {
        let now = self.clock.now();
        let mut round = Round::default();
        for (priority, cursor) in &mut kinds.priorities {
            let limit = places.count();
            if limit == 0 {
                break;
            }
            let from = cursor.next(self.look_every);
            let wanted = Wanted { from, ..self.wanted(*priority, &kinds.unlimited, limit, now) };
            let rows = self.link.run(async |conn| queries::fetch(conn, wanted).await).await?;
            cursor.found(&rows, limit, now);
            self.claim(rows, &mut places, &mut round);
        }
        if !kinds.limited.is_empty() && places.count() > 0 {
            self.fetch_limited(&mut places, kinds, now, &mut round).await?;
        }
        Ok(round)
    }

    async fn fetch_limited(
        &mut self,
        places: &mut FreePlaces,
        kinds: &Kinds,
        now: DateTime<Utc>,
        round: &mut Round,
    ) -> sqlx::Result<()> {
        let priorities: Vec<_> = kinds.priorities.keys().copied().collect();
        let queue = self.queue;
        let look = async |conn: &mut _| queries::due_kinds(conn, queue, &priorities, &kinds.limited, now).await;
        for (priority, name) in self.link.run(look).await? {
            let Some(most) = self.registry.get(&name).and_then(|kind| kind.global_concurrency) else { continue };
            if places.count() == 0 {
                break;
            }
            let names = [name];
            let wanted = self.wanted(priority, &names, places.count(), now);
            let take = async |conn: &mut _| queries::fetch_limited(conn, &names[0], most, wanted).await;
            match self.link.run(take).await? {
                Some(rows) => self.claim(rows, places, round),
                None => round.contended = true,
            }
        }
        Ok(())
    }

    fn wanted<'a>(&self, priority: i16, kinds: &'a [String], limit: usize, now: DateTime<Utc>) -> Wanted<'a> {
        let (queue, owner, lease) = (self.queue, self.owner, self.lease);
        Wanted { queue, priority, kinds, limit, now, from: BEGINNING, owner, lease }
    }

    fn claim(&self, rows: Vec<Row>, places: &mut FreePlaces, round: &mut Round) {
        let before = round.claims.len();
        for row in rows {
            // Neither can be missing: known kinds were asked for, and no more than there are places.
            let (Some(kind), Some((running, place))) = (self.registry.get(&row.kind), places.one()) else { continue };
            let job = ClaimedJob {
                id: row.id,
                kind: kind.clone(),
                queue: self.queue,
                data: row.data.0,
                attempt: row.attempt,
                request_id: row.request_id,
                traceparent: row.traceparent,
                run_at: row.run_at,
                lost: CancellationToken::new(),
            };
            let settled = Settled {
                id: row.id,
                claims: row.claims,
                kind: kind.clone(),
                queue: self.queue,
                keyed: row.keyed,
                attempt: row.attempt,
                max_attempts: row.max_attempts,
                verdict: None,
                place,
            };
            round.claims.push(Claim { job, ticket: Some(Ticket::new(running, settled, self.outbox.clone())) });
        }
        let new = &round.claims[before..];
        self.in_hand.add(new.iter().filter_map(Claim::held));
    }

    /// Notes priorities that no constant names any more, and says how long nothing will be due.
    async fn look_ahead(&mut self, kinds: &mut Kinds) -> sqlx::Result<Duration> {
        let (queue, now) = (self.queue, self.clock.now());
        let waiting = self.link.run(async |conn| queries::look_ahead(conn, queue, now).await).await?;
        let known = kinds.priorities.len();
        for (priority, _) in &waiting {
            kinds.priorities.entry(*priority).or_default();
        }
        if kinds.priorities.len() > known {
            return Ok(Duration::ZERO);
        }
        let next = waiting.iter().filter_map(|(_, run_at)| *run_at).min();
        let until = |due: DateTime<Utc>| (due - self.clock.now()).to_std().unwrap_or_default();
        Ok(next.map_or(self.look_every, |due| until(due).min(self.look_every)))
    }
}
