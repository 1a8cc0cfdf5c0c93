//! Writes down what became of jobs: whatever is there at once, again and again until it is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use humanchat_domain::{clock::Clock, nudge::NUDGE_CHANNEL};
use humanchat_jobs::Queue;
use sqlx::PgConnection;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    backoff::{self, Outage},
    claim::{InHand, Settled, Verdict},
    link::Link,
    queries::{self, Change},
    wake::Bells,
};

const BATCH: usize = 500;
/// Bytes of an error message that are kept.
const LONGEST_ERROR: usize = 2_000;
/// Whoever looks for due jobs by himself does so at least this often.
const SOON: TimeDelta = TimeDelta::milliseconds(1_500);

/// The task that acknowledges.
#[derive(Debug)]
pub struct Acknowledger {
    /// What was settled.
    pub inbox: mpsc::UnboundedReceiver<Settled>,
    /// Its connection.
    pub link: Link,
    /// This process.
    pub owner: Uuid,
    /// The clock of due times.
    pub clock: Clock,
    /// What the process has in hand.
    pub in_hand: Arc<InHand>,
    /// The fetchers' bells.
    pub bells: Bells,
}

impl Acknowledger {
    /// Works until there is nobody left who could settle anything.
    pub async fn run(mut self) {
        let mut settled = Vec::with_capacity(BATCH);
        while self.inbox.recv_many(&mut settled, BATCH).await > 0 {
            let mut batch = Batch::default();
            let now = self.clock.now();
            for job in &settled {
                batch.add(job, self.owner, now);
            }
            self.write(&mut batch).await;
            self.in_hand.remove(settled.iter().map(|job| (job.id, job.claims)));
            for job in settled.drain(..) {
                drop(job.place);
                if job.kind.global_concurrency.is_some() {
                    self.bells.ring(job.queue);
                }
            }
        }
    }

    async fn write(&mut self, batch: &mut Batch) {
        let mut outage = Outage::default();
        let mut is_retry = false;
        loop {
            let clock = &self.clock;
            match self.link.run(async |conn| batch.write(conn, clock.now()).await).await {
                Ok(refused) if refused.is_empty() => return,
                // The first try may have been written although nobody told us.
                Ok(_) if is_retry => return,
                Ok(refused) => {
                    for id in refused {
                        let job_id = humanchat_domain::id::JobId(id);
                        tracing::warn!(%job_id, "acknowledged too late: the job is not this process' any more");
                    }
                    return;
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "not acknowledged yet");
                    is_retry = true;
                    tokio::time::sleep(outage.pause()).await;
                }
            }
        }
    }
}

/// Changes to be written, and what is left of them after a failure.
#[derive(Debug, Default)]
pub struct Batch {
    owner: Uuid,
    /// By how often they had been taken: almost always once.
    done: BTreeMap<i32, Vec<Uuid>>,
    /// Those that can't be in another's way.
    plain: Vec<Change>,
    /// Those that become available and have a key.
    keyed: Vec<Change>,
    refused: Vec<Uuid>,
    nudge: BTreeSet<Queue>,
}

impl Batch {
    /// Adds what follows from a verdict of this process.
    pub fn add(&mut self, job: &Settled, owner: Uuid, now: DateTime<Utc>) {
        self.owner = owner;
        if matches!(job.verdict, Some(Verdict::Done)) {
            self.done.entry(job.claims).or_default().push(job.id);
        } else if let Some(change) = change(job, owner, now) {
            self.add_change(change, job.keyed, Some(job.queue), now);
        }
    }

    /// Adds a change.
    pub fn add_change(&mut self, change: Change, keyed: bool, queue: Option<Queue>, now: DateTime<Utc>) {
        let is_available = change.state == "available";
        if is_available && change.run_at.is_none_or(|run_at| run_at <= now + SOON) {
            self.nudge.extend(queue);
        }
        if is_available && keyed { self.keyed.push(change) } else { self.plain.push(change) }
    }

    /// Writes it. After an error, writes what is left when it is called again. Returns the jobs that
    /// were not their owners' any more.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(&mut self, conn: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<Vec<Uuid>> {
        while let Some(done) = self.done.first_entry() {
            let written = queries::finish(conn, self.owner, *done.key(), done.get(), now).await?;
            let ids = done.remove();
            self.refuse(ids, &written);
        }
        if !self.plain.is_empty() {
            let written = queries::change(conn, &self.plain, now).await?;
            self.refuse(self.plain.iter().map(|change| change.id).collect(), &written);
            self.plain.clear();
        }
        while let Some(change) = self.keyed.last() {
            let id = change.id;
            if !queries::put_back(conn, change, now).await? {
                self.refused.push(id);
            }
            self.keyed.pop();
        }
        if !self.nudge.is_empty() {
            let queues: Vec<_> = self.nudge.iter().map(|queue| queue.as_str()).collect();
            queries::nudge(conn, NUDGE_CHANNEL, &queues.join(",")).await?;
            self.nudge.clear();
        }
        Ok(std::mem::take(&mut self.refused))
    }

    fn refuse(&mut self, all: Vec<Uuid>, written: &[Uuid]) {
        if written.len() < all.len() {
            self.refused.extend(all.into_iter().filter(|id| !written.contains(id)));
        }
    }
}

/// What a verdict other than "done" means for the row.
fn change(job: &Settled, owner: Uuid, now: DateTime<Utc>) -> Option<Change> {
    let (state, run_at, refund, error) = match &job.verdict {
        Some(Verdict::Done | Verdict::Lost) => return None,
        Some(Verdict::Retry(error)) if job.attempt < job.max_attempts => {
            ("available", Some(now + backoff::retry_after(job.attempt)), 0, Some(error))
        }
        Some(Verdict::Retry(error)) => (job.kind.when_spent.state(), None, 0, Some(error)),
        Some(Verdict::GiveUp(error)) => ("parked", None, 0, Some(error)),
        Some(Verdict::Snooze(pause)) => ("available", Some(now + backoff::delta(*pause)), 1, None),
        None => ("available", None, 1, None),
    };
    Some(Change {
        id: job.id,
        owner,
        claims: job.claims,
        state,
        run_at,
        refund,
        rescue: 0,
        error: error.map(|error| storable(error)),
        only_expired: false,
    })
}

/// Cut to what is kept, and without the one character that Postgres doesn't store.
fn storable(error: &str) -> String {
    let end = error.floor_char_boundary(LONGEST_ERROR);
    error[..end].replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_cut_between_characters_and_lose_their_nul() {
        assert_eq!(storable("a\0b"), "a\u{fffd}b");
        let long = "é".repeat(LONGEST_ERROR);
        let kept = storable(&format!("x{long}"));
        assert!(kept.len() <= LONGEST_ERROR && kept.ends_with('é'), "{}", kept.len());
    }
}
