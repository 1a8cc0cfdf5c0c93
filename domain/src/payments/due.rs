//! What is owed for a session, from what has become of it.

use super::{Payment, PaymentKind, amounts, queries};
use crate::{error::Result, sessions::SessionStatus, tx::Tx};

/// What is owed for the payment's session in minor units; none while that is open, or where the
/// payment is for no session.
pub(super) async fn of(tx: &mut Tx, payment: &Payment) -> Result<Option<i64>> {
    let (PaymentKind::Session, Some(session_id)) = (payment.kind, payment.session_id) else { return Ok(None) };
    let Some(terms) = queries::terms(tx.conn(), session_id).await? else { return Ok(None) };
    Ok(match terms.status {
        SessionStatus::Pending | SessionStatus::InProgress => None,
        SessionStatus::Complete => {
            let talked = terms.minutes.unwrap_or_default();
            Some(amounts::earned(payment.amount, payment.minutes.unwrap_or(talked), talked))
        }
        SessionStatus::Cancelled | SessionStatus::NoShow => Some(0),
    })
}
