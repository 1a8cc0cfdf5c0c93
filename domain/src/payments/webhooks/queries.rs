//! SQL of webhook events.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{payments::stripe::Notice, pool::Pool};

/// False when it was stored before.
pub(super) async fn insert(
    conn: &mut PgConnection,
    notice: &Notice,
    object_id: Option<&str>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "insert into webhook_events (id, type, api_version, object_id, state, created_at, received_at)
         values ($1, $2, $3, $4, case when $4::text is null then 'parked' else 'waiting' end, $5, $6)
         on conflict (id) do nothing",
        notice.id,
        notice.r#type,
        notice.api_version,
        object_id,
        notice.created.unwrap_or(now),
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Deletes a batch of what was received before then and doesn't wait any more. Says how many.
pub(super) async fn prune(pool: &Pool, before: DateTime<Utc>, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from webhook_events where id in (
           select id from webhook_events where state <> 'waiting' and received_at < $1 order by received_at limit $2)",
        before,
        limit,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// What was received about an object and waits.
pub(super) async fn waiting(pool: &Pool, object_id: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!("select id from webhook_events where object_id = $1 and state = 'waiting'", object_id)
        .fetch_all(pool)
        .await
}

pub(super) async fn settle(pool: &Pool, events: &[String], state: &str, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "update webhook_events set state = $2, processed_at = $3 where id = any ($1) and state = 'waiting'",
        events,
        state,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}
