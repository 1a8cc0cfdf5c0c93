//! SQL of sockets: stored events and who is connected. Process leases use the database's clock,
//! which all processes share.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::Head;
use crate::id::UserId;

pub(super) async fn user_exists(pool: &PgPool, id: UserId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from users where id = $1) as "exists!""#, id.0).fetch_one(pool).await
}

pub(super) async fn head(pool: &PgPool, channel: &str) -> sqlx::Result<Head> {
    sqlx::query_as!(
        Head,
        r#"with newest as (select coalesce((select seq from event_channels where channel = $1), 0) as seq)
           select seq as "seq!",
                  coalesce((select seq from events where channel = $1 order by seq limit 1), seq + 1) as "oldest!"
           from newest"#,
        channel,
    )
    .fetch_one(pool)
    .await
}

pub(super) async fn newest(pool: &PgPool, channels: &[String]) -> sqlx::Result<Vec<(String, i64)>> {
    let rows = sqlx::query!("select channel, seq from event_channels where channel = any($1)", channels)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(|row| (row.channel, row.seq)).collect())
}

pub(super) struct Stored {
    pub seq: i64,
    pub kind: String,
    pub payload: Value,
    pub created_at: DateTime<Utc>,
}

pub(super) async fn events_after(pool: &PgPool, channel: &str, seq: i64, limit: i64) -> sqlx::Result<Vec<Stored>> {
    sqlx::query_as!(
        Stored,
        "select seq, type as kind, payload, created_at from events
         where channel = $1 and seq > $2 order by seq limit $3",
        channel,
        seq,
        limit,
    )
    .fetch_all(pool)
    .await
}

/// Who of these is online.
pub(super) async fn online(conn: &mut PgConnection, ids: &[UserId], now: DateTime<Utc>) -> sqlx::Result<Vec<UserId>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    sqlx::query_scalar!(
        r#"select id as "id: UserId" from users where id = any($1) and user_is_online(presence_state, present_until, id, $2)"#,
        &ids,
        now,
    )
    .fetch_all(conn)
    .await
}

/// Renews a process' lease; true when it had none.
pub(super) async fn process_seen(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"insert into socket_processes (id, seen_at) values ($1, now())
           on conflict (id) do update set seen_at = now() returning (xmax = 0) as "new!""#,
        id,
    )
    .fetch_one(conn)
    .await
}

pub(super) async fn add_sockets(conn: &mut PgConnection, process: Uuid, users: &[UserId]) -> sqlx::Result<()> {
    let ids: Vec<_> = users.iter().map(|id| id.0).collect();
    sqlx::query!(
        "insert into user_sockets (user_id, process_id)
         select id, $1 from users where id = any($2) order by id on conflict do nothing",
        process,
        &ids,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn remove_sockets(conn: &mut PgConnection, process: Uuid, users: &[UserId]) -> sqlx::Result<()> {
    let ids: Vec<_> = users.iter().map(|id| id.0).collect();
    sqlx::query!("delete from user_sockets where process_id = $1 and user_id = any($2)", process, &ids)
        .execute(conn)
        .await?;
    Ok(())
}

/// One process, or all that have not been seen for 20 seconds. They can't report until the unit of
/// work ends: one that does report, while it is given up for dead, waits and then starts anew.
pub(super) async fn lock_processes(conn: &mut PgConnection, one: Option<Uuid>) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "select id from socket_processes
         where id = $1 or ($1 is null and seen_at < now() - interval '20 seconds') order by id for update",
        one,
    )
    .fetch_all(conn)
    .await
}

/// Who has sockets in these processes.
pub(super) async fn people_of(conn: &mut PgConnection, processes: &[Uuid]) -> sqlx::Result<Vec<UserId>> {
    sqlx::query_scalar!(
        r#"select distinct user_id as "user_id: UserId" from user_sockets where process_id = any($1)"#,
        processes,
    )
    .fetch_all(conn)
    .await
}

/// Deletes processes with all their sockets.
pub(super) async fn delete_processes(conn: &mut PgConnection, processes: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query!("delete from socket_processes where id = any($1)", processes).execute(conn).await?;
    Ok(())
}
