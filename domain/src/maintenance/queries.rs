//! SQL of housekeeping.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::AssertSqlSafe;

use crate::pool::Pool;

pub(super) async fn create_event_partitions(pool: &Pool, first: NaiveDate, last: NaiveDate) -> sqlx::Result<()> {
    sqlx::query!("select create_event_partitions($1, $2)", first, last).fetch_one(pool).await.map(drop)
}

/// Drops the partitions of days before `day`.
pub(super) async fn drop_event_partitions(pool: &Pool, day: NaiveDate) -> sqlx::Result<()> {
    let names = sqlx::query_scalar!(
        r#"select c.relname::text as "name!" from pg_inherits i join pg_class c on c.oid = i.inhrelid
           where i.inhparent = 'events'::regclass and c.relname ~ '^events_[0-9]{8}$' and c.relname < $1"#,
        format!("events_{}", day.format("%Y%m%d")),
    )
    .fetch_all(pool)
    .await?;
    for name in names {
        // A table's name can't be a parameter; this one was read from the catalogue and is all letters and digits.
        sqlx::raw_sql(AssertSqlSafe(format!("drop table if exists {name}"))).execute(pool).await?;
    }
    Ok(())
}

pub(super) async fn delete_rest(pool: &Pool, before: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!("delete from events_rest where created_at < $1", before).execute(pool).await?;
    Ok(())
}
