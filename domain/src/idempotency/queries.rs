//! SQL of remembered replies.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Key, Reply};
use crate::pool::Pool;

/// Held until the transaction ends, however it ends. False: another holds it.
pub(super) async fn lock(conn: &mut PgConnection, key: &Key) -> sqlx::Result<bool> {
    let name = format!("{}\n{}\n{}", key.user_id, key.route, key.key);
    sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as "held!""#, name)
        .fetch_one(conn)
        .await
}

/// What stands under a key: the hash of the body, and the reply once there is one.
pub(super) async fn find(conn: &mut PgConnection, key: &Key) -> sqlx::Result<Option<(Vec<u8>, Option<Reply>)>> {
    let row = sqlx::query!(
        "select body_hash, status, reply from idempotency_keys where user_id = $1 and route = $2 and key = $3",
        key.user_id.0,
        key.route,
        key.key,
    )
    .fetch_optional(conn)
    .await?;
    let reply = |status: Option<i16>, body: Option<String>| Some(Reply { status: status?.unsigned_abs(), body: body? });
    Ok(row.map(|row| (row.body_hash, reply(row.status, row.reply))))
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

pub(super) async fn insert_half(
    conn: &mut PgConnection,
    key: &Key,
    deed: Uuid,
    now: DateTime<Utc>,
    busy_until: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into idempotency_keys (user_id, route, key, body_hash, deed, busy_until, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        key.user_id.0,
        key.route,
        key.key,
        &key.body_hash[..],
        deed,
        busy_until,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The deed that is half done, if nobody is at work on it.
pub(super) async fn take_over(
    conn: &mut PgConnection,
    key: &Key,
    now: DateTime<Utc>,
    busy_until: DateTime<Utc>,
) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!(
        r#"update idempotency_keys set busy_until = $5
           where user_id = $1 and route = $2 and key = $3 and reply is null and busy_until <= $4
           returning deed as "deed!""#,
        key.user_id.0,
        key.route,
        key.key,
        now,
        busy_until,
    )
    .fetch_optional(conn)
    .await
}

pub(super) async fn finish(pool: &Pool, key: &Key, status: i16, reply: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update idempotency_keys set status = $4, reply = $5
         where user_id = $1 and route = $2 and key = $3 and reply is null",
        key.user_id.0,
        key.route,
        key.key,
        status,
        reply,
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn let_go(pool: &Pool, key: &Key, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "update idempotency_keys set busy_until = $4
         where user_id = $1 and route = $2 and key = $3 and reply is null",
        key.user_id.0,
        key.route,
        key.key,
        now,
    )
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn prune(pool: &Pool, now: DateTime<Utc>, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from idempotency_keys where (user_id, route, key) in (
           select user_id, route, key from idempotency_keys
           where created_at < $1::timestamptz - interval '24 hours' order by created_at limit $2)",
        now,
        limit,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
