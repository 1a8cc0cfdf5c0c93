//! Payments: held before, taken after, once, whatever breaks.
//!
//! A row says how a payment stands, `calls` what is asked of the provider, `observe` moves the row to
//! where the provider says it is, and the `ledger` keeps who is owed what. No call is made inside a
//! transaction.

mod accounts;
mod amounts;
mod calls;
mod differences;
mod donations;
mod holds;
mod ledger;
mod notices;
mod observe;
mod oversight;
mod parties;
mod payouts;
mod queries;
mod receipts;
mod reconcile;
mod refunds;
mod saved_cards;
mod service;
mod stripe;
mod webhooks;

use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

pub use accounts::{AccountStatus, Onboarding, PayoutAccount, account, onboard};
pub(crate) use amounts::chargeable;
pub use differences::{Difference, open as open_differences};
pub use donations::{NewDonation, donate};
pub(crate) use holds::session_moved;
pub use holds::{holds_expiring, watch_holds};
pub(crate) use ledger::takings;
pub use ledger::{DonationTotal, DonationTotals, donation_totals};
pub(crate) use notices::{paid_again, settle_again};
pub use oversight::{PaymentSearch, list_all};
pub use parties::forget_payer;
pub use payouts::pay_hosts;
pub use receipts::{Receipt, ReceiptLine, Talk, receipt};
pub use reconcile::reconcile;
pub use refunds::{NewRefund, refund};
pub use saved_cards::authorize;
pub(crate) use service::begin;
pub use service::{ServiceAction, ServicePayment, cancel, capture, open};
pub(crate) use stripe::Stripe;
pub(crate) use webhooks::prune as prune_webhook_events;
#[cfg(feature = "testing")]
pub(crate) use webhooks::read as read_webhook;
pub use webhooks::{receive, sync};

use crate::{
    Store,
    auth::Role,
    error::{Error, Refusal, Result},
    id::{PaymentCallId, PaymentId, SessionId, UserId},
    text::{Timestamp, text_enum},
    tx::Tx,
};
use calls::Seen;

text_enum! {
    /// What a payment is for.
    PaymentKind {
        /// A session.
        Session,
        /// A gift.
        Donation,
    }
    /// How far a payment is. `voided` and `failed` are final; `refunded` too, unless the bank does not take the
    /// refund: then `captured` again.
    PaymentState {
        /// Nobody has paid yet.
        RequiresPayment,
        /// The card is authorised: the money is held.
        Authorized,
        /// It is being taken.
        Capturing,
        /// It was taken.
        Captured,
        /// It was let go, or never paid.
        Voided,
        /// All of it was given back.
        Refunded,
        /// It could not be set up.
        Failed,
    }
}

/// A payment, as payer, payee and staff see it. Amounts are in minor units.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Payment {
    /// Id.
    pub id: PaymentId,
    /// The session it is for, or that a donation was made on the occasion of.
    #[schema(required)]
    pub session_id: Option<SessionId>,
    /// Who pays.
    pub payer_user_id: UserId,
    /// Who is paid; null for a gift to the platform.
    #[schema(required)]
    pub payee_user_id: Option<UserId>,
    /// What it is for.
    pub kind: PaymentKind,
    /// How far it is.
    pub status: PaymentState,
    /// What is or was to be held.
    pub amount: i64,
    /// What was taken of it.
    pub amount_captured: i64,
    /// What was given back of that.
    pub amount_refunded: i64,
    /// ISO 4217, lower case.
    pub currency: String,
    /// Until when what is held can be taken.
    #[schema(required)]
    pub capture_before: Option<Timestamp>,
    /// When a saved card is authorised by itself; null where the payer authorises a card by hand. A session
    /// that is more than two days away is paid for so: its `clientSecret` begins with `seti_`, and saves a card.
    #[schema(required)]
    pub authorize_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    #[serde(skip)]
    fee_percent: i16,
    #[serde(skip)]
    intent_id: Option<String>,
    #[serde(skip)]
    checkout_id: Option<String>,
    #[serde(skip)]
    setup_id: Option<String>,
    #[serde(skip)]
    method_id: Option<String>,
    #[serde(skip)]
    lapsed: bool,
    #[serde(skip)]
    waived: bool,
}

impl Payment {
    /// Whether another look shows the same: no money moved in between.
    fn stands_as(&self, other: &Self) -> bool {
        let standing = |payment: &Self| (payment.status, payment.amount_captured, payment.amount_refunded);
        standing(self) == standing(other)
    }
}

/// A payment that can be paid, and how.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    /// As it is now.
    pub payment: Payment,
    /// What the payer's browser confirms a session's payment with, at Stripe: one that begins with `pi_` authorises a
    /// card now, one with `seti_` saves it, to be authorised at the payment's `authorize_at`. Shown here and nowhere
    /// else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// Where a donation is paid. Absent once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkout_url: Option<String>,
}

impl std::fmt::Debug for Opened {
    /// Without what it can be paid with.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("payment", &self.payment).finish_non_exhaustive()
    }
}

impl Store {
    /// The payment provider.
    ///
    /// # Errors
    /// `Unavailable` without one.
    fn stripe(&self) -> Result<&Stripe> {
        Ok(self.stripe.as_ref().ok_or(Refusal::Unavailable("payments are not available here"))?)
    }

    fn fee_percent(&self) -> i16 {
        i16::try_from(self.settings.platform_fee_percent).unwrap_or(100)
    }
}

/// A payment of the caller's, as payer or payee; staff see all.
///
/// # Errors
/// `NotFound`.
pub async fn find(store: &Store, caller: UserId, role: Role, id: PaymentId) -> Result<Payment> {
    let mut connection = store.pool.acquire().await?;
    let party = (role == Role::User).then_some(caller);
    let payment = queries::find(&mut connection, id, party).await?;
    connection.give_back();
    Ok(payment.ok_or(Refusal::NotFound("payment"))?)
}

/// Makes a payment into something to pay, if that has not been done, and says how to pay it. Again
/// and again, it is one and the same.
///
/// # Errors
/// `UpstreamTimeout` while it isn't known what the provider did: ask again. `UpstreamFailed`,
/// `Unavailable`.
pub async fn present(store: &Store, request_id: Option<String>, id: PaymentId) -> Result<Opened> {
    let mut connection = store.pool.acquire().await?;
    let call = queries::open_call_of(&mut connection, id).await?;
    let payment = queries::find(&mut connection, id, None).await?.ok_or(Refusal::NotFound("payment"))?;
    connection.give_back();
    let made = match call.filter(|call| call.kind == payment.creation()) {
        Some(call) => calls::make(store, request_id, call.id).await?,
        None => None,
    };
    let (payment, seen) = match made {
        Some(made) => (made.payment, made.seen),
        None => (load(store, id).await?, None),
    };
    if payment.status == PaymentState::Failed {
        return Err(Refusal::UpstreamFailed("the payment provider did not take this payment").into());
    }
    let seen = match seen {
        Some(seen) => seen,
        None => look_up(store, &payment).await?,
    };
    let (client_secret, checkout_url) = match seen {
        Seen::Intent(intent) => (intent.client_secret, None),
        Seen::Setup(setup) => (setup.client_secret, None),
        Seen::Checkout(checkout) => (None, checkout.url),
        Seen::Transfer(_) => (None, None),
    };
    let client_secret = client_secret.map(|secret| secret.expose_secret().to_owned());
    Ok(Opened { payment, client_secret, checkout_url })
}

/// A payment as it is now, outside any transaction.
async fn load(store: &Store, id: PaymentId) -> Result<Payment> {
    let mut connection = store.pool.acquire().await?;
    let payment = queries::find(&mut connection, id, None).await?;
    connection.give_back();
    payment.ok_or(Error::Internal("a payment vanished"))
}

async fn look_up(store: &Store, payment: &Payment) -> Result<Seen> {
    let stripe = store.stripe()?;
    let seen = match (payment.kind, &payment.intent_id, &payment.checkout_id) {
        (PaymentKind::Session, Some(id), _) => stripe.intent(id).await?.map(Seen::Intent),
        (PaymentKind::Session, None, _) => match &payment.setup_id {
            Some(id) => stripe.setup(id).await?.map(Seen::Setup),
            None => None,
        },
        (PaymentKind::Donation, _, Some(id)) => stripe.checkout(id).await?.map(Seen::Checkout),
        _ => None,
    };
    Ok(seen.ok_or(Refusal::UpstreamFailed("the payment provider does not know this payment"))?)
}

/// Makes a call that was asked for, or finds out what became of it: what the job does.
///
/// # Errors
/// `UpstreamTimeout` while that can't be known; `Unavailable` without a provider.
pub async fn make_call(store: &Store, request_id: Option<String>, id: PaymentCallId) -> Result<()> {
    calls::make(store, request_id, id).await?;
    Ok(())
}

/// Refuses where there is no payment provider.
pub(crate) fn require_provider(store: &Store) -> Result<()> {
    store.stripe().map(drop)
}

/// The payment that counts for a session.
pub(crate) async fn of_session(tx: &mut Tx, session: SessionId) -> Result<Option<Payment>> {
    match queries::live(tx.conn(), session).await? {
        Some(id) => Ok(Some(observe::load(tx, id).await?)),
        None => Ok(None),
    }
}

/// Does with a session's payment what has become of the session: takes what is owed, or lets go.
/// The session's row is locked and changed. Its people need not be: whoever ends the sessions of several must not lock
/// more people then, out of their order.
pub(crate) async fn follow_session(tx: &mut Tx, session: SessionId) -> Result<()> {
    let Some(id) = queries::live(tx.conn(), session).await? else { return Ok(()) };
    queries::lock(tx.conn(), id).await?;
    observe::follow_session(tx, id).await
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    /// A payment of 3000 that nobody has paid.
    pub(super) fn payment(payee: Option<UserId>, fee_percent: i16) -> Payment {
        let at = Timestamp(DateTime::UNIX_EPOCH);
        Payment {
            id: PaymentId::new(),
            session_id: None,
            payer_user_id: UserId::new(),
            payee_user_id: payee,
            kind: PaymentKind::Donation,
            status: PaymentState::RequiresPayment,
            amount: 3000,
            amount_captured: 0,
            amount_refunded: 0,
            currency: "usd".to_owned(),
            capture_before: None,
            created_at: at,
            updated_at: at,
            fee_percent,
            intent_id: None,
            checkout_id: None,
            authorize_at: None,
            setup_id: None,
            method_id: None,
            lapsed: false,
            waived: false,
        }
    }
}
