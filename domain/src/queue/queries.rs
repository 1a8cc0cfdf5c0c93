//! SQL about the queue.

use chrono::{DateTime, Utc};

use super::Backlog;

use crate::pool::Pool;

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

pub(super) async fn backlogs(pool: &Pool, queues: &[String], now: DateTime<Utc>) -> sqlx::Result<Vec<Backlog>> {
    sqlx::query_as!(
        Backlog,
        r#"select q.queue as "queue!", a.waiting as "waiting!", a.scheduled as "scheduled!", a.oldest_seconds as "oldest_seconds!",
             (select count(*) from jobs j where j.state = 'running' and j.queue = q.queue) as "running!",
             (select count(*) from jobs j where j.state = 'parked' and j.queue = q.queue) as "parked!"
           from unnest($1::text[]) q(queue), lateral (
             select count(*) filter (where run_at <= $2) as waiting, count(*) filter (where run_at > $2) as scheduled,
               greatest(coalesce(extract(epoch from $2::timestamptz - min(run_at)), 0), 0)::float8 as oldest_seconds
             from jobs j where j.state = 'available' and j.queue = q.queue) a"#,
        queues,
        now,
    )
    .fetch_all(pool)
    .await
}
