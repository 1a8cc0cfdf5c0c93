//! Wakes fetchers: on a nudge from Postgres, or from inside the process.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use humanchat_domain::{nudge::NUDGE_CHANNEL, pool::Pool};
use humanchat_jobs::Queue;
use sqlx::postgres::PgListener;
use tokio::sync::Notify;

use super::{backoff::Outage, link};

/// An ear that hears nothing, not even that its connection is gone, is replaced after this long.
const LONGEST_SILENCE: Duration = Duration::from_mins(1);

/// A bell for each queue that is served. A ring is kept until somebody waits for it.
#[derive(Debug, Clone)]
pub struct Bells(Arc<BTreeMap<Queue, Notify>>);

impl Bells {
    /// Bells for these queues.
    pub fn new(queues: &[Queue]) -> Self {
        Self(Arc::new(queues.iter().map(|queue| (*queue, Notify::new())).collect()))
    }

    /// Wakes a queue's fetcher, if there is one here.
    pub fn ring(&self, queue: Queue) {
        if let Some(bell) = self.0.get(&queue) {
            bell.notify_one();
        }
    }

    fn ring_all(&self) {
        self.0.values().for_each(Notify::notify_one);
    }

    /// Waits until the queue's bell rings, or has rung since the last time.
    pub async fn heard(&self, queue: Queue) {
        match self.0.get(&queue) {
            Some(bell) => bell.notified().await,
            None => std::future::pending().await,
        }
    }
}

/// Rings the bells for every nudge, for as long as it is polled. What was missed while the
/// connection was away counts as a nudge to all.
pub async fn listen(pool: &Pool, bells: Bells) {
    let mut outage = Outage::default();
    loop {
        let error = match hear(pool, &bells, &mut outage).await {
            Ok(()) => continue,
            Err(error) => error,
        };
        tracing::debug!(error = &error as &dyn std::error::Error, "no nudges now; fetchers look by themselves");
        tokio::time::sleep(outage.pause()).await;
    }
}

async fn hear(pool: &Pool, bells: &Bells, outage: &mut Outage) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(&link::listening_pool(pool)).await?;
    listener.listen(NUDGE_CHANNEL).await?;
    outage.over();
    bells.ring_all();
    while let Ok(heard) = tokio::time::timeout(LONGEST_SILENCE, listener.try_recv()).await {
        match heard? {
            Some(nudge) => {
                let named = |queue: &&Queue| nudge.payload().split(',').any(|name| name == queue.as_str());
                Queue::ALL.iter().filter(named).for_each(|queue| bells.ring(*queue));
            }
            None => bells.ring_all(),
        }
    }
    Ok(())
}
