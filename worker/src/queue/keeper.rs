//! Keeps the leases of jobs in hand, and rescues the jobs of processes that died.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use humanchat_domain::{clock::Clock, id::JobId};
use humanchat_jobs::{Queue, WhenSpent};
use sqlx::Connection;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::{
    acknowledge::Batch,
    backoff::{self, Outage},
    claim::InHand,
    link::Link,
    queries::{self, Change, Expired},
};
use crate::registry::Registry;

/// A job whose process died this often is parked.
const LIVES: i16 = 3;
const BATCH: i64 = 500;

/// The task that renews and rescues.
#[derive(Debug)]
pub struct Keeper {
    /// For the renewals, and the lock of whoever rescues.
    pub link: Link,
    /// For the rescued jobs.
    pub rescue_link: Link,
    /// This process.
    pub owner: Uuid,
    /// What is known of kinds.
    pub registry: Arc<Registry>,
    /// What the process has in hand.
    pub in_hand: Arc<InHand>,
    /// The clock of due times.
    pub clock: Clock,
    /// How long a lease is.
    pub lease: Duration,
    /// How often leases are renewed.
    pub renew_every: Duration,
    /// How often expired leases are looked for.
    pub rescue_every: Duration,
    /// A job that is rescued for the second time starts somewhere within this time.
    pub spread: Duration,
}

impl Keeper {
    /// Renews and rescues for as long as it is polled.
    pub async fn run(mut self) {
        let tick = self.rescue_every.min(self.renew_every);
        // A bit early is fine, a whole tick late isn't.
        let almost_due = self.renew_every.saturating_sub(tick / 2);
        let mut ticks = tokio::time::interval(tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut renewed: Option<Instant> = None;
        let mut outage = Outage::default();
        // Since when the database has always answered.
        let mut steady: Option<Instant> = None;
        loop {
            ticks.tick().await;
            if renewed.is_none_or(|at| at.elapsed() >= almost_due) {
                match self.renew().await {
                    Ok(()) => {
                        outage.over();
                        renewed = Some(Instant::now());
                        steady = steady.or(renewed);
                    }
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "leases were not renewed");
                        (renewed, steady) = (None, None);
                        ticks.reset_after(outage.pause());
                        continue;
                    }
                }
            }
            // After an outage of the database, live workers come first: they have to renew theirs.
            if steady.is_some_and(|since| since.elapsed() >= self.renew_every)
                && let Err(error) = self.rescue().await
            {
                tracing::warn!(error = &error as &dyn std::error::Error, "expired jobs were not rescued");
                steady = None;
            }
        }
    }

    async fn renew(&mut self) -> sqlx::Result<()> {
        let mine = self.in_hand.all();
        let ids: Vec<_> = mine.iter().map(|(id, _)| *id).collect();
        let (owner, lease) = (self.owner, self.lease);
        let held = self.link.run(async |conn| queries::renew(conn, owner, &ids, lease).await).await?;
        let held: HashSet<_> = held.into_iter().collect();
        // What was acknowledged meanwhile is missing too; telling a job that has ended does no harm.
        for (id, claims) in mine.into_iter().filter(|job| !held.contains(job)) {
            self.in_hand.lose(id, claims);
        }
        Ok(())
    }

    async fn rescue(&mut self) -> sqlx::Result<()> {
        let Self { link, rescue_link, clock, registry, in_hand, owner, spread, .. } = self;
        link.run(async |conn| {
            let mut tx = conn.begin().await?;
            if queries::lock_rescue(&mut tx).await? {
                let expired = queries::expired(&mut tx, BATCH).await?;
                let now = clock.now();
                let rescue = Rescue { registry, me: *owner, now, spread: *spread };
                let mut batch = Batch::default();
                for job in expired {
                    if job.owner == *owner && in_hand.contains(job.id, job.claims) {
                        continue;
                    }
                    let queue = Queue::ALL.into_iter().find(|queue| queue.as_str() == job.queue);
                    batch.add_change(rescue.change(&job), job.keyed, queue, now);
                }
                // Refused ones were renewed, or have ended, a moment ago.
                rescue_link.run(async |conn| batch.write(conn, now).await).await?;
            }
            tx.commit().await
        })
        .await
    }
}

/// A look at jobs whose lease has run out.
struct Rescue<'a> {
    registry: &'a Registry,
    me: Uuid,
    now: DateTime<Utc>,
    spread: Duration,
}

impl Rescue<'_> {
    /// What becomes of one of them.
    fn change(&self, job: &Expired) -> Change {
        let job_id = JobId(job.id);
        let kind = &job.kind;
        let mut change = Change {
            id: job.id,
            owner: job.owner,
            claims: job.claims,
            state: "available",
            run_at: None,
            refund: 0,
            rescue: 1,
            error: Some("its process died".to_owned()),
            only_expired: true,
        };
        let deaths = job.rescues + 1;
        if job.owner == self.me {
            // Taken, but the answer got lost on its way here: it never began.
            (change.refund, change.rescue, change.error) = (1, 0, None);
            tracing::warn!(%job_id, kind, "handed back: the database took it for us and we never heard of it");
        } else if deaths >= LIVES {
            (change.state, change.error) = ("parked", Some(format!("its process died {LIVES} times")));
            tracing::error!(%job_id, kind, "parked: its process died {LIVES} times");
        } else if job.attempt >= job.max_attempts {
            let when_spent = self.registry.get(kind).map_or(WhenSpent::Park, |kind| kind.when_spent);
            (change.state, change.error) =
                (when_spent.state(), Some("its process died in the last attempt".to_owned()));
            tracing::error!(%job_id, kind, "{}: its process died in the last attempt", change.state);
        } else {
            // Jobs that died together start apart, so that the one to blame dies alone next time.
            let pause = if deaths > 1 { self.spread.mul_f64(rand::random_range(0.0..=1.0)) } else { Duration::ZERO };
            change.run_at = Some(self.now + backoff::delta(pause));
            tracing::warn!(%job_id, kind, deaths, "rescued: its process died");
        }
        change
    }
}
