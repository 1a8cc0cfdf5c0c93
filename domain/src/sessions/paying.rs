//! What a session knows of its payment, and what its payment goes by.

use chrono::{DateTime, Utc};
use humanchat_jobs::sessions::ReleaseHold;

use super::{
    attendance,
    booking::{self, confirm},
    load, queries, tell,
};
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

/// The guest has saved a card: a session that waited for it is sure, and is paid for later.
pub(crate) async fn confirm_unpaid(tx: &mut Tx, id: SessionId) -> Result<()> {
    let Some(session) = booking::still_awaited(tx, id).await? else { return Ok(()) };
    let now = tx.now();
    if queries::confirm_unpaid(tx.conn(), id, now).await? {
        booking::confirmed(tx, &session).await?;
    }
    Ok(())
}

/// Keeps the time of a booked session until then for a guest who has to pay again; then it is called
/// off. False where the session isn't to come.
pub(crate) async fn await_payment(tx: &mut Tx, id: SessionId, until: DateTime<Utc>) -> Result<bool> {
    let now = tx.now();
    if !queries::hold(tx.conn(), id, until, now).await? {
        return Ok(false);
    }
    tx.enqueue_at(&ReleaseHold { session_id: id }, until)?;
    let session = load(tx, id).await?;
    tell(tx, &session);
    Ok(true)
}

/// When both were there, of a session that is over; never, of one that nobody began.
pub(crate) async fn talks(tx: &mut Tx, id: SessionId) -> Result<Vec<Span>> {
    let session = load(tx, id).await?;
    if session.started_at.is_none() {
        return Ok(Vec::new());
    }
    Ok(attendance::attendance(tx, &session).await?.together())
}
