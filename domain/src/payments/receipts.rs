//! Receipts: what was paid for, by the minute.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Payment, PaymentKind, queries};
use crate::{
    Store,
    auth::Role,
    error::{Refusal, Result},
    id::{PaymentId, UserId},
    sessions,
    text::Timestamp,
};

/// What was paid, by whom, to whom, and for what.
#[derive(Debug, Serialize, ToSchema)]
pub struct Receipt {
    /// The payment: the receipt's number.
    pub payment_id: PaymentId,
    /// What it was for.
    pub kind: PaymentKind,
    /// Who paid.
    pub payer_name: String,
    /// Who was paid; null for a gift to the platform.
    #[schema(required)]
    pub payee_name: Option<String>,
    /// The cause that a donation was for, as it was called then.
    #[schema(required)]
    pub charity_name: Option<String>,
    /// What a donor wrote with it.
    #[schema(required)]
    pub message: Option<String>,
    /// Whether something was had for it. For donations nothing was.
    pub goods_or_services: bool,
    /// What it is made up of.
    pub lines: Vec<ReceiptLine>,
    /// When both were there, of a session.
    pub talks: Vec<Talk>,
    /// What was taken, less what was given back; in minor units.
    pub total: i64,
    /// ISO 4217, lower case.
    pub currency: String,
    /// When it was paid.
    pub paid_at: Timestamp,
}

/// A stretch of time in which both were there.
#[derive(Debug, Serialize, ToSchema)]
pub struct Talk {
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
}

/// A part of what was paid.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptLine {
    /// What for.
    pub description: String,
    /// Minor units; negative where something was given back.
    pub amount: i64,
}

/// The receipt of a payment that was taken.
///
/// # Errors
/// `NotFound`; `InvalidTransition` while nothing was taken.
pub async fn receipt(store: &Store, caller: UserId, role: Role, id: PaymentId) -> Result<Receipt> {
    let payment = super::find(store, caller, role, id).await?;
    let mut tx = store.begin(None).await?;
    let Some(facts) = queries::facts(tx.conn(), id).await? else {
        return Err(Refusal::InvalidTransition("nothing was paid yet".to_owned()).into());
    };
    let talks = match (payment.kind, payment.session_id) {
        (PaymentKind::Session, Some(session)) => sessions::talks(&mut tx, session).await?,
        _ => Vec::new(),
    };
    Ok(Receipt {
        payment_id: id,
        kind: payment.kind,
        lines: lines(&payment),
        talks: talks.into_iter().map(|talk| Talk { from: Timestamp(talk.start), to: Timestamp(talk.end) }).collect(),
        total: payment.amount_captured - payment.amount_refunded,
        currency: payment.currency,
        payer_name: facts.payer_name,
        payee_name: facts.payee_name,
        charity_name: facts.charity_name,
        message: facts.message,
        goods_or_services: payment.kind == PaymentKind::Session,
        paid_at: facts.paid_at,
    })
}

fn lines(payment: &Payment) -> Vec<ReceiptLine> {
    let line = |description: &str, amount| ReceiptLine { description: description.to_owned(), amount };
    let what = match payment.kind {
        PaymentKind::Donation => "Donation",
        PaymentKind::Session => "Session",
    };
    let back = (payment.amount_refunded > 0).then(|| line("Refund", -payment.amount_refunded));
    [Some(line(what, payment.amount_captured)), back].into_iter().flatten().collect()
}
