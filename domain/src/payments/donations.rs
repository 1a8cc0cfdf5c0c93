//! Donations: to the platform, or to a person and their cause, paid at a page of Stripe's.

use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    PaymentKind, amounts,
    calls::{Ask, CallKind, LOOK_AFTER, ask},
    observe,
    queries::{self, NewPayment},
};
use crate::{
    error::{Refusal, Result},
    id::{PaymentId, SessionId, UserId},
    text::{Lookup, rules},
    tx::Tx,
    users,
};

/// A gift.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewDonation {
    /// Minor units: 500 is $5.00. From what cards can be charged in the currency to 99999999.
    #[garde(range(min = 1, max = amounts::MOST))]
    #[schema(minimum = 1, maximum = 99_999_999, example = 500)]
    pub amount: i64,
    /// ISO 4217, lower case; `usd` if absent.
    #[garde(skip)]
    #[schema(example = "usd")]
    pub currency: Option<String>,
    /// A session of the giver's that it is given on the occasion of.
    #[garde(skip)]
    #[schema(value_type = Option<SessionId>)]
    pub session_id: Option<Lookup<SessionId>>,
    /// Whom it is for; absent: the session's other person, or else the platform.
    #[garde(skip)]
    #[schema(value_type = Option<UserId>)]
    pub recipient_user_id: Option<Lookup<UserId>>,
    /// A word with it; up to 500 characters.
    #[garde(inner(length(chars, min = 1, max = 500), custom(rules::text)))]
    #[schema(min_length = 1, max_length = 500)]
    pub message: Option<String>,
}

/// Makes a donation; [`super::present`] then makes it payable.
///
/// # Errors
/// `Invalid`, `NotFound`, `Unavailable`.
pub async fn donate(tx: &mut Tx, caller: UserId, new: &NewDonation) -> Result<PaymentId> {
    tx.store().stripe()?;
    let currency = new.currency.as_deref().unwrap_or("usd");
    amounts::check(new.amount, currency).map_err(|(field, reason)| Refusal::field(field, reason))?;
    let session_id = new.session_id.map(|id| id.get("session")).transpose()?;
    let payee = recipient(tx, caller, session_id, new).await?;
    let (id, now) = (PaymentId::new(), tx.now());
    let row = NewPayment {
        id,
        kind: PaymentKind::Donation,
        session_id,
        payer: caller,
        payee,
        amount_minor: new.amount,
        currency,
        fee_percent: 0,
        message: new.message.as_deref(),
        authorize_at: None,
        method_id: None,
    };
    queries::insert(tx.conn(), &row, now).await?;
    // The request makes the call itself. The job is for when it can't.
    let asked = Ask { kind: CallKind::CreateCheckout, amount_minor: new.amount, reason: None, at: now + LOOK_AFTER };
    ask(tx, id, &asked).await?;
    let payment = observe::load(tx, id).await?;
    observe::tell(tx, &payment);
    Ok(id)
}

async fn recipient(
    tx: &mut Tx,
    caller: UserId,
    session: Option<SessionId>,
    new: &NewDonation,
) -> Result<Option<UserId>> {
    let other = match session {
        None => None,
        Some(id) => {
            let terms = queries::terms(tx.conn(), id).await?;
            let terms = terms.filter(|terms| caller == terms.host || caller == terms.guest);
            let terms = terms.ok_or(Refusal::NotFound("session"))?;
            Some(if caller == terms.host { terms.guest } else { terms.host })
        }
    };
    let named = new.recipient_user_id.map(|id| id.get("user")).transpose()?;
    if named == Some(caller) {
        return Err(Refusal::field("recipientUserId", "must be somebody else").into());
    }
    let Some(payee) = named.or(other) else { return Ok(None) };
    users::status_of(tx, payee).await?.ok_or(Refusal::NotFound("user"))?;
    Ok(Some(payee))
}
