//! Payouts: what a host earned is passed on to their account once its payer has had time to dispute
//! it, and taken back when the payer is given money back.
//!
//! How much should have been passed on follows from the payment alone; whatever differs from that is
//! asked for. Charity sessions and donations stay with the platform, which sees to the cause.

mod queries;

use chrono::{DateTime, TimeDelta, Utc};
use humanchat_jobs::payments::SyncPayment;
use serde_json::json;

use super::{
    Payment, PaymentKind, PaymentState, amounts,
    calls::{Ask, CallKind, DISPUTED, ask, ask_back},
    differences, ledger, notices, observe,
    queries::open_call_of,
    stripe::{Dispute, Transfer},
};
use crate::{Store, error::Result, id::PaymentId, text::text_enum, tx::Tx, users::ConversationType};

text_enum! {
    /// What the payer's bank says of a payment.
    DisputeState {
        /// It is disputed.
        Open,
        /// It was, and it is ours.
        Won,
        /// The bank took it back.
        Lost,
    }
}

/// How the passing on of a payment stands.
pub(super) struct Standing {
    pub payout_at: Option<DateTime<Utc>>,
    pub transferred_minor: i64,
    pub dispute: Option<DisputeState>,
}

/// The kind of difference that is noted while a host has more than their share, and it can't be taken back.
pub(super) const OVERPAID: &str = "overpaid";
/// How long after a refusal it is tried again.
const PAUSE: TimeDelta = TimeDelta::days(1);
/// How many are looked at at a time.
const BATCH: i64 = 200;

/// Money was taken, or came back to us: plans when the host's share is passed on.
pub(super) async fn plan(tx: &mut Tx, payment: &Payment, at: DateTime<Utc>) -> Result<()> {
    let (PaymentKind::Session, Some(session)) = (payment.kind, payment.session_id) else { return Ok(()) };
    let is_earned = observe::terms(tx, session).await?.payment_mode == ConversationType::Paid;
    if is_earned && share(payment) > 0 {
        queries::plan(tx.conn(), payment.id, at).await?;
    }
    Ok(())
}

/// When what is taken now is passed on.
pub(super) fn due(tx: &Tx) -> DateTime<Utc> {
    tx.now() + TimeDelta::days(tx.store().settings().payout_after_days.into())
}

/// Passes on what hosts earned and is due.
///
/// # Errors
/// The database's.
pub async fn pay_hosts(store: &Store) -> Result<()> {
    for id in queries::due(&store.pool, store.clock.now(), BATCH).await? {
        let mut tx = store.begin(None).await?;
        observe::lock(&mut tx, id).await?;
        follow(&mut tx, id).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Asks for what is missing between what was passed on and what should have been. Lock the payment
/// first.
pub(super) async fn follow(tx: &mut Tx, id: PaymentId) -> Result<()> {
    let payment = observe::load(tx, id).await?;
    if !matches!(payment.status, PaymentState::Captured | PaymentState::Refunded)
        || open_call_of(tx.conn(), id).await?.is_some()
    {
        return Ok(());
    }
    let (payout, now) = (queries::payout(tx.conn(), id).await?, tx.now());
    let missing = share(&payment) - payout.transferred_minor;
    if missing < 0 {
        return take_back(tx, &payment, -missing).await;
    }
    differences::resolve(tx, &id.to_string(), &[OVERPAID]).await?;
    if payout.payout_at.is_none_or(|at| at > now) {
        return Ok(());
    }
    if missing == 0 {
        return Ok(queries::paid(tx.conn(), id).await?);
    }
    let is_held_back = matches!(payout.dispute, Some(DisputeState::Open | DisputeState::Lost));
    if !is_held_back && queries::has_account(tx.conn(), id).await? {
        let asked = Ask { kind: CallKind::Transfer, amount_minor: missing, reason: None, at: now };
        ask(tx, id, &asked).await?;
    }
    Ok(())
}

/// Has some taken back of a transfer that has some left. Where that was refused, staff learn how much it is.
async fn take_back(tx: &mut Tx, payment: &Payment, amount: i64) -> Result<()> {
    if queries::is_reversal_refused(tx.conn(), payment.id).await? {
        let details = json!({"overpaid": amount, "currency": payment.currency, "share": share(payment)});
        return differences::note(tx, Some(payment.id), &payment.id.to_string(), OVERPAID, &details).await;
    }
    if let Some((transfer_id, left)) = queries::reversible(tx.conn(), payment.id).await? {
        ask_back(tx, payment.id, &transfer_id, amount.min(left)).await?;
    }
    Ok(())
}

/// A transfer was refused: staff learn of it, and it is tried again the next day. A dispute that we did not hear
/// of is looked at, and is what they learn of.
pub(super) async fn refused(tx: &mut Tx, payment: &Payment, code: &str) -> Result<()> {
    let again = tx.now() + PAUSE;
    queries::plan(tx.conn(), payment.id, again).await?;
    if let (DISPUTED, Some(object_id)) = (code, payment.intent_id.clone()) {
        return tx.enqueue(&SyncPayment { object_id });
    }
    let details = json!({"code": code, "currency": payment.currency, "share": share(payment)});
    differences::note(tx, Some(payment.id), &payment.id.to_string(), "payout_refused", &details).await
}

/// Books a transfer as it stands at the provider. Lock the payment first.
pub(super) async fn observe(tx: &mut Tx, id: PaymentId, transfer: &Transfer) -> Result<()> {
    let payment = observe::load(tx, id).await?;
    let before = queries::payout(tx.conn(), id).await?.transferred_minor;
    queries::keep_transfer(tx.conn(), id, transfer).await?;
    let after = queries::count_transferred(tx.conn(), id).await?;
    if after == before {
        return Ok(());
    }
    ledger::pass_on(tx, &payment, after - before).await?;
    differences::resolve(tx, &payment.id.to_string(), &["payout_refused"]).await?;
    if after > before {
        queries::paid(tx.conn(), id).await?;
        notices::passed_on(tx, &payment, after - before).await?;
    }
    Ok(())
}

/// Notes what the payer's bank says. Lock the payment first.
pub(super) async fn disputed(tx: &mut Tx, id: PaymentId, dispute: &Dispute) -> Result<()> {
    queries::set_dispute(tx.conn(), id, dispute.state).await?;
    if dispute.state == DisputeState::Won {
        differences::resolve(tx, &dispute.id, &["disputed"]).await?;
        return follow(tx, id).await;
    }
    let transferred = queries::payout(tx.conn(), id).await?.transferred_minor;
    let details = json!({"amount": dispute.amount_minor, "reason": dispute.reason, "passed_on": transferred});
    differences::note(tx, Some(id), &dispute.id, "disputed", &details).await
}

/// What the host is to have of a payment.
fn share(payment: &Payment) -> i64 {
    let net = payment.amount_captured - payment.amount_refunded;
    net - amounts::fee(net, payment.fee_percent)
}
