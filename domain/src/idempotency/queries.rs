//! SQL of remembered replies.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Key, Reply};
use crate::pool::Pool;

/// Held until the transaction ends, however it ends. False: another holds it.
pub(super) async fn lock(conn: &mut PgConnection, key: &Key) -> sqlx::Result<bool> {
    let name = format!("{}\n{}\n{}", key.user_id, key.route, key.key);
    sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as "held!""#, name)
        .fetch_one(conn)
        .await
}

pub(super) async fn find(conn: &mut PgConnection, key: &Key) -> sqlx::Result<Option<(Vec<u8>, Reply)>> {
    let row = sqlx::query!(
        "select body_hash, status, reply from idempotency_keys where user_id = $1 and route = $2 and key = $3",
        key.user_id.0,
        key.route,
        key.key,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.body_hash, Reply { status: row.status.unsigned_abs(), body: row.reply })))
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    key: &Key,
    status: i16,
    reply: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into idempotency_keys (user_id, route, key, body_hash, status, reply, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        key.user_id.0,
        key.route,
        key.key,
        &key.body_hash[..],
        status,
        reply,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn prune(pool: &Pool, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!("delete from idempotency_keys where created_at < $1::timestamptz - interval '24 hours'", now)
        .execute(pool)
        .await?;
    Ok(())
}
