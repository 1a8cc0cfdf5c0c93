//! The queue as operators see it.

mod queries;

use crate::{Store, error::Result};

/// How many seconds the job that is due the longest has waited; 0 when none is due.
///
/// # Errors
/// The database's.
pub async fn lag(store: &Store) -> Result<f64> {
    Ok(queries::lag(&store.pool, store.clock.now()).await?)
}
