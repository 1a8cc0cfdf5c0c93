//! Receipts: what was paid for, by the minute.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Payment, PaymentKind, queries};
use crate::{
    Store,
    auth::Role,
    error::{Refusal, Result},
    id::{PaymentId, UserId},
    text::Timestamp,
};

/// What was paid, by whom, to whom, and for what.
#[derive(Debug, Serialize, ToSchema)]
pub struct Receipt {
    /// The payment.
    pub payment_id: PaymentId,
    /// Who paid.
    pub payer_name: String,
    /// Who was paid; null for a gift to the platform.
    #[schema(required)]
    pub payee_name: Option<String>,
    /// What a donation was for.
    #[schema(required)]
    pub charity_name: Option<String>,
    /// What it is made up of.
    pub lines: Vec<ReceiptLine>,
    /// What was taken, less what was given back; in minor units.
    pub total: i64,
    /// ISO 4217, lower case.
    pub currency: String,
    /// When it was paid.
    pub paid_at: Timestamp,
}

/// A part of what was paid.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptLine {
    /// What for.
    pub description: String,
    /// Since when the two talked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Begun minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minutes: Option<i32>,
    /// Minor units; negative where something was given back.
    pub amount: i64,
}

/// The receipt of a payment that was taken.
///
/// # Errors
/// `NotFound`; `InvalidTransition` while nothing was taken.
pub async fn receipt(store: &Store, caller: UserId, role: Role, id: PaymentId) -> Result<Receipt> {
    let payment = super::find(store, caller, role, id).await?;
    let Some(facts) = queries::facts(&store.pool, id).await? else {
        return Err(Refusal::InvalidTransition("nothing was paid yet".to_owned()).into());
    };
    Ok(Receipt {
        payment_id: id,
        lines: lines(&payment, &facts),
        total: payment.amount_captured - payment.amount_refunded,
        currency: payment.currency,
        payer_name: facts.payer_name,
        payee_name: facts.payee_name,
        charity_name: facts.charity_name,
        paid_at: facts.paid_at,
    })
}

fn lines(payment: &Payment, facts: &queries::Facts) -> Vec<ReceiptLine> {
    let line = |description: &str, amount| ReceiptLine {
        description: description.to_owned(),
        from: None,
        to: None,
        minutes: None,
        amount,
    };
    let first = match payment.kind {
        PaymentKind::Donation => line("Donation", payment.amount_captured),
        PaymentKind::Session => ReceiptLine {
            from: facts.start_time,
            to: facts.end_time,
            minutes: facts.minutes,
            ..line("Session", payment.amount_captured)
        },
    };
    let back = (payment.amount_refunded > 0).then(|| line("Refund", -payment.amount_refunded));
    [Some(first), back].into_iter().flatten().collect()
}
