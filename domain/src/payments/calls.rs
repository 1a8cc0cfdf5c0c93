//! Calls to the provider: written down first, made outside any transaction, settled once.
//!
//! A call that may have been made before is looked up before it is made again, and then under the
//! key it has always had. One whose key is too old is never made again. So a crash, a time-out or
//! a lost answer at any point ends in the one effect that was asked for, or in none.

use chrono::{DateTime, TimeDelta, Utc};
use humanchat_jobs::payments::MakePaymentCall;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    Payment, PaymentKind, PaymentState, differences, observe,
    queries::{self, Step},
    stripe::{Around, Checkout, Failure, Held, Intent, Order, Page, Stripe},
};
use crate::{
    Store,
    error::{Error, Refusal, Result},
    id::{PaymentCallId, PaymentId},
    tx::Tx,
    users::text_enum,
};

text_enum! {
    /// What is asked of the provider.
    CallKind {
        /// Something to authorise a card for.
        CreateIntent,
        /// A page to pay at.
        CreateCheckout,
        /// To take some of what is held.
        Capture,
        /// To let go of it.
        Void,
        /// To give back some of what was taken.
        Refund,
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
    /// When it was last begun.
    pub attempted_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// The provider forgets keys after 24 hours.
const KEY_LIFE: TimeDelta = TimeDelta::hours(23);
/// When the job of a call that a request makes looks after it.
pub(super) const LOOK_AFTER: TimeDelta = TimeDelta::seconds(15);
/// How often what came to nothing, without anybody having refused it, is asked for anew.
const MOST_ROUNDS: i64 = 5;
/// The provider's own failure, after it was looked up that nothing came of the call.
const FAILED: &str = "upstream_failed";
const TOO_OLD: &str = "key_too_old";

/// What the provider showed.
#[derive(Debug)]
pub(super) enum Seen {
    Intent(Intent),
    Checkout(Checkout),
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
        return Err(Refusal::InvalidTransition("something else is being done with this payment".to_owned()).into());
    }
    tx.enqueue_at(&MakePaymentCall { call_id: id }, ask.at)?;
    Ok(id)
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
        return settle(store, request_id, &call, end).await.map(Some);
    }
    let now = store.clock.now();
    if begun_before && now - call.created_at >= KEY_LIFE {
        let end =
            End::refused(TOO_OLD, "it was not known in time whether this was done", current(stripe, &payment).await?);
        return settle(store, request_id, &call, end).await.map(Some);
    }
    if !queries::attempt(&store.pool, call.id, now).await? {
        // Somebody else has settled it meanwhile.
        return Ok(None);
    }
    let end = match send(store, stripe, &call, &payment).await {
        Ok(seen) => End::done(seen),
        Err(Failure::Refused { code, message }) => {
            tracing::warn!(call = %call.id, code, "the payment provider refused a call");
            End::refused(&code, &message, current(stripe, &payment).await?)
        }
        Err(Failure::Unknown { answered }) => {
            let call = Call { attempted_at: Some(now), ..call.clone() };
            match look_up(stripe, &call, &payment).await? {
                Some(end) => end,
                // Asked a second time, it said again that it failed: this call comes to nothing.
                None if answered && begun_before => {
                    End::refused(FAILED, "the payment provider failed", current(stripe, &payment).await?)
                }
                None => return Err(Refusal::UpstreamTimeout("the payment provider has not answered").into()),
            }
        }
    };
    settle(store, request_id, &call, end).await.map(Some)
}

async fn load(store: &Store, id: PaymentId) -> Result<Payment> {
    let mut conn = store.pool.acquire().await?;
    let payment = queries::find(&mut conn, id, None).await?;
    conn.give_back();
    payment.ok_or(Error::Internal("a payment vanished"))
}

async fn send(store: &Store, stripe: &Stripe, call: &Call, payment: &Payment) -> Result<Seen, Failure> {
    let order = Order { payment_id: payment.id, amount_minor: call.amount_minor, currency: &payment.currency };
    let unknown = Failure::Unknown { answered: false };
    let intent_id = payment.intent_id.as_deref();
    Ok(match call.kind {
        CallKind::CreateIntent => Seen::Intent(Box::pin(stripe.create_intent(&call.key, &order)).await?),
        CallKind::CreateCheckout => {
            let page = |name: &str| store.settings().public_url.join(name).map(|url| url.to_string());
            let (success, cancel) = (page("checkout/thanks"), page("checkout/cancelled"));
            let (Ok(success_url), Ok(cancel_url)) = (&success, &cancel) else { return Err(unknown) };
            let page = Page { title: "Donation", success_url, cancel_url };
            Seen::Checkout(Box::pin(stripe.create_checkout(&call.key, &order, &page)).await?)
        }
        CallKind::Capture => {
            Seen::Intent(stripe.capture(&call.key, intent_id.ok_or(unknown)?, call.amount_minor).await?)
        }
        CallKind::Void => Seen::Intent(stripe.cancel(&call.key, intent_id.ok_or(unknown)?).await?),
        CallKind::Refund => {
            let intent_id = intent_id.ok_or_else(|| unknown.clone())?;
            stripe.refund(&call.key, intent_id, call.id, call.amount_minor).await?;
            // What that makes of the payment.
            Seen::Intent(stripe.intent(intent_id).await.ok().flatten().ok_or(unknown)?)
        }
    })
}

/// What came of a call that may have been made; none while nothing shows.
async fn look_up(stripe: &Stripe, call: &Call, payment: &Payment) -> Result<Option<End>> {
    let around = Around { from: call.created_at, to: call.attempted_at.unwrap_or(call.created_at) };
    Ok(match call.kind {
        CallKind::CreateIntent => {
            stripe.intent_of(payment.id, around).await?.map(|intent| End::done(Seen::Intent(intent)))
        }
        CallKind::CreateCheckout => {
            stripe.checkout_of(payment.id, around).await?.map(|checkout| End::done(Seen::Checkout(checkout)))
        }
        CallKind::Capture | CallKind::Void => {
            let Some(intent) = intent_of(stripe, payment).await? else { return Ok(None) };
            let wanted = if call.kind == CallKind::Capture { Held::Taken } else { Held::Released };
            match intent.held {
                held if held == wanted => Some(End::done(Seen::Intent(intent))),
                Held::Taken => Some(End::refused("already_captured", "it was captured", Some(Seen::Intent(intent)))),
                Held::Released => Some(End::refused("already_voided", "it was voided", Some(Seen::Intent(intent)))),
                Held::All | Held::Nothing => None,
            }
        }
        CallKind::Refund => {
            let Some(intent_id) = &payment.intent_id else { return Ok(None) };
            if !stripe.has_refund(intent_id, call.id).await? {
                return Ok(None);
            }
            intent_of(stripe, payment).await?.map(|intent| End::done(Seen::Intent(intent)))
        }
    })
}

async fn intent_of(stripe: &Stripe, payment: &Payment) -> Result<Option<Intent>> {
    match &payment.intent_id {
        Some(id) => stripe.intent(id).await,
        None => Ok(None),
    }
}

/// How the payment stands at the provider.
async fn current(stripe: &Stripe, payment: &Payment) -> Result<Option<Seen>> {
    Ok(intent_of(stripe, payment).await?.map(Seen::Intent))
}

/// Writes down how a call ended, and moves the payment to where the provider says it is.
async fn settle(store: &Store, request_id: Option<String>, call: &Call, end: End) -> Result<Made> {
    let mut tx = store.begin(request_id).await?;
    observe::lock(&mut tx, call.payment_id).await?;
    let now = tx.now();
    let refusal = end.refusal.as_ref().map(|(code, message)| (code.as_str(), message.as_str()));
    let first = queries::settle_call(tx.conn(), call.id, refusal, now).await?;
    match &end.seen {
        Some(Seen::Intent(intent)) => observe::intent(&mut tx, call.payment_id, intent).await?,
        Some(Seen::Checkout(checkout)) => observe::checkout(&mut tx, call.payment_id, checkout).await?,
        None => {}
    }
    if let (true, Some((code, _))) = (first, refusal) {
        after_refusal(&mut tx, call, code).await?;
    }
    observe::follow_session(&mut tx, call.payment_id).await?;
    let payment = observe::load(&mut tx, call.payment_id).await?;
    tx.commit().await?;
    Ok(Made { payment, seen: end.seen })
}

/// What follows when a call came to nothing.
async fn after_refusal(tx: &mut Tx, call: &Call, code: &str) -> Result<()> {
    let payment = observe::load(tx, call.payment_id).await?;
    if matches!(call.kind, CallKind::CreateIntent | CallKind::CreateCheckout) {
        let to = Step { status: PaymentState::Failed, captured_minor: 0, refunded_minor: 0, capture_before: None };
        if payment.status == PaymentState::RequiresPayment && payment.intent_id.is_none() {
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
        let again = Ask { kind: call.kind, amount_minor: call.amount_minor, reason: None, at: tx.now() + pause };
        ask(tx, payment.id, &again).await?;
    } else if still_wanted(call.kind, &payment) {
        let details = json!({"call": call.id, "asked": call.kind, "amount": call.amount_minor, "code": code});
        differences::note(tx, Some(payment.id), &call.id.to_string(), "call_refused", &details).await?;
    }
    Ok(())
}

/// Whether a payment stands where a call could still take it further.
fn still_wanted(kind: CallKind, payment: &Payment) -> bool {
    match kind {
        CallKind::CreateIntent | CallKind::CreateCheckout => false,
        CallKind::Capture => payment.status == PaymentState::Authorized,
        CallKind::Void => matches!(payment.status, PaymentState::Authorized | PaymentState::RequiresPayment),
        CallKind::Refund => payment.status == PaymentState::Captured,
    }
}

impl Payment {
    /// The call that makes it into something to pay.
    pub(super) fn creation(&self) -> CallKind {
        match self.kind {
            PaymentKind::Session => CallKind::CreateIntent,
            PaymentKind::Donation => CallKind::CreateCheckout,
        }
    }
}
