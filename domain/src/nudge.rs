//! Wakes idle workers after a commit.
//!
//! `NOTIFY` inside the inserting transaction would serialise all commits, so nudges are gathered
//! for a moment and sent on a connection of their own. A lost nudge costs a second: workers look
//! by themselves.

use std::{collections::BTreeSet, time::Duration};

use humanchat_jobs::Queue;
use sqlx::PgPool;
use tokio::sync::mpsc;

use crate::queries;

/// The Postgres channel that workers listen on; the payload is a comma-separated list of queues.
pub const NUDGE_CHANNEL: &str = "humanchat_jobs";

const GATHER: Duration = Duration::from_millis(1);

/// Sends nudges in the background.
#[derive(Debug, Clone)]
pub struct Nudger(mpsc::UnboundedSender<Queue>);

impl Nudger {
    pub(crate) fn spawn(pool: PgPool) -> Self {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(first) = receiver.recv().await {
                let mut queues = BTreeSet::from([first]);
                send(&pool, &queues).await;
                queues.clear();
                tokio::time::sleep(GATHER).await;
                while let Ok(queue) = receiver.try_recv() {
                    queues.insert(queue);
                }
                if !queues.is_empty() {
                    send(&pool, &queues).await;
                }
            }
        });
        Self(sender)
    }

    /// Wakes the workers of a queue soon; never waits.
    pub fn nudge(&self, queue: Queue) {
        // The task ends only with the runtime.
        self.0.send(queue).ok();
    }
}

async fn send(pool: &PgPool, queues: &BTreeSet<Queue>) {
    let names: Vec<_> = queues.iter().map(|queue| queue.as_str()).collect();
    if let Err(error) = queries::notify(pool, NUDGE_CHANNEL, &names.join(",")).await {
        tracing::debug!(%error, "a nudge was not sent; workers look by themselves");
    }
}
