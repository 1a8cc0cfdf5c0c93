//! The queue as operators see it, and what they may do with it.

mod control;
mod queries;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;

pub use control::{JobQuery, JobState, QueuedJob, cancel, find, list, pause, resume, retry};
pub use humanchat_jobs::Queue;

use crate::{Store, error::Result, text::Timestamp};

/// What stands in a queue.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Backlog {
    /// Which queue.
    #[serde(rename = "name")]
    #[schema(example = "default")]
    pub queue: String,
    /// Since when it is paused: workers take nothing from it, what runs goes on.
    #[schema(required)]
    pub paused_at: Option<Timestamp>,
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
    /// How many jobs were done a second, over the last ten seconds.
    pub done_per_second: f64,
}

/// What stands in each queue.
///
/// # Errors
/// The database's.
pub async fn backlogs(store: &Store) -> Result<Vec<Backlog>> {
    backlogs_at(&store.pool, store.clock.now()).await
}

pub(crate) async fn backlogs_at(conn: impl PgExecutor<'_>, now: DateTime<Utc>) -> Result<Vec<Backlog>> {
    let queues = Queue::ALL.map(|queue| queue.as_str().to_owned());
    Ok(queries::backlogs(conn, &queues, now).await?)
}

/// How many seconds the job that is due the longest has waited; 0 when none is due.
///
/// # Errors
/// The database's.
pub async fn lag(store: &Store) -> Result<f64> {
    Ok(queries::lag(&store.pool, store.clock.now()).await?)
}
