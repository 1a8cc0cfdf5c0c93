//! Giving back what was taken.

use garde::Validate;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    Payment, PaymentState, amounts,
    calls::{Ask, CallKind, ask},
    observe, queries,
};
use crate::{
    audit::{self, AuditAction},
    auth::Role,
    error::{Refusal, Result},
    id::{PaymentId, UserId},
    text::rules,
    tx::Tx,
};

/// How much to give back.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRefund {
    /// Minor units; absent: everything that is left.
    #[garde(inner(range(min = 1, max = amounts::MOST)))]
    #[schema(minimum = 1, maximum = 99_999_999, example = 500)]
    pub amount: Option<i64>,
    /// Why, for the books; up to 500 characters.
    #[garde(inner(length(chars, min = 1, max = 500), custom(rules::text)))]
    #[schema(min_length = 1, max_length = 500)]
    pub reason: Option<String>,
}

/// Asks for a refund; a job has it made.
///
/// # Errors
/// `NotFound`, `Forbidden`, `InvalidTransition`, `Invalid`, `Unavailable`.
pub async fn refund(tx: &mut Tx, caller: UserId, role: Role, id: PaymentId, new: &NewRefund) -> Result<Payment> {
    tx.store().stripe()?;
    let party = (role != Role::Admin).then_some(caller);
    if queries::find(tx.conn(), id, party).await?.is_none() {
        return Err(Refusal::NotFound("payment").into());
    }
    observe::lock(tx, id).await?;
    let payment = observe::load(tx, id).await?;
    if role != Role::Admin && payment.payee_user_id != Some(caller) {
        return Err(Refusal::Forbidden("only who was paid, or an admin, gives money back").into());
    }
    if payment.status != PaymentState::Captured {
        return Err(Refusal::InvalidTransition("nothing was taken that could be given back".to_owned()).into());
    }
    let left = payment.amount_captured - payment.amount_refunded;
    let amount_minor = new.amount.unwrap_or(left);
    if amount_minor > left {
        return Err(Refusal::field("amount", format!("must be at most {left}")).into());
    }
    let asked = Ask { kind: CallKind::Refund, amount_minor, reason: new.reason.as_deref(), at: tx.now() };
    ask(tx, id, &asked).await?;
    if payment.payee_user_id != Some(caller) {
        let after = json!({"amount_refunded": payment.amount_refunded + amount_minor, "reason": new.reason});
        let before = json!({"amount_refunded": payment.amount_refunded});
        audit::record(tx, caller, AuditAction::PaymentRefunded, &id.to_string(), (&before, &after)).await?;
    }
    Ok(payment)
}
