//! What follows when a call came to nothing: another try, the guest's, or staff's.

use chrono::TimeDelta;
use serde_json::json;

use super::{Ask, Call, CallKind, FAILED, MOST_ROUNDS, TOO_OLD, ask, ask_back};
use crate::{
    error::Result,
    payments::{
        Payment, PaymentState, differences, observe, payouts,
        queries::{self, Step},
        saved_cards,
    },
    tx::Tx,
};

/// What follows when a call came to nothing.
pub(super) async fn follow(tx: &mut Tx, call: &Call, code: &str) -> Result<()> {
    let payment = observe::load(tx, call.payment_id).await?;
    if matches!(call.kind, CallKind::CreateIntent | CallKind::CreateCheckout | CallKind::CreateSetup) {
        let to = Step { status: PaymentState::Failed, captured_minor: 0, refunded_minor: 0, capture_before: None };
        if payment.status == PaymentState::RequiresPayment && payment.intent_id.is_none() && payment.method_id.is_none()
        {
            observe::step(tx, &payment, &to).await?;
        }
        return Ok(());
    }
    let rounds = queries::refusals(tx.conn(), call.payment_id, call.kind).await?;
    if [FAILED, TOO_OLD].contains(&code) && rounds < MOST_ROUNDS && still_wanted(call.kind, &payment) {
        let pause = TimeDelta::seconds(30 * rounds);
        if call.kind == CallKind::Capture {
            observe::begin_capture(tx, &payment).await?;
        }
        if let Some(transfer_id) = &call.transfer_id {
            ask_back(tx, payment.id, transfer_id, call.amount_minor).await?;
        } else {
            let at = tx.now() + pause;
            let again = Ask { kind: call.kind, amount_minor: call.amount_minor, reason: None, at };
            ask(tx, payment.id, &again).await?;
        }
    } else if call.kind == CallKind::Authorize {
        saved_cards::refused(tx, &payment).await?;
    } else if call.kind == CallKind::Transfer {
        payouts::refused(tx, &payment, code).await?;
    } else if call.kind != CallKind::ReverseTransfer && still_wanted(call.kind, &payment) {
        // What can't be taken back of a transfer is noted by whoever counts how much that is.
        let details = json!({"call": call.id, "asked": call.kind, "amount": call.amount_minor, "code": code});
        differences::note(tx, Some(payment.id), &call.id.to_string(), "call_refused", &details).await?;
    }
    Ok(())
}

/// Whether a payment stands where a call could still take it further.
fn still_wanted(kind: CallKind, payment: &Payment) -> bool {
    match kind {
        CallKind::CreateIntent | CallKind::CreateCheckout | CallKind::CreateSetup => false,
        CallKind::Authorize => payment.status == PaymentState::RequiresPayment && payment.intent_id.is_none(),
        CallKind::Capture => payment.status == PaymentState::Authorized,
        CallKind::Void => matches!(payment.status, PaymentState::Authorized | PaymentState::RequiresPayment),
        CallKind::Refund | CallKind::Transfer => payment.status == PaymentState::Captured,
        CallKind::ReverseTransfer => true,
    }
}
