//! Calls to the provider: written down first, made outside any transaction, settled once.
//!
//! A call that may have been made before is looked up before it is made again, and then under the
//! key it has always had. One whose key is too old is never made again. So a crash, a time-out or
//! a lost answer at any point ends in the one effect that was asked for, or in none.

mod refusals;
mod send;

use chrono::{DateTime, TimeDelta, Utc};
use humanchat_jobs::payments::MakePaymentCall;

use super::{
    Payment, PaymentKind, accounts, load, observe,
    parties::{self, PartyKind},
    payouts, queries, saved_cards,
    stripe::{Checkout, Failure, Intent, Setup, Transfer},
};
use crate::{
    Store,
    error::{Error, Refusal, Result},
    id::{PaymentCallId, PaymentId},
    text::text_enum,
    tx::Tx,
};
use send::{current, look_up, send};

text_enum! {
    /// What is asked of the provider.
    CallKind {
        /// Something to authorise a card for.
        CreateIntent,
        /// A page to pay at.
        CreateCheckout,
        /// Something to save a card with.
        CreateSetup,
        /// To hold money on a saved card.
        Authorize,
        /// To take some of what is held.
        Capture,
        /// To let go of it.
        Void,
        /// To give back some of what was taken.
        Refund,
        /// To pass on what a host earned.
        Transfer,
        /// To take some of that back.
        ReverseTransfer,
    }
}

/// A call that has not been settled.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub id: PaymentCallId,
    pub payment_id: PaymentId,
    pub kind: CallKind,
    /// The idempotency key, the same in every attempt.
    pub key: String,
    pub amount_minor: i64,
    /// Which transfer some is taken back of.
    pub transfer_id: Option<String>,
    /// When it was last begun.
    pub attempted_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// The provider forgets keys after 24 hours.
pub(super) const KEY_LIFE: TimeDelta = TimeDelta::hours(23);
/// When the job of a call that a request makes looks after it.
pub(super) const LOOK_AFTER: TimeDelta = TimeDelta::seconds(15);
/// How often what came to nothing, without anybody having refused it, is asked for anew.
pub(super) const MOST_ROUNDS: i64 = 5;
/// The provider's own failure, after it was looked up that nothing came of the call.
pub(super) const FAILED: &str = "upstream_failed";
pub(super) const TOO_OLD: &str = "key_too_old";
/// Our own refusal to pass on what the payer's bank may take back.
pub(super) const DISPUTED: &str = "disputed";

/// What the provider showed.
#[derive(Debug)]
pub(super) enum Seen {
    Intent(Intent),
    Setup(Setup),
    Checkout(Checkout),
    Transfer(Transfer),
}

/// A settled call.
#[derive(Debug)]
pub(super) struct Made {
    pub payment: Payment,
    pub seen: Option<Seen>,
}

/// How a call ended: with what the provider shows now, and why it refused if it did.
struct End {
    refusal: Option<(String, String)>,
    seen: Option<Seen>,
}

impl End {
    fn done(seen: Seen) -> Self {
        Self { refusal: None, seen: Some(seen) }
    }

    fn refused(code: &str, message: &str, seen: Option<Seen>) -> Self {
        Self { refusal: Some((code.to_owned(), message.to_owned())), seen }
    }
}

/// What is to be asked of the provider.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub kind: CallKind,
    pub amount_minor: i64,
    pub reason: Option<&'a str>,
    /// When the job is due.
    pub at: DateTime<Utc>,
}

/// Writes a call down, with the job that makes it. Lock the payment first.
///
/// # Errors
/// `InvalidTransition` while another call of the payment is open.
pub(super) async fn ask(tx: &mut Tx, payment: PaymentId, ask: &Ask<'_>) -> Result<PaymentCallId> {
    let (id, now) = (PaymentCallId::new(), tx.now());
    if !queries::insert_call(tx.conn(), id, payment, ask, now).await? {
        return Err(under_way());
    }
    tx.enqueue_at(&MakePaymentCall { call_id: id }, ask.at)?;
    Ok(id)
}

/// Another call of the payment is open.
pub(super) fn under_way() -> Error {
    Refusal::InvalidTransition("something else is being done with this payment".to_owned()).into()
}

/// The same for taking back some of a transfer.
pub(super) async fn ask_back(tx: &mut Tx, payment: PaymentId, transfer_id: &str, amount_minor: i64) -> Result<()> {
    let (id, now) = (PaymentCallId::new(), tx.now());
    queries::insert_reversal(tx.conn(), id, payment, transfer_id, amount_minor, now).await?;
    tx.enqueue(&MakePaymentCall { call_id: id })
}

/// Makes a call, or finds out what became of it.
///
/// # Errors
/// `UpstreamTimeout` while that can't be known: ask again. `Unavailable` without a provider.
pub(super) async fn make(store: &Store, request_id: Option<String>, id: PaymentCallId) -> Result<Option<Made>> {
    let Some(call) = queries::open_call(&store.pool, id).await? else { return Ok(None) };
    let stripe = store.stripe()?;
    let payment = load(store, call.payment_id).await?;
    let begun_before = call.attempted_at.is_some();
    if begun_before && let Some(end) = look_up(stripe, &call, &payment).await? {
        return settle(store, request_id, &call, &payment, end).await.map(Some);
    }
    let now = store.clock.now();
    if begun_before && now - call.created_at >= KEY_LIFE {
        let seen = current(stripe, &call, &payment, now).await?;
        let end = End::refused(TOO_OLD, "it was not known in time whether this was done", seen);
        return settle(store, request_id, &call, &payment, end).await.map(Some);
    }
    let party = party(store, &call, &payment).await?;
    if !queries::attempt(&store.pool, call.id, now).await? {
        // Somebody else has settled it meanwhile.
        return Ok(None);
    }
    let end = match send(store, stripe, &call, &payment, party.as_deref()).await {
        Ok(seen) => End::done(seen),
        Err(Failure::Refused { code, message }) => {
            tracing::warn!(call = %call.id, code, "the payment provider refused a call");
            if let (CallKind::CreateSetup, "resource_missing", Some(id)) = (call.kind, code.as_str(), &party) {
                parties::lost(store, PartyKind::Customer, id).await?;
            }
            End::refused(&code, &message, current(stripe, &call, &payment, now).await?)
        }
        Err(Failure::Unknown { answered }) => {
            let call = Call { attempted_at: Some(now), ..call.clone() };
            match look_up(stripe, &call, &payment).await? {
                Some(end) => end,
                // Asked a second time, it said again that it failed: this call comes to nothing.
                None if answered && begun_before => {
                    End::refused(FAILED, "the payment provider failed", current(stripe, &call, &payment, now).await?)
                }
                None => return Err(Refusal::UpstreamTimeout("the payment provider has not answered").into()),
            }
        }
    };
    settle(store, request_id, &call, &payment, end).await.map(Some)
}

/// Whom a call is about: the customer whose card it is, or the account that is paid.
async fn party(store: &Store, call: &Call, payment: &Payment) -> Result<Option<String>> {
    match (call.kind, payment.payee_user_id) {
        (CallKind::CreateSetup | CallKind::Authorize, _) => {
            parties::named(store, PartyKind::Customer, payment.payer_user_id).await.map(Some)
        }
        (CallKind::Transfer, Some(payee)) => accounts::ready(store, payee).await,
        _ => Ok(None),
    }
}

/// Writes down how a call ended, and moves the payment to where the provider says it is. `before` is
/// the payment as it was when the provider was asked.
async fn settle(store: &Store, request_id: Option<String>, call: &Call, before: &Payment, end: End) -> Result<Made> {
    let mut tx = store.begin(request_id).await?;
    observe::lock(&mut tx, call.payment_id).await?;
    let now = tx.now();
    let refusal = end.refusal.as_ref().map(|(code, message)| (code.as_str(), message.as_str()));
    let first = queries::settle_call(tx.conn(), call.id, refusal, now).await?;
    match &end.seen {
        Some(Seen::Intent(intent)) => observe::intent(&mut tx, call.payment_id, intent, Some(before)).await?,
        Some(Seen::Setup(setup)) => saved_cards::observe(&mut tx, call.payment_id, setup).await?,
        Some(Seen::Transfer(transfer)) => payouts::observe(&mut tx, call.payment_id, transfer).await?,
        Some(Seen::Checkout(checkout)) => observe::checkout(&mut tx, call.payment_id, checkout).await?,
        None => {}
    }
    if let (true, Some((code, _))) = (first, refusal) {
        refusals::follow(&mut tx, call, code).await?;
    }
    observe::follow_session(&mut tx, call.payment_id).await?;
    payouts::follow(&mut tx, call.payment_id).await?;
    let payment = observe::load(&mut tx, call.payment_id).await?;
    tx.commit().await?;
    Ok(Made { payment, seen: end.seen })
}

impl Payment {
    /// The call that makes it into something to pay.
    pub(super) fn creation(&self) -> CallKind {
        match self.kind {
            PaymentKind::Session if self.authorize_at.is_some() && self.method_id.is_none() => CallKind::CreateSetup,
            PaymentKind::Session => CallKind::CreateIntent,
            PaymentKind::Donation => CallKind::CreateCheckout,
        }
    }
}
