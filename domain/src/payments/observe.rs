//! Where a payment is moved: to where the provider says it stands, and never back.
//!
//! Everything that hears of the provider ends here: answers to our calls, webhooks in any order and
//! number, and reconciliation. What is seen is a state, not a change, so seeing it twice or late
//! does nothing.

use serde_json::json;

use super::{
    Payment, PaymentKind, PaymentState,
    calls::{Ask, CallKind, ask},
    differences,
    ledger::{self, Balance},
    queries::{self, Step},
    stripe::{Checkout, Held, Intent},
};
use crate::{
    error::{Error, Result},
    event::{Channel, Event},
    id::PaymentId,
    sessions,
    text::Timestamp,
    tx::Tx,
};

/// A payment as it is now.
pub(super) async fn load(tx: &mut Tx, id: PaymentId) -> Result<Payment> {
    queries::find(tx.conn(), id, None).await?.ok_or(Error::Internal("a payment vanished"))
}

/// Locks a payment; before it, as everywhere, its session and that one's people.
pub(super) async fn lock(tx: &mut Tx, id: PaymentId) -> Result<()> {
    if let Some(session) = queries::session_of(tx.conn(), id).await? {
        sessions::lock_for_job(tx, session).await?;
    }
    queries::lock(tx.conn(), id).await?;
    Ok(())
}

/// Moves a payment to where its intent stands. Lock it first.
pub(super) async fn intent(tx: &mut Tx, id: PaymentId, intent: &Intent) -> Result<()> {
    let payment = load(tx, id).await?;
    if !is_of(&payment, intent) {
        let details = json!({
            "amount": intent.amount_minor, "currency": intent.currency, "our_amount": payment.amount,
            "our_currency": payment.currency, "our_intent": payment.intent_id,
        });
        return differences::note(tx, Some(id), &intent.id, "not_what_was_asked", &details).await;
    }
    let now = tx.now();
    queries::name_objects(tx.conn(), id, Some(&intent.id), None, now).await?;
    match next(&payment, intent, is_being_captured(tx, &payment).await?) {
        Some(to) => {
            step(tx, &payment, &to).await?;
            differences::resolve_all(tx, id).await
        }
        None if contradicts(&payment, intent) => {
            let details = json!({
                "status": payment.status, "captured": payment.amount_captured, "refunded": payment.amount_refunded,
                "their_captured": intent.captured_minor, "their_refunded": intent.refunded_minor,
            });
            differences::note(tx, Some(id), &intent.id, "stands_elsewhere", &details).await
        }
        None => differences::resolve(tx, &intent.id).await,
    }
}

/// Moves a payment to where its checkout stands. Lock it first.
pub(super) async fn checkout(tx: &mut Tx, id: PaymentId, checkout: &Checkout) -> Result<()> {
    let now = tx.now();
    queries::name_objects(tx.conn(), id, checkout.intent_id.as_deref(), Some(&checkout.id), now).await?;
    let payment = load(tx, id).await?;
    if checkout.expired && payment.status == PaymentState::RequiresPayment {
        let to = Step { status: PaymentState::Voided, captured_minor: 0, refunded_minor: 0, capture_before: None };
        step(tx, &payment, &to).await?;
    }
    Ok(())
}

/// Marks a payment as being captured.
pub(super) async fn begin_capture(tx: &mut Tx, payment: &Payment) -> Result<()> {
    let capture_before = payment.capture_before.map(|time| time.0);
    let to = Step { status: PaymentState::Capturing, captured_minor: 0, refunded_minor: 0, capture_before };
    step(tx, payment, &to).await
}

/// Does with a payment what has become of its session, unless that was refused before: then people
/// decide. Lock it first.
pub(super) async fn follow_session(tx: &mut Tx, id: PaymentId) -> Result<()> {
    let payment = load(tx, id).await?;
    match due(tx, &payment).await? {
        Some((kind, _)) if queries::was_refused(tx.conn(), id, kind).await? => Ok(()),
        Some(due) => ask_for(tx, &payment, due).await,
        None => Ok(()),
    }
}

/// The same, even if it was refused before: somebody asks for it. Lock it first.
pub(super) async fn insist(tx: &mut Tx, payment: &Payment) -> Result<()> {
    match due(tx, payment).await? {
        Some(due) => ask_for(tx, payment, due).await,
        None => Ok(()),
    }
}

/// What follows for a payment from what has become of its session, and the amount. None while
/// something else is under way: whatever comes of that brings us here again.
async fn due(tx: &mut Tx, payment: &Payment) -> Result<Option<(CallKind, i64)>> {
    let Some(owed) = owed(tx, payment).await? else { return Ok(None) };
    if queries::open_call_of(tx.conn(), payment.id).await?.is_some() {
        return Ok(None);
    }
    Ok(match payment.status {
        PaymentState::Authorized if owed > 0 => Some((CallKind::Capture, owed.min(payment.amount))),
        PaymentState::Authorized => Some((CallKind::Void, payment.amount)),
        PaymentState::RequiresPayment if payment.intent_id.is_some() => Some((CallKind::Void, payment.amount)),
        _ => None,
    })
}

async fn ask_for(tx: &mut Tx, payment: &Payment, (kind, amount_minor): (CallKind, i64)) -> Result<()> {
    if kind == CallKind::Capture {
        begin_capture(tx, payment).await?;
    }
    let at = tx.now();
    ask(tx, payment.id, &Ask { kind, amount_minor, reason: None, at }).await.map(drop)
}

/// What is owed for the payment's session in minor units; none while that is open, or where the
/// payment is for no session.
async fn owed(tx: &mut Tx, payment: &Payment) -> Result<Option<i64>> {
    let (PaymentKind::Session, Some(session)) = (payment.kind, payment.session_id) else { return Ok(None) };
    Ok(queries::terms(tx.conn(), session).await?.and_then(|terms| terms.owed_minor))
}

fn is_of(payment: &Payment, intent: &Intent) -> bool {
    payment.intent_id.as_ref().is_none_or(|id| *id == intent.id)
        && intent.payment_id.is_none_or(|id| id == payment.id)
        && intent.amount_minor == payment.amount
        && intent.currency == payment.currency
}

async fn is_being_captured(tx: &mut Tx, payment: &Payment) -> Result<bool> {
    let call = queries::open_call_of(tx.conn(), payment.id).await?;
    Ok(call.is_some_and(|call| call.kind == CallKind::Capture))
}

/// The step from where a payment is to where its intent is, if that is ahead.
fn next(payment: &Payment, intent: &Intent, being_captured: bool) -> Option<Step> {
    use PaymentState as S;
    let capture_before = intent.capture_before.or(payment.capture_before.map(|time| time.0));
    let to = |status| Step { status, captured_minor: 0, refunded_minor: 0, capture_before };
    match (payment.status, intent.held) {
        (S::RequiresPayment, Held::All) => Some(to(S::Authorized)),
        // The capture was refused, and the hold is still there.
        (S::Capturing, Held::All) if !being_captured => Some(to(S::Authorized)),
        (S::RequiresPayment | S::Authorized | S::Capturing, Held::Released) => Some(to(S::Voided)),
        (S::RequiresPayment | S::Authorized | S::Capturing | S::Captured, Held::Taken) => {
            taken(payment, intent).map(|(status, captured_minor, refunded_minor)| Step {
                status,
                captured_minor,
                refunded_minor,
                capture_before,
            })
        }
        _ => None,
    }
}

/// Status and amounts of what was taken, where they are ahead of ours.
fn taken(payment: &Payment, intent: &Intent) -> Option<(PaymentState, i64, i64)> {
    let captured = if payment.amount_captured > 0 { payment.amount_captured } else { intent.captured_minor };
    let refunded = intent.refunded_minor.max(payment.amount_refunded);
    let is_sound = captured > 0 && captured <= payment.amount && refunded <= captured;
    let is_ahead = payment.status != PaymentState::Captured || refunded > payment.amount_refunded;
    let status = if refunded == captured { PaymentState::Refunded } else { PaymentState::Captured };
    (is_sound && is_ahead).then_some((status, captured, refunded))
}

/// Whether the provider has something else in its books, other than being behind or ahead of us.
fn contradicts(payment: &Payment, intent: &Intent) -> bool {
    use PaymentState as S;
    match (payment.status, intent.held) {
        (S::Voided | S::Failed, Held::All | Held::Taken)
        | (S::Captured | S::Refunded, Held::Released)
        | (S::RequiresPayment | S::Authorized | S::Capturing, Held::Taken) => true,
        (S::Captured | S::Refunded, Held::Taken) => {
            intent.captured_minor != payment.amount_captured
                || (intent.has_charge && intent.refunded_minor < payment.amount_refunded)
        }
        _ => false,
    }
}

/// Takes a step, books it, has the session know, and tells payer and payee.
pub(super) async fn step(tx: &mut Tx, payment: &Payment, to: &Step) -> Result<()> {
    let now = tx.now();
    if !queries::step(tx.conn(), payment, to, now).await? {
        return Err(Error::Internal("a locked payment was moved by somebody else"));
    }
    let from = Balance { captured_minor: payment.amount_captured, refunded_minor: payment.amount_refunded };
    let new = Balance { captured_minor: to.captured_minor, refunded_minor: to.refunded_minor };
    ledger::book(tx, payment, from, new).await?;
    let moved = Payment {
        status: to.status,
        amount_captured: to.captured_minor,
        amount_refunded: to.refunded_minor,
        capture_before: to.capture_before.map(Timestamp),
        updated_at: Timestamp(now),
        ..payment.clone()
    };
    tell(tx, &moved);
    match (moved.kind, moved.session_id) {
        (PaymentKind::Session, Some(session)) => sessions::set_payment(tx, session, moved.status).await,
        _ => Ok(()),
    }
}

/// Tells payer and payee how a payment stands.
pub(super) fn tell(tx: &mut Tx, payment: &Payment) {
    for person in [Some(payment.payer_user_id), payment.payee_user_id].into_iter().flatten() {
        tx.emit(Channel::Sessions(person), Event::PaymentUpdated { payment: payment.clone() });
    }
}
