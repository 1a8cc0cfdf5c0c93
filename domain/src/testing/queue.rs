//! The queue as it stands, and jobs whose time has come sooner.

use chrono::{DateTime, Utc};
use humanchat_jobs::sessions::RemindOfSession;

use crate::{Store, id::SessionId};

/// A job's row.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct JobRow {
    /// Where it stands.
    pub state: String,
    /// When it was due.
    pub run_at: DateTime<Utc>,
    /// When it was last begun.
    pub started_at: Option<DateTime<Utc>>,
    /// How often its process died while it ran.
    pub rescues: i16,
}

/// Everything that stands in the queue, a line a job.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn queue_in_words(store: &Store) -> String {
    let jobs: Vec<String> = sqlx::query_scalar("select jobs::text from jobs order by id")
        .fetch_all(store.pool())
        .await
        .expect("jobs can be read");
    jobs.join("\n")
}

/// The jobs of a kind, oldest first.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn jobs(store: &Store, kind: &str) -> Vec<JobRow> {
    sqlx::query_as("select state, run_at, started_at, rescues from jobs where kind = $1 order by id")
        .bind(kind)
        .fetch_all(store.pool())
        .await
        .expect("jobs can be read")
}

/// Makes the leases of all running jobs look this much older; who lives renews theirs.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn age_leases(store: &Store, by: std::time::Duration) {
    sqlx::query("update jobs set lease_until = lease_until - $1 where state = 'running'")
        .bind(by)
        .execute(store.pool())
        .await
        .expect("leases can be aged");
}

/// Asks for a reminder of a session that was never moved, as if it were due now.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn remind_now(store: &Store, session_id: SessionId, minutes_before: i32) {
    let mut tx = store.begin(None).await.expect("the database answers");
    tx.enqueue(&RemindOfSession { session_id, version: 1, minutes_before }).expect("a job can be written");
    tx.commit().await.expect("a job can be stored");
}
