//! Cards saved at booking for a session that is far away, and authorised without the guest when it
//! is near.

use chrono::{DateTime, Utc};
use humanchat_jobs::payments::AuthorizePayment;

use super::{
    Payment, PaymentState,
    calls::{Ask, CallKind, ask},
    holds, observe, queries,
    stripe::Setup,
};
use crate::{
    error::Result,
    id::PaymentId,
    sessions::{self, SessionStatus},
    tx::Tx,
};

/// Notes that a card was saved: the session is sure, and the card will be authorised. Lock the
/// payment first.
pub(super) async fn observe(tx: &mut Tx, id: PaymentId, setup: &Setup) -> Result<()> {
    let payment = observe::load(tx, id).await?;
    let now = tx.now();
    let is_ours = payment.setup_id.as_ref().is_none_or(|known| *known == setup.id)
        && setup.payment_id.is_none_or(|named| named == id)
        && payment.authorize_at.is_some();
    if !is_ours {
        tracing::warn!(payment = %id, setup = setup.id, "a card was saved for another payment");
        return Ok(());
    }
    let method = setup.method_id.as_deref().filter(|_| payment.status == PaymentState::RequiresPayment);
    let is_news = queries::name_setup(tx.conn(), id, &setup.id, method, now).await?;
    let (true, Some(session)) = (is_news, payment.session_id) else { return Ok(()) };
    sessions::confirm_unpaid(tx, session).await?;
    plan(tx, id).await
}

/// Has the card authorised when it is time. Does nothing while there is none.
pub(super) async fn plan(tx: &mut Tx, id: PaymentId) -> Result<()> {
    let payment = observe::load(tx, id).await?;
    match (&payment.method_id, payment.authorize_at) {
        (Some(_), Some(at)) => {
            let due = at.0.max(tx.now());
            tx.enqueue_at(&AuthorizePayment { payment_id: id }, due)
        }
        _ => Ok(()),
    }
}

/// Asks for a saved card to be authorised, if that is still wanted. Too early, it says when to come
/// again.
///
/// # Errors
/// The database's.
pub async fn authorize(tx: &mut Tx, id: PaymentId) -> Result<Option<DateTime<Utc>>> {
    observe::lock(tx, id).await?;
    let payment = observe::load(tx, id).await?;
    let (Some(at), Some(session)) = (payment.authorize_at, payment.session_id) else { return Ok(None) };
    if !can_be_authorized(tx, &payment).await? || observe::terms(tx, session).await?.status != SessionStatus::Pending {
        return Ok(None);
    }
    if at.0 > tx.now() {
        return Ok(Some(at.0));
    }
    ask_for(tx, &payment).await?;
    Ok(None)
}

/// Whether a card is saved and nothing was made of it yet.
pub(super) async fn can_be_authorized(tx: &mut Tx, payment: &Payment) -> Result<bool> {
    Ok(payment.status == PaymentState::RequiresPayment
        && payment.method_id.is_some()
        && payment.intent_id.is_none()
        && queries::open_call_of(tx.conn(), payment.id).await?.is_none()
        && queries::refusals(tx.conn(), payment.id, CallKind::Authorize).await? == 0)
}

/// Has a saved card authorised now.
pub(super) async fn ask_for(tx: &mut Tx, payment: &Payment) -> Result<()> {
    let asked = Ask { kind: CallKind::Authorize, amount_minor: payment.amount, reason: None, at: tx.now() };
    ask(tx, payment.id, &asked).await.map(drop)
}

/// The card was not authorised. The guest can pay by hand for a while, and both are told.
pub(super) async fn refused(tx: &mut Tx, payment: &Payment) -> Result<()> {
    let Some(session) = payment.session_id else { return Ok(()) };
    let terms = observe::terms(tx, session).await?;
    if terms.status != SessionStatus::Pending {
        return Ok(());
    }
    holds::ask_guest(tx, payment, &terms).await
}
