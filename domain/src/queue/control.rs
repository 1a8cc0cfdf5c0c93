//! What operators do with jobs and queues. Workers look at the table alone, so what is decided here
//! holds for all of them at once; what runs already is left to end.

use chrono::{DateTime, Utc};
use humanchat_jobs::Queue;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{Backlog, queries};
use crate::{
    Store,
    audit::{self, AuditAction},
    cursor::{Page, Scope, Window, cut},
    error::{Error, Refusal, Result},
    id::{JobId, UserId},
    text::{Timestamp, text_enum},
    tx::Tx,
};

text_enum! {
    /// Where a job stands.
    JobState {
        /// It waits, for its time or for a place.
        Available,
        /// A worker is at it.
        Running,
        /// It succeeded.
        Done,
        /// It was given up and waits for an operator.
        Parked,
        /// It was called off.
        Cancelled,
    }
}

impl JobState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Running => "running",
            Self::Done => "done",
            Self::Parked => "parked",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A job, as operators see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QueuedJob {
    /// Id.
    pub id: JobId,
    /// What is to be done.
    #[schema(example = "expire_invite")]
    pub kind: String,
    /// In which queue.
    pub queue: String,
    /// Where it stands.
    pub state: JobState,
    /// Lower runs first.
    pub priority: i16,
    /// To what: ids.
    #[schema(value_type = Object)]
    pub data: Value,
    /// When it is or was due.
    pub run_at: Timestamp,
    /// How often it was tried.
    pub attempt: i16,
    /// How often it is tried at most.
    pub max_attempts: i16,
    /// How often its process died under it.
    pub rescues: i16,
    /// At most one job of a kind and key waits.
    #[schema(required)]
    pub dedupe_key: Option<String>,
    /// The request it descends from.
    #[schema(required)]
    pub request_id: Option<String>,
    /// What went wrong the last time.
    #[schema(required)]
    pub last_error: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was last begun.
    #[schema(required)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(required)]
    pub finished_at: Option<Timestamp>,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct JobQuery {
    /// Only those of this queue.
    pub queue: Option<String>,
    /// Only those that stand so.
    #[param(inline)]
    pub state: Option<JobState>,
    /// Only those of this kind.
    pub kind: Option<String>,
}

/// Jobs, newest first. Finished ones are kept for three days.
///
/// # Errors
/// `BadCursor`.
pub async fn list(store: &Store, caller: UserId, query: &JobQuery, window: Window<'_>) -> Result<Page<QueuedJob>> {
    let scope = Scope { user_id: caller, route: "admin/jobs", filter: query };
    let before: Option<JobId> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let mut snapshot = store.snapshot().await?;
    let rows = queries::list(&mut snapshot, query, before, i64::from(window.limit) + 1).await?;
    let (items, more) = cut(rows, window.limit);
    let next = items.last().filter(|_| more).map(|job| store.seal(&scope, &job.id)).transpose()?;
    Ok(Page { items, next })
}

/// One job.
///
/// # Errors
/// `NotFound`.
pub async fn find(store: &Store, id: JobId) -> Result<QueuedJob> {
    let mut connection = store.pool.acquire().await?;
    let job = queries::find(&mut connection, id).await?;
    connection.give_back();
    Ok(job.ok_or(Refusal::NotFound("job"))?)
}

/// Makes a parked or cancelled job due now, as if it had never been tried.
///
/// # Errors
/// `NotFound`, `InvalidTransition`.
pub async fn retry(tx: &mut Tx, caller: UserId, id: JobId) -> Result<QueuedJob> {
    let before = locked(tx, id).await?;
    let now = tx.now();
    if !queries::retry(tx.conn(), id, now).await.map_err(another_waits)? {
        return Err(not_from(&before, "tried again"));
    }
    if let Ok(queue) = before.queue.parse() {
        tx.nudge(queue);
    }
    changed(tx, caller, AuditAction::JobRetried, &before).await
}

/// Calls a waiting or parked job off.
///
/// # Errors
/// `NotFound`, `InvalidTransition`.
pub async fn cancel(tx: &mut Tx, caller: UserId, id: JobId) -> Result<QueuedJob> {
    let before = locked(tx, id).await?;
    let now = tx.now();
    if !queries::cancel(tx.conn(), id, now).await? {
        return Err(not_from(&before, "cancelled"));
    }
    changed(tx, caller, AuditAction::JobCancelled, &before).await
}

/// Keeps workers from taking more from a queue. Pausing it again changes nothing.
///
/// # Errors
/// The database's.
pub async fn pause(tx: &mut Tx, caller: UserId, queue: Queue) -> Result<Backlog> {
    let now = tx.now();
    if queries::pause(tx.conn(), queue, now).await? {
        switched(tx, caller, queue, AuditAction::QueuePaused, true).await?;
    }
    backlog(tx, queue, now).await
}

/// Lets workers take from a queue again, at once.
///
/// # Errors
/// The database's.
pub async fn resume(tx: &mut Tx, caller: UserId, queue: Queue) -> Result<Backlog> {
    let now = tx.now();
    if queries::resume(tx.conn(), queue).await? {
        switched(tx, caller, queue, AuditAction::QueueResumed, false).await?;
        tx.nudge(queue);
    }
    backlog(tx, queue, now).await
}

async fn switched(tx: &mut Tx, caller: UserId, queue: Queue, action: AuditAction, paused: bool) -> Result<()> {
    let (before, after) = (json!({"paused": !paused}), json!({"paused": paused}));
    audit::record(tx, caller, action, queue.as_str(), (&before, &after)).await
}

async fn backlog(tx: &mut Tx, queue: Queue, now: DateTime<Utc>) -> Result<Backlog> {
    let name = [queue.as_str().to_owned()];
    let backlog = queries::backlogs(tx.conn(), &name, now).await?.pop();
    backlog.ok_or(Error::Internal("a queue has no backlog"))
}

/// No worker takes it, or says what became of it, until this unit of work ends.
async fn locked(tx: &mut Tx, id: JobId) -> Result<QueuedJob> {
    queries::lock(tx.conn(), id).await?;
    load(tx, id).await
}

async fn load(tx: &mut Tx, id: JobId) -> Result<QueuedJob> {
    Ok(queries::find(tx.conn(), id).await?.ok_or(Refusal::NotFound("job"))?)
}

async fn changed(tx: &mut Tx, caller: UserId, action: AuditAction, before: &QueuedJob) -> Result<QueuedJob> {
    let after = load(tx, before.id).await?;
    let states = (&json!({"state": before.state}), &json!({"state": after.state}));
    audit::record(tx, caller, action, &before.id.to_string(), states).await?;
    Ok(after)
}

fn not_from(job: &QueuedJob, what: &str) -> Error {
    Refusal::InvalidTransition(format!("a job that is {} can't be {what}", job.state.as_str())).into()
}

fn another_waits(error: sqlx::Error) -> Error {
    match error {
        sqlx::Error::Database(error) if error.constraint() == Some("jobs_waiting_key") => {
            Refusal::InvalidTransition("another job of the same kind and key waits".to_owned()).into()
        }
        error => error.into(),
    }
}
