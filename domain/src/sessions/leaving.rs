//! What becomes of the sessions of somebody who leaves.

use super::{
    EndedBy, SessionStatus, load, offers, queries,
    steps::{call_off, complete_at},
};
use crate::{error::Result, id::UserId, tx::Tx};

/// Ends what goes on and calls off some of what was agreed, as if they had done it themselves; says how
/// many. Lock the person first.
pub(crate) async fn end_some(tx: &mut Tx, person: UserId, most: i64) -> Result<usize> {
    let now = tx.now();
    offers::give_back_all(tx, person).await?;
    let unfinished = queries::lock_unfinished(tx.conn(), person, most).await?;
    for id in &unfinished {
        let session = load(tx, *id).await?;
        let side = if person == session.host_user_id { EndedBy::Host } else { EndedBy::Guest };
        if session.status == SessionStatus::InProgress {
            complete_at(tx, &session, now, side).await?;
        } else {
            call_off(tx, &session, side).await?;
        }
    }
    Ok(unfinished.len())
}
