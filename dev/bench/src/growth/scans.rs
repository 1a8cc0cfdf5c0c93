//! What was read without an index of tables that grow, by Postgres' own count of what was done, whatever the plans were.

use anyhow::Result;
use sqlx::{Connection as _, PgConnection};

use crate::stage::Stage;

/// Forgets what was read until now.
///
/// # Errors
/// The database's.
pub async fn forget(stage: &Stage, database: &str) -> Result<()> {
    stage.as_superuser(database, "select pg_stat_reset()").await
}

/// How many rows each such table gave without an index since then; those that gave none are left out.
///
/// # Errors
/// The database's.
pub async fn of_growing_tables(stage: &Stage, database: &str) -> Result<Vec<(String, i64)>> {
    let mut connection = PgConnection::connect(&stage.url(database)).await?;
    let read = sqlx::query_as(
        "select relname::text, seq_tup_read from pg_stat_user_tables
         where seq_tup_read > 0
           and (relname in ('messages', 'conversations', 'conversation_participants', 'event_channels', 'users')
                or relname like 'events\\_%')
         order by 1",
    )
    .fetch_all(&mut connection)
    .await?;
    connection.close().await?;
    Ok(read)
}
