//! Housekeeping that a schedule asks for.

mod queries;

use crate::{Store, auth, error::Result, idempotency, notifications, payments, realtime};

/// Takes people offline whose api process died.
///
/// # Errors
/// The database's.
pub async fn sweep_presence(store: &Store) -> Result<()> {
    realtime::sweep(store).await
}

/// Makes room for the coming three days' events and drops days that ended more than seven ago.
///
/// # Errors
/// The database's.
pub async fn rotate_events(store: &Store) -> Result<()> {
    let now = store.clock.now();
    let today = now.date_naive();
    queries::create_event_partitions(&store.pool, today, today + chrono::Days::new(3)).await?;
    // A day's partition holds events up to its last moment.
    let last_needed = (now - realtime::KEPT).date_naive();
    queries::drop_event_partitions(&store.pool, last_needed).await?;
    queries::delete_rest(&store.pool, now - realtime::KEPT).await?;
    Ok(())
}

/// Deletes what is known of people's coming and going two days ago and longer.
///
/// # Errors
/// The database's.
pub async fn prune_presences(store: &Store) -> Result<()> {
    realtime::prune_presences(store).await
}

/// Deletes at most so many notifications that were read ninety days ago or are a year old, and about as many
/// of each; says how many that were.
///
/// # Errors
/// The database's.
pub async fn prune_notifications(store: &Store, limit: i64) -> Result<u64> {
    notifications::prune(store, limit).await
}

/// Deletes at most so many events of the payment provider's that were told thirty days ago and longer, and looked
/// at; says how many that were.
///
/// # Errors
/// The database's.
pub async fn prune_webhook_events(store: &Store, limit: i64) -> Result<u64> {
    payments::prune_webhook_events(store, limit).await
}

/// Deletes sign-in links, tokens, tickets and remembered replies past their time.
///
/// # Errors
/// The database's.
pub async fn prune_credentials(store: &Store) -> Result<()> {
    auth::prune(store).await?;
    idempotency::prune(store).await
}
