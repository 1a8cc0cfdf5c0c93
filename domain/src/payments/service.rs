//! Payments for sessions: the guest's card is authorised before, what is owed is taken after.

use garde::Validate;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Payment, PaymentState, amounts,
    calls::{Ask, CallKind, LOOK_AFTER, ask, under_way},
    holds, observe,
    queries::{self, NewPayment, Terms},
};
use crate::{
    error::{Refusal, Result},
    id::{PaymentId, SessionId, UserId},
    money::amount_text,
    sessions::{self, SessionStatus, SessionType},
    text::{Lookup, text_enum},
    tx::Tx,
    users::ConversationType,
};

text_enum! {
    /// What to do about a session's payment.
    ServiceAction {
        /// Make one that the guest can authorise.
        Create,
        /// Take what is owed.
        Capture,
        /// Let go of what is held.
        Cancel,
    }
}

/// What to do about which session's payment.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServicePayment {
    /// The session.
    #[garde(skip)]
    #[schema(value_type = SessionId)]
    pub session_id: Lookup<SessionId>,
    /// The guest creates; the host captures and cancels.
    #[garde(skip)]
    pub action: ServiceAction,
}

/// Makes the payment of a session that waits for it, or finds the one there is; [`super::present`]
/// then makes it payable.
///
/// # Errors
/// `NotFound`, `Forbidden`, `InvalidTransition`, `Unavailable`.
pub async fn open(tx: &mut Tx, caller: UserId, session: SessionId) -> Result<PaymentId> {
    tx.store().stripe()?;
    let terms = terms(tx, caller, session).await?;
    if caller != terms.guest {
        return Err(Refusal::Forbidden("only the guest pays for a session").into());
    }
    if terms.price_minor == 0 {
        return Err(Refusal::InvalidTransition("this session costs nothing".to_owned()).into());
    }
    if let Some(id) = queries::live(tx.conn(), session).await? {
        observe::lock(tx, id).await?;
        let payment = observe::load(tx, id).await?;
        if has_no_way(tx, &payment).await? {
            let (kind, at) = (CallKind::CreateIntent, tx.now() + LOOK_AFTER);
            ask(tx, id, &Ask { kind, amount_minor: payment.amount, reason: None, at }).await?;
        }
        return Ok(id);
    }
    if terms.status != SessionStatus::Pending {
        return Err(Refusal::InvalidTransition("only a session that has not begun is paid for".to_owned()).into());
    }
    Ok(make(tx, session, &terms).await?.id)
}

/// Whether a saved card came to nothing, and nothing else was made to pay with.
async fn has_no_way(tx: &mut Tx, payment: &Payment) -> Result<bool> {
    Ok(payment.status == PaymentState::RequiresPayment
        && payment.method_id.is_some()
        && payment.intent_id.is_none()
        && queries::open_call_of(tx.conn(), payment.id).await?.is_none()
        && queries::refusals(tx.conn(), payment.id, CallKind::Authorize).await? > 0)
}

/// The payment that a new session begins with. Where there is no provider, it has none.
pub(crate) async fn begin(tx: &mut Tx, session: SessionId) -> Result<Option<Payment>> {
    if tx.store().stripe().is_err() {
        return Ok(None);
    }
    let terms = observe::terms(tx, session).await?;
    if terms.price_minor == 0 {
        return Ok(None);
    }
    Ok(Some(make(tx, session, &terms).await?))
}

/// A price follows from how long it is for, so that is what can't be had.
fn chargeable(terms: &Terms) -> Result<(), Refusal> {
    let field = match terms.session_type {
        SessionType::Instant => "minutes",
        SessionType::Scheduled => "durationMinutes",
    };
    let price = amount_text(terms.price_minor, &terms.currency);
    amounts::chargeable(terms.price_minor, &terms.currency)
        .map_err(|range| Refusal::field(field, format!("cost {price}; a card can be charged {range}")))
}

async fn make(tx: &mut Tx, session: SessionId, terms: &Terms) -> Result<Payment> {
    chargeable(terms)?;
    let fee_percent = if terms.payment_mode == ConversationType::Paid { tx.store().fee_percent() } else { 0 };
    let now = tx.now();
    let authorize_at = holds::authorize_at(terms, now);
    let new = NewPayment { authorize_at, ..NewPayment::for_session(session, terms, fee_percent) };
    let id = new.id;
    queries::insert(tx.conn(), &new, now).await?;
    let kind = if authorize_at.is_some() { CallKind::CreateSetup } else { CallKind::CreateIntent };
    // The guest's request makes the call itself. The job is for when it can't.
    ask(tx, id, &Ask { kind, amount_minor: terms.price_minor, reason: None, at: now + LOOK_AFTER }).await?;
    let payment = observe::load(tx, id).await?;
    observe::tell(tx, &payment);
    sessions::set_payment(tx, session, PaymentState::RequiresPayment).await?;
    Ok(payment)
}

/// Takes what is owed for a session that is complete.
///
/// # Errors
/// `NotFound`, `Forbidden`, `InvalidTransition`, `PaymentRequired`.
pub async fn capture(tx: &mut Tx, caller: UserId, session: SessionId) -> Result<Payment> {
    let (terms, payment) = hosted(tx, caller, session).await?;
    if terms.status != SessionStatus::Complete {
        return Err(Refusal::InvalidTransition("only a session that is complete is captured".to_owned()).into());
    }
    match payment.status {
        PaymentState::RequiresPayment => {
            return Err(Refusal::PaymentRequired("the guest has not paid for this session").into());
        }
        PaymentState::Authorized => observe::insist(tx, &payment).await?,
        _ => {}
    }
    observe::load(tx, payment.id).await
}

/// Lets go of what is held for a session: its host waives that, whatever becomes of the session. One
/// that has not begun waits for another payment then.
///
/// # Errors
/// `NotFound`, `Forbidden`, `InvalidTransition`.
pub async fn cancel(tx: &mut Tx, caller: UserId, session: SessionId) -> Result<Payment> {
    let (_, payment) = hosted(tx, caller, session).await?;
    if !matches!(payment.status, PaymentState::RequiresPayment | PaymentState::Authorized) {
        return Err(Refusal::InvalidTransition("nothing is held that could be let go".to_owned()).into());
    }
    if queries::open_call_of(tx.conn(), payment.id).await?.is_some_and(|call| call.kind != CallKind::Void) {
        return Err(under_way());
    }
    let now = tx.now();
    queries::waive(tx.conn(), payment.id, now).await?;
    let waived = observe::load(tx, payment.id).await?;
    observe::insist(tx, &waived).await?;
    observe::load(tx, payment.id).await
}

/// A session of the caller's, locked, and what it says about paying.
async fn terms(tx: &mut Tx, caller: UserId, session: SessionId) -> Result<Terms> {
    if sessions::lock(tx, session, caller).await?.is_none() {
        return Err(Refusal::NotFound("session").into());
    }
    observe::terms(tx, session).await
}

/// The caller's session as its host, and its payment, both locked.
async fn hosted(tx: &mut Tx, caller: UserId, session: SessionId) -> Result<(Terms, Payment)> {
    tx.store().stripe()?;
    let terms = terms(tx, caller, session).await?;
    if caller != terms.host {
        return Err(Refusal::Forbidden("only the host does this with a payment").into());
    }
    let Some(id) = queries::live(tx.conn(), session).await? else {
        return Err(Refusal::PaymentRequired("the guest has not paid for this session").into());
    };
    observe::lock(tx, id).await?;
    let payment = observe::load(tx, id).await?;
    Ok((terms, payment))
}
