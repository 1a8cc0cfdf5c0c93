//! What a session knows of its payment, and what its payment goes by.

use super::{attendance, booking::confirm, load, queries, tell};
use crate::{availability::Span, error::Result, id::SessionId, payments::PaymentState, tx::Tx};

/// The payment of a session has come so far. One that is held makes a session that waited for it
/// sure; both are told.
pub(crate) async fn set_payment(tx: &mut Tx, id: SessionId, status: PaymentState) -> Result<()> {
    if status == PaymentState::Authorized && confirm(tx, id).await? {
        return Ok(());
    }
    let now = tx.now();
    if queries::set_payment_status(tx.conn(), id, status.into(), now).await? {
        let session = load(tx, id).await?;
        tell(tx, &session);
    }
    Ok(())
}

/// When both were there, of a session that is over.
pub(crate) async fn talks(tx: &mut Tx, id: SessionId) -> Result<Vec<Span>> {
    let session = load(tx, id).await?;
    Ok(attendance(tx, &session).await?.together())
}
