//! The queue as operators see it.

mod queries;

use humanchat_jobs::Queue;

use crate::{Store, error::Result};

/// What stands in a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Backlog {
    /// Which queue.
    pub queue: String,
    /// Jobs that are due.
    pub waiting: i64,
    /// Jobs that are due later.
    pub scheduled: i64,
    /// Jobs that a worker is at.
    pub running: i64,
    /// Jobs that were given up and wait for an operator.
    pub parked: i64,
    /// How many seconds the job that is due the longest has waited; 0 when none is due.
    pub oldest_seconds: f64,
}

/// What stands in each queue.
///
/// # Errors
/// The database's.
pub async fn backlogs(store: &Store) -> Result<Vec<Backlog>> {
    let queues = Queue::ALL.map(|queue| queue.as_str().to_owned());
    Ok(queries::backlogs(&store.pool, &queues, store.clock.now()).await?)
}

/// How many seconds the job that is due the longest has waited; 0 when none is due.
///
/// # Errors
/// The database's.
pub async fn lag(store: &Store) -> Result<f64> {
    Ok(queries::lag(&store.pool, store.clock.now()).await?)
}
