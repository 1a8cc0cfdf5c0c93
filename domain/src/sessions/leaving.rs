//! What becomes of the sessions of somebody who leaves.

use super::{SessionStatus, complete, load, queries};
use crate::{error::Result, id::UserId, tx::Tx};

/// Ends what goes on, and tells both sides as ever. Lock the person first.
pub(crate) async fn end_all(tx: &mut Tx, person: UserId) -> Result<()> {
    for id in queries::unfinished(tx.conn(), person).await? {
        let session = load(tx, id).await?;
        if session.status == SessionStatus::InProgress {
            complete(tx, &session).await?;
        }
    }
    Ok(())
}
