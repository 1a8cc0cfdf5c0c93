//! Housekeeping that a schedule asks for.

mod queries;

use chrono::Days;

use crate::{Store, auth, error::Result, idempotency, notifications, payments, realtime};

/// Takes people offline whose api process died.
///
/// # Errors
/// The database's.
pub async fn sweep_presence(store: &Store) -> Result<()> {
    realtime::sweep(store).await
}

/// What became of the rotation of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Everything is as it should be.
    Done,
    /// Somebody was at the events, a backup say, who takes longer than others should wait: try again later.
    InTheWay,
}

/// Makes room for the coming three days' events and drops days that ended more than seven ago.
///
/// # Errors
/// The database's.
pub async fn rotate_events(store: &Store) -> Result<Rotation> {
    let now = store.clock.now();
    let today = now.date_naive();
    // A day's partition holds events up to its last moment.
    let last_needed = (now - realtime::KEPT).date_naive();
    let rotated = async {
        queries::create_event_partitions(store, today, today + Days::new(3)).await?;
        queries::drop_event_partitions(store, last_needed).await
    };
    match rotated.await {
        Ok(()) => Ok(Rotation::Done),
        Err(error) if error.is_locked_out() => Ok(Rotation::InTheWay),
        Err(error) => Err(error),
    }
}

/// Deletes at most so many events older than seven days that no day's partition had taken; says how many that were.
///
/// # Errors
/// The database's.
pub async fn prune_stray_events(store: &Store, limit: i64) -> Result<u64> {
    Ok(queries::delete_rest(&store.pool, store.clock.now() - realtime::KEPT, limit).await?)
}

/// Deletes at most so many rows of people's coming and going two days ago and longer; says how many that were.
///
/// # Errors
/// The database's.
pub async fn prune_presences(store: &Store, limit: i64) -> Result<u64> {
    realtime::prune_presences(store, limit).await
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

/// Deletes at most so many each of sign-in links, tickets and tokens past their time; says how many went of the kind of
/// which most went.
///
/// # Errors
/// The database's.
pub async fn prune_credentials(store: &Store, limit: i64) -> Result<u64> {
    auth::prune(store, limit).await
}

/// Deletes at most so many remembered replies that are older than a day; says how many that were.
///
/// # Errors
/// The database's.
pub async fn prune_replies(store: &Store, limit: i64) -> Result<u64> {
    idempotency::prune(store, limit).await
}
