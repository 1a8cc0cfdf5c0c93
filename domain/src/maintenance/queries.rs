//! SQL of housekeeping.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{Store, error::Result, pool::Pool};

pub(super) async fn create_event_partitions(store: &Store, first: NaiveDate, last: NaiveDate) -> Result<()> {
    let mut tx = store.begin(None).await?;
    give_up_soon(tx.conn()).await?;
    sqlx::query!("select create_event_partitions($1, $2)", first, last).fetch_one(tx.conn()).await?;
    tx.commit().await
}

/// Drops the partitions of days before `day`.
pub(super) async fn drop_event_partitions(store: &Store, day: NaiveDate) -> Result<()> {
    let names = sqlx::query_scalar!(
        r#"select c.relname::text as "name!" from pg_inherits i join pg_class c on c.oid = i.inhrelid
           where i.inhparent = 'events'::regclass and c.relname ~ '^events_[0-9]{8}$' and c.relname < $1"#,
        format!("events_{}", day.format("%Y%m%d")),
    )
    .fetch_all(&store.pool)
    .await?;
    for name in names {
        let mut tx = store.begin(None).await?;
        give_up_soon(tx.conn()).await?;
        // A table's name can't be a parameter; this one was read from the catalogue and is all letters and digits.
        sqlx::raw_sql(AssertSqlSafe(format!("drop table if exists {name}"))).execute(tx.conn()).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Partitions come and go while nobody is at the events, not even a reader. Whoever wants to write one waits behind this,
/// so it waits no longer than nobody minds.
async fn give_up_soon(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("set local lock_timeout = '200ms'").execute(conn).await.map(drop)
}

/// They have no index by time: mostly there are none.
pub(super) async fn delete_rest(pool: &Pool, before: DateTime<Utc>, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from events_rest where ctid = any(array(select ctid from events_rest where created_at < $1 limit $2))",
        before,
        limit,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}
