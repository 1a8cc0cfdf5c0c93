//! Whether a table that grows was read whole, by Postgres' own count of what was done, whatever the plans were.

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

/// The growing tables that were read whole since then, and how often.
///
/// # Errors
/// The database's.
pub async fn of_growing_tables(stage: &Stage, database: &str) -> Result<Vec<String>> {
    let mut connection = PgConnection::connect(&stage.url(database)).await?;
    let whole = sqlx::query_scalar(
        "select relname || ' ' || seq_scan || ' times' from pg_stat_user_tables
         where seq_scan > 0 and (relname in ('messages', 'conversations', 'conversation_participants', 'event_channels', 'users')
                                 or relname like 'events\\_%')
         order by 1",
    )
    .fetch_all(&mut connection)
    .await?;
    connection.close().await?;
    Ok(whole)
}
