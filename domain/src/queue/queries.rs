//! SQL about the queue.

use chrono::{DateTime, Utc};
use humanchat_jobs::Queue;
use sqlx::{PgConnection, PgExecutor};

use super::{Backlog, JobQuery, JobState, QueuedJob};
use crate::{id::JobId, pool::Pool, text::Timestamp};

/// Steps from lane to lane through the index, so that a million jobs due later cost nothing.
pub(super) async fn lag(pool: &Pool, now: DateTime<Utc>) -> sqlx::Result<f64> {
    sqlx::query_scalar!(
        r#"with recursive lanes as (
             (select queue, priority, run_at from jobs where state = 'available'
              order by queue, priority, run_at limit 1)
             union all
             select next.* from lanes, lateral (
               select j.queue, j.priority, j.run_at from jobs j
               where j.state = 'available' and (j.queue, j.priority) > (lanes.queue, lanes.priority)
               order by j.queue, j.priority, j.run_at limit 1) next
           )
           select greatest(coalesce(extract(epoch from $1::timestamptz - min(run_at)), 0), 0)::float8 as "lag!" from lanes"#,
        now,
    )
    .fetch_one(pool)
    .await
}

pub(super) async fn backlogs(
    conn: impl PgExecutor<'_>,
    queues: &[String],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Backlog>> {
    sqlx::query_as!(
        Backlog,
        r#"select q.queue as "queue!", (select paused_at from queue_pauses p where p.queue = q.queue) as "paused_at: Timestamp", a.waiting as "waiting!", a.scheduled as "scheduled!", a.oldest_seconds as "oldest_seconds!",
             (select count(*) from jobs j where j.state = 'running' and j.queue = q.queue) as "running!",
             (select count(*) from jobs j where j.state = 'parked' and j.queue = q.queue) as "parked!",
             coalesce(d.done, 0) / 10.0::float8 as "done_per_second!"
           from unnest($1::text[]) q(queue) left join (
             select queue, count(*) as done from jobs
             where state = 'done' and finished_at > $2::timestamptz - interval '10 seconds' and finished_at <= $2
             group by queue) d on d.queue = q.queue, lateral (
             select count(*) filter (where run_at <= $2) as waiting, count(*) filter (where run_at > $2) as scheduled,
               greatest(coalesce(extract(epoch from $2::timestamptz - min(run_at)), 0), 0)::float8 as oldest_seconds
             from jobs j where j.state = 'available' and j.queue = q.queue) a"#,
        queues,
        now,
    )
    .fetch_all(conn)
    .await
}

/// A page of jobs, newest first.
pub(super) async fn list(
    conn: &mut PgConnection,
    query: &JobQuery,
    before: Option<JobId>,
    limit: i64,
) -> sqlx::Result<Vec<QueuedJob>> {
    sqlx::query_as!(
        QueuedJob,
        r#"select id as "id: JobId", kind, queue, state as "state: JobState", priority, data, run_at as "run_at: Timestamp",
                  attempt, max_attempts, rescues, dedupe_key, request_id, last_error, created_at as "created_at: Timestamp",
                  started_at as "started_at: Timestamp", finished_at as "finished_at: Timestamp"
           from jobs
           where ($1::text is null or queue = $1) and ($2::text is null or state = $2) and ($3::text is null or kind = $3)
             and ($4::uuid is null or id < $4)
           order by id desc limit $5"#,
        query.queue,
        query.state as Option<JobState>,
        query.kind,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

pub(super) async fn find(conn: &mut PgConnection, id: JobId) -> sqlx::Result<Option<QueuedJob>> {
    sqlx::query_as!(
        QueuedJob,
        r#"select id as "id: JobId", kind, queue, state as "state: JobState", priority, data, run_at as "run_at: Timestamp",
                  attempt, max_attempts, rescues, dedupe_key, request_id, last_error, created_at as "created_at: Timestamp",
                  started_at as "started_at: Timestamp", finished_at as "finished_at: Timestamp"
           from jobs where id = $1"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

pub(super) async fn lock(conn: &mut PgConnection, id: JobId) -> sqlx::Result<()> {
    sqlx::query!("select id from jobs where id = $1 for update", id.0).fetch_optional(conn).await?;
    Ok(())
}

/// Makes a job that ended without success due again. False when it isn't such a one.
pub(super) async fn retry(conn: &mut PgConnection, id: JobId, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update jobs set state = 'available', attempt = 0, rescues = 0, run_at = $2, finished_at = null
         where id = $1 and state in ('parked', 'cancelled')",
        id.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Calls a job off that waits or is parked. False when it isn't such a one.
pub(super) async fn cancel(conn: &mut PgConnection, id: JobId, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update jobs set state = 'cancelled', finished_at = $2 where id = $1 and state in ('available', 'parked')",
        id.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// False when it was paused before.
pub(super) async fn pause(conn: &mut PgConnection, queue: Queue, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "insert into queue_pauses (queue, paused_at) values ($1, $2) on conflict do nothing",
        queue.as_str(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// False when it wasn't paused.
pub(super) async fn resume(conn: &mut PgConnection, queue: Queue) -> sqlx::Result<bool> {
    let result = sqlx::query!("delete from queue_pauses where queue = $1", queue.as_str()).execute(conn).await?;
    Ok(result.rows_affected() > 0)
}
