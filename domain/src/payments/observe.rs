//! Where a payment is moved: to where the provider says it stands, and never back but for a refund that
//! fails after all.
//!
//! Everything that hears of the provider ends here: answers to our calls, webhooks in any order and
//! number, and reconciliation. What is seen is a state, not a change, so seeing it twice or late
//! does nothing.

use humanchat_jobs::payments::SyncPayment;
use serde_json::json;

use super::{
    Payment, PaymentKind, PaymentState,
    calls::{Ask, CallKind, ask},
    differences, holds,
    ledger::{self, Balance},
    notices, payouts,
    queries::{self, Step, Terms},
    saved_cards,
    stripe::{Checkout, Held, Intent},
};
use crate::{
    error::{Error, Result},
    event::{Channel, Event},
    id::{PaymentId, SessionId},
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

/// Kinds of differences that are of the past once the payment has moved on; what a host has too much is another
/// amount then, and noted anew.
const PASSING: [&str; 6] =
    ["stands_elsewhere", "not_what_was_asked", "held_for_nothing", "refund_failed", "call_refused", payouts::OVERPAID];

/// What a session says about paying for it.
pub(super) async fn terms(tx: &mut Tx, session: SessionId) -> Result<Terms> {
    queries::terms(tx.conn(), session).await?.ok_or(Error::Internal("a session vanished"))
}

/// Moves a payment to where its intent stands. Lock it first. `before` is the payment as it was when
/// the provider was asked: what was seen then may be older than what has been learnt since.
pub(super) async fn intent(tx: &mut Tx, id: PaymentId, intent: &Intent, before: Option<&Payment>) -> Result<()> {
    let payment = load(tx, id).await?;
    let is_fresh = before.is_none_or(|before| before.stands_as(&payment));
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
        Some(to) if is_fresh || payment.amount_captured == 0 => {
            step(tx, &payment, &to).await?;
            differences::resolve_all(tx, id, &PASSING).await
        }
        None if !contradicts(&payment, intent) => {
            differences::resolve(tx, &intent.id, &["stands_elsewhere", "held_for_nothing"]).await
        }
        _ if !is_fresh => tx.enqueue(&SyncPayment { object_id: intent.id.clone() }),
        _ if has_failed_refund(&payment, intent) => refund_failed(tx, &payment, intent).await,
        _ => {
            let details = json!({
                "status": payment.status, "captured": payment.amount_captured, "refunded": payment.amount_refunded,
                "their_captured": intent.captured_minor, "their_refunded": intent.refunded_minor,
            });
            differences::note(tx, Some(id), &intent.id, "stands_elsewhere", &details).await
        }
    }
}

/// Less was given back than the provider had said: a refund that had succeeded has failed.
fn has_failed_refund(payment: &Payment, intent: &Intent) -> bool {
    intent.held == Held::Taken
        && intent.has_charge
        && intent.captured_minor == payment.amount_captured
        && intent.refunded_minor < payment.amount_refunded
}

/// Takes a refund back in our books. Staff learn of it: somebody waits for their money.
async fn refund_failed(tx: &mut Tx, payment: &Payment, intent: &Intent) -> Result<()> {
    let to = Step {
        status: PaymentState::Captured,
        captured_minor: payment.amount_captured,
        refunded_minor: intent.refunded_minor,
        capture_before: payment.capture_before.map(|time| time.0),
    };
    step(tx, payment, &to).await?;
    // What the host is owed again is passed on again.
    let again = Payment { amount_refunded: intent.refunded_minor, ..payment.clone() };
    let at = payouts::due(tx);
    payouts::plan(tx, &again, at).await?;
    let failed = payment.amount_refunded - intent.refunded_minor;
    let details = json!({"amount": failed, "currency": payment.currency, "refunded": intent.refunded_minor});
    differences::note(tx, Some(payment.id), &intent.id, "refund_failed", &details).await
}

/// Moves a payment to where its checkout stands. Lock it first.
pub(super) async fn checkout(tx: &mut Tx, id: PaymentId, checkout: &Checkout) -> Result<()> {
    let now = tx.now();
    queries::name_objects(tx.conn(), id, checkout.intent_id.as_deref(), Some(&checkout.id), now).await?;
    let payment = load(tx, id).await?;
    if checkout.expired && payment.status == PaymentState::RequiresPayment {
        give_up(tx, &payment).await?;
    }
    Ok(())
}

/// Ends a payment that nobody has made, and for which nothing is held.
pub(super) async fn give_up(tx: &mut Tx, payment: &Payment) -> Result<()> {
    let to = Step { status: PaymentState::Voided, captured_minor: 0, refunded_minor: 0, capture_before: None };
    step(tx, payment, &to).await
}

/// Marks a payment as being captured.
pub(super) async fn begin_capture(tx: &mut Tx, payment: &Payment) -> Result<()> {
    let capture_before = payment.capture_before.map(|time| time.0);
    let to = Step { status: PaymentState::Capturing, captured_minor: 0, refunded_minor: 0, capture_before };
    step(tx, payment, &to).await
}

/// What follows for a payment from what has become of its session.
enum Due {
    /// A call, and its amount.
    Call(CallKind, i64),
    /// A fee is owed for what was called off before its card was authorised: it is authorised now.
    Authorize,
    /// Nothing was made that could hold money, and nothing is owed.
    GiveUp,
}

/// Does with a payment what has become of its session, unless that was refused before: then people
/// decide. Lock it first.
pub(super) async fn follow_session(tx: &mut Tx, id: PaymentId) -> Result<()> {
    let payment = load(tx, id).await?;
    match due(tx, &payment).await? {
        Some(Due::Call(kind, _)) if queries::was_refused(tx.conn(), id, kind).await? => Ok(()),
        Some(due) => act(tx, &payment, due).await,
        None => Ok(()),
    }
}

/// The same, even if it was refused before: somebody asks for it. Lock it first.
pub(super) async fn insist(tx: &mut Tx, payment: &Payment) -> Result<()> {
    match due(tx, payment).await? {
        Some(due) => act(tx, payment, due).await,
        None => Ok(()),
    }
}

/// None while something else is under way: whatever comes of that brings us here again.
async fn due(tx: &mut Tx, payment: &Payment) -> Result<Option<Due>> {
    let Some(owed) = owed(tx, payment).await? else { return Ok(None) };
    if queries::open_call_of(tx.conn(), payment.id).await?.is_some() {
        return Ok(None);
    }
    Ok(match payment.status {
        PaymentState::Authorized if owed > 0 => Some(Due::Call(CallKind::Capture, owed.min(payment.amount))),
        PaymentState::Authorized => Some(Due::Call(CallKind::Void, payment.amount)),
        PaymentState::RequiresPayment if payment.intent_id.is_some() => Some(Due::Call(CallKind::Void, payment.amount)),
        PaymentState::RequiresPayment if owed > 0 && saved_cards::can_be_authorized(tx, payment).await? => {
            Some(Due::Authorize)
        }
        PaymentState::RequiresPayment if payment.authorize_at.is_some() || payment.waived => Some(Due::GiveUp),
        _ => None,
    })
}

async fn act(tx: &mut Tx, payment: &Payment, due: Due) -> Result<()> {
    match due {
        Due::Authorize => saved_cards::ask_for(tx, payment).await,
        Due::GiveUp => give_up(tx, payment).await,
        Due::Call(kind, amount_minor) => {
            if kind == CallKind::Capture {
                begin_capture(tx, payment).await?;
            }
            let at = tx.now();
            ask(tx, payment.id, &Ask { kind, amount_minor, reason: None, at }).await.map(drop)
        }
    }
}

/// What is owed for the payment's session in minor units, which is nothing where its host has waived
/// that; none while the session is open, or where the payment is for no session.
async fn owed(tx: &mut Tx, payment: &Payment) -> Result<Option<i64>> {
    let (PaymentKind::Session, Some(session)) = (payment.kind, payment.session_id) else { return Ok(None) };
    if payment.waived {
        return Ok(Some(0));
    }
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
    if let (PaymentKind::Session, Some(session)) = (moved.kind, moved.session_id) {
        sessions::set_payment(tx, session, moved.status).await?;
    }
    notices::moved(tx, payment, &moved).await?;
    if payment.amount_captured == 0 && moved.amount_captured > 0 {
        let at = payouts::due(tx);
        payouts::plan(tx, &moved, at).await?;
    }
    if moved.status == PaymentState::Voided {
        let owed = owed(tx, &moved).await?.unwrap_or_default();
        if owed > 0 {
            let details = json!({"owed": owed, "currency": moved.currency});
            differences::note(tx, Some(moved.id), &moved.id.to_string(), "owed_and_not_held", &details).await?;
        }
        if payment.status == PaymentState::Authorized || payment.method_id.is_some() {
            holds::ended(tx, &moved).await?;
        }
    }
    Ok(())
}

/// Tells payer and payee how a payment stands.
pub(super) fn tell(tx: &mut Tx, payment: &Payment) {
    for person in [Some(payment.payer_user_id), payment.payee_user_id].into_iter().flatten() {
        tx.emit(Channel::Sessions(person), Event::PaymentUpdated { payment: payment.clone() });
    }
}
