//! SQL about the queue.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// Steps from lane to lane through the index, so that a million jobs due later cost nothing.
pub(super) async fn lag(pool: &PgPool, now: DateTime<Utc>) -> sqlx::Result<f64> {
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
