//! A job in hand: taken from the queue, and not yet acknowledged.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};
use humanchat_jobs::Queue;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::registry::Kind;

/// As many jobs as this times the concurrency may be in hand: those that run, and those that ended and wait for their
/// acknowledgement. The more there are, the more share one commit; when the process dies, all of them run again.
const UNACKNOWLEDGED: usize = 20;

/// What became of a run.
#[derive(Debug)]
pub enum Verdict {
    /// It is done.
    Done,
    /// It failed and may be tried again.
    Retry(String),
    /// It failed for good.
    GiveUp(String),
    /// It wants to run again later; no attempt is charged.
    Snooze(Duration),
    /// Somebody else has it by now, so there is nothing to say.
    Lost,
}

/// What the queue tells about a job that was taken.
#[derive(Debug)]
pub struct ClaimedJob {
    /// Its id.
    pub id: Uuid,
    /// Its kind.
    pub kind: Arc<Kind>,
    /// Where it waited, which may be another queue than its kind's.
    pub queue: Queue,
    /// Its payload, not decoded.
    pub data: Box<RawValue>,
    /// Which attempt this is, from 1.
    pub attempt: i16,
    /// The request it descends from.
    pub request_id: Option<String>,
    /// The span it was asked for in, as W3C trace context.
    pub traceparent: Option<String>,
    /// When it was due.
    pub run_at: DateTime<Utc>,
    /// Cancelled when the lease is lost: whoever runs it should stop.
    pub lost: CancellationToken,
}

/// A job together with the duty to say what became of it.
#[derive(Debug)]
pub struct Claim {
    /// The job.
    pub job: ClaimedJob,
    /// The duty.
    pub ticket: Option<Ticket>,
}

/// The duty to settle a job. Dropped unsettled, it hands the job back.
#[derive(Debug)]
pub struct Ticket(Option<(OwnedSemaphorePermit, Settled, mpsc::UnboundedSender<Settled>)>);

/// A job on its way to the acknowledger.
#[derive(Debug)]
pub struct Settled {
    pub(crate) id: Uuid,
    pub(crate) claims: i32,
    pub(crate) kind: Arc<Kind>,
    pub(crate) queue: Queue,
    pub(crate) keyed: bool,
    pub(crate) attempt: i16,
    pub(crate) max_attempts: i16,
    /// `None` hands it back: it was not begun or not finished, and no attempt is charged.
    pub(crate) verdict: Option<Verdict>,
    /// Its place among what is in hand, until it is acknowledged.
    pub(crate) place: OwnedSemaphorePermit,
}

impl Claim {
    /// Which taking of which job this is, and how to tell of a lost lease.
    pub(crate) fn held(&self) -> Option<(Uuid, i32, CancellationToken)> {
        let (_, settled, _) = self.ticket.as_ref()?.0.as_ref()?;
        Some((settled.id, settled.claims, self.job.lost.clone()))
    }
}

impl Ticket {
    pub(crate) fn new(running: OwnedSemaphorePermit, job: Settled, outbox: mpsc::UnboundedSender<Settled>) -> Self {
        Self(Some((running, job, outbox)))
    }

    /// Says what became of the job. Its place is free from now on.
    pub fn settle(mut self, verdict: Verdict) {
        self.send(Some(verdict));
    }

    fn send(&mut self, verdict: Option<Verdict>) {
        if let Some((running, mut job, outbox)) = self.0.take() {
            drop(running);
            job.verdict = verdict;
            // Without an acknowledger the process is at its end, and the lease runs out.
            drop(outbox.send(job));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.send(std::thread::panicking().then(|| Verdict::Retry("panicked".to_owned())));
    }
}

/// A queue's places in this process: how many jobs may run, and how many may be in hand.
#[derive(Debug, Clone)]
pub struct Places {
    running: Arc<Semaphore>,
    in_hand: Arc<Semaphore>,
    most_in_hand: u32,
}

/// Free places that were taken together.
#[derive(Debug)]
pub struct FreePlaces {
    running: OwnedSemaphorePermit,
    in_hand: OwnedSemaphorePermit,
}

impl Places {
    /// Places for `concurrency` jobs.
    pub fn new(concurrency: usize) -> Self {
        let most_in_hand = concurrency.saturating_mul(UNACKNOWLEDGED).clamp(1, 1 << 20);
        Self {
            running: Arc::new(Semaphore::new(concurrency.max(1))),
            in_hand: Arc::new(Semaphore::new(most_in_hand)),
            most_in_hand: u32::try_from(most_in_hand).unwrap_or(u32::MAX),
        }
    }

    /// Takes all free places, `most` at most; waits for the first. `None` when nobody may fetch any
    /// more.
    pub async fn take(&self, most: usize) -> Option<FreePlaces> {
        let mut running = self.running.clone().acquire_owned().await.ok()?;
        let mut in_hand = self.in_hand.clone().acquire_owned().await.ok()?;
        let more = most.saturating_sub(1).min(self.running.available_permits()).min(self.in_hand.available_permits());
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        running.merge(try_more(&self.running, more)?);
        in_hand.merge(try_more(&self.in_hand, more)?);
        Some(FreePlaces { running, in_hand })
    }

    /// Waits until nothing is in hand.
    pub async fn all_free(&self) {
        drop(self.in_hand.acquire_many(self.most_in_hand).await);
    }
}

/// Nobody else takes places, so those that were seen free are.
fn try_more(places: &Arc<Semaphore>, more: u32) -> Option<OwnedSemaphorePermit> {
    match places.clone().try_acquire_many_owned(more) {
        Ok(permits) => Some(permits),
        Err(TryAcquireError::NoPermits) => places.clone().try_acquire_many_owned(0).ok(),
        Err(TryAcquireError::Closed) => None,
    }
}

impl FreePlaces {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.running.num_permits().min(self.in_hand.num_permits())
    }

    /// Takes one out.
    pub(crate) fn one(&mut self) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        Some((self.running.split(1)?, self.in_hand.split(1)?))
    }
}

/// Everything this process has in hand, for the keeper of its leases.
#[derive(Debug, Default)]
pub struct InHand(Mutex<HashMap<Uuid, Held>>);

#[derive(Debug)]
struct Held {
    claims: i32,
    lost: CancellationToken,
}

impl InHand {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes jobs that were taken: id, which taking, and how to tell of a lost lease.
    pub(crate) fn add(&self, jobs: impl Iterator<Item = (Uuid, i32, CancellationToken)>) {
        self.lock().extend(jobs.map(|(id, claims, lost)| (id, Held { claims, lost })));
    }

    /// Forgets a taking that was acknowledged.
    pub(crate) fn remove(&self, jobs: impl Iterator<Item = (Uuid, i32)>) {
        let mut held = self.lock();
        for (id, claims) in jobs {
            if held.get(&id).is_some_and(|job| job.claims == claims) {
                held.remove(&id);
            }
        }
    }

    pub(crate) fn all(&self) -> Vec<(Uuid, i32)> {
        self.lock().iter().map(|(id, job)| (*id, job.claims)).collect()
    }

    pub(crate) fn contains(&self, id: Uuid, claims: i32) -> bool {
        self.lock().get(&id).is_some_and(|job| job.claims == claims)
    }

    /// Tells whoever runs this taking that it is somebody else's by now.
    pub(crate) fn lose(&self, id: Uuid, claims: i32) {
        if let Some(job) = self.lock().get(&id).filter(|job| job.claims == claims) {
            job.lost.cancel();
        }
    }
}
