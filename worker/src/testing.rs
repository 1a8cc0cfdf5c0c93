//! Runs the queue by hand, for tests of whatever enqueues.

use std::sync::Arc;

use humanchat_domain::Store;
use humanchat_jobs::{Queue, WhenSpent};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    queue::{
        acknowledge::Batch,
        claim::{InHand, Places, Settled, Verdict},
        fetch::Fetcher,
        link::Link,
        wake::Bells,
    },
    registry::Registry,
    runner,
    runtime::Options,
};

/// More rounds than this are a job that asks for itself without end.
const MOST_JOBS: usize = 10_000;

/// How a job's run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It failed and waits for its next attempt.
    Retried(String),
    /// It failed for good, or for the last time, and waits for an operator.
    Parked(String),
    /// It failed for the last time and was called off.
    Cancelled(String),
    /// It wants to run again later.
    Snoozed,
    /// It did not end: its lease was lost, or it was aborted.
    Unfinished,
}

impl Outcome {
    fn of(job: &Settled) -> Self {
        match &job.verdict {
            Some(Verdict::Done) => Self::Done,
            Some(Verdict::Retry(error)) if job.attempt < job.max_attempts => Self::Retried(error.clone()),
            Some(Verdict::Retry(error)) if job.kind.when_spent == WhenSpent::Cancel => Self::Cancelled(error.clone()),
            Some(Verdict::Retry(error) | Verdict::GiveUp(error)) => Self::Parked(error.clone()),
            Some(Verdict::Snooze(_)) => Self::Snoozed,
            None | Some(Verdict::Lost) => Self::Unfinished,
        }
    }
}

/// Runs every job of [`Registry::all`] that is due by the store's clock, one after the other, and
/// those that they ask for, until none is due. Says what ran and how it ended, in that order.
///
/// # Panics
/// When the database fails, or there is no end to the jobs.
pub async fn drain(store: &Store) -> Vec<(&'static str, Outcome)> {
    drain_with(store, Registry::all()).await
}

/// [`drain`] with other handlers.
///
/// # Panics
/// As [`drain`] does.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn drain_with(store: &Store, registry: Registry) -> Vec<(&'static str, Outcome)> {
    let owner = Uuid::now_v7();
    let options = Options::default();
    let (outbox, mut inbox) = mpsc::unbounded_channel();
    let registry = Arc::new(registry);
    let shared_store = Arc::new(store.clone());
    let mut link = Link::new(store.pool());
    let fetcher = |queue| Fetcher {
        queue,
        registry: registry.clone(),
        places: Places::new(1),
        link: Link::new(store.pool()),
        owner,
        lease: options.lease,
        look_every: options.look_every,
        clock: store.clock().clone(),
        in_hand: Arc::new(InHand::default()),
        bells: Bells::new(&[]),
        outbox: outbox.clone(),
    };
    let mut fetchers: Vec<_> = Queue::ALL.into_iter().map(fetcher).collect();
    let mut outcomes = Vec::new();
    loop {
        let before = outcomes.len();
        for fetcher in &mut fetchers {
            for claim in fetcher.fetch_once().await.expect("jobs can be fetched") {
                runner::run_one(shared_store.clone(), claim).await;
                let settled = inbox.recv().await.expect("the job was settled");
                outcomes.push((settled.kind.name, Outcome::of(&settled)));
                let now = store.clock().now();
                let mut batch = Batch::default();
                batch.add(&settled, owner, now);
                link.run(async |conn| batch.write(conn, now).await).await.expect("jobs can be acknowledged");
            }
        }
        if outcomes.len() == before {
            return outcomes;
        }
        assert!(outcomes.len() < MOST_JOBS, "there is no end to the jobs: {:?}", &outcomes[MOST_JOBS - 10..]);
    }
}
