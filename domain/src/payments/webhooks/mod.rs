//! What Stripe tells us: proven to be from there, stored once, and answered by asking how things
//! stand.

mod queries;
mod signature;

use chrono::{DateTime, TimeDelta, Utc};
use humanchat_jobs::payments::SyncPayment;
use secrecy::SecretString;

use super::{Payment, accounts, observe, payouts, queries as payments, saved_cards, stripe::Notice};
use crate::{
    Store,
    error::{Refusal, Result},
    id::PaymentId,
    tx::Tx,
};

/// The kinds of events that can change a payment.
const KNOWN: [&str; 7] =
    ["payment_intent.", "setup_intent.", "charge.", "refund.", "checkout.session.", "transfer.", "account."];

/// How long events are remembered that were looked at: as long as Stripe itself keeps them. One that comes again later
/// is only looked at once more.
const KEPT: TimeDelta = TimeDelta::days(30);

/// Takes an event: stores it, and has a job look at what it is about. An event that was stored
/// before, or that is of no kind we know, is taken as well.
///
/// # Errors
/// `Malformed` when it isn't signed with one of our secrets now, or no event; `Unavailable`
/// without secrets.
pub async fn receive(store: &Store, request_id: Option<String>, signature: &str, body: &[u8]) -> Result<()> {
    let secrets = &store.settings.stripe_webhook_secrets;
    if secrets.is_empty() {
        return Err(Refusal::Unavailable("payments are not available here").into());
    }
    let notice = read(signature, body, secrets, store.clock.now())?;
    let mut tx = store.begin(request_id).await?;
    take(&mut tx, &notice).await?;
    tx.commit().await
}

/// An event that is signed with one of these secrets, and now.
pub(crate) fn read(
    signature: &str,
    body: &[u8],
    secrets: &[SecretString],
    now: DateTime<Utc>,
) -> Result<Notice, Refusal> {
    if !signature::is_valid(signature, body, secrets, now) {
        return Err(Refusal::Malformed("the signature is not valid"));
    }
    Notice::read(body).ok_or(Refusal::Malformed("the body is not an event"))
}

/// Stores an event, once. Says whether it was news.
pub(super) async fn take(tx: &mut Tx, notice: &Notice) -> Result<bool> {
    let is_known = KNOWN.iter().any(|beginning| notice.r#type.starts_with(beginning));
    let object_id = notice.object_id.as_ref().filter(|_| is_known);
    let now = tx.now();
    let is_new = queries::insert(tx.conn(), notice, object_id.map(String::as_str), now).await?;
    if let Some(object_id) = object_id.filter(|_| is_new) {
        tx.enqueue(&SyncPayment { object_id: object_id.clone() })?;
    }
    Ok(is_new)
}

/// Deletes a batch of events past their time. Says how many.
pub(crate) async fn prune(store: &Store, limit: i64) -> Result<u64> {
    Ok(queries::prune(&store.pool, store.clock.now() - KEPT, limit).await?)
}

/// Asks how something stands at the provider, and moves our books there.
///
/// # Errors
/// `UpstreamTimeout`, `UpstreamFailed`, `Unavailable`: to be tried again.
pub async fn sync(store: &Store, request_id: Option<String>, object_id: &str) -> Result<()> {
    // What comes from now on is another job's.
    let events = queries::waiting(&store.pool, object_id).await?;
    let kind = object_id.split_once('_').map_or("", |(kind, _)| kind);
    let is_ours = match kind {
        "acct" => accounts::sync(store, object_id).await?,
        "cs" => sync_checkout(store, request_id, object_id).await?,
        "seti" => sync_setup(store, request_id, object_id).await?,
        "tr" => sync_transfer(store, request_id, object_id).await?,
        _ => sync_intent(store, request_id, object_id).await?,
    };
    let state = if is_ours { "done" } else { "parked" };
    Ok(queries::settle(&store.pool, &events, state, store.clock.now()).await?)
}

async fn sync_intent(store: &Store, request_id: Option<String>, object_id: &str) -> Result<bool> {
    let (known, stripe) = (payments::made_for(&store.pool, object_id).await?, store.stripe()?);
    let Some(intent) = stripe.intent(object_id).await? else { return Ok(false) };
    let dispute = if intent.is_disputed { stripe.dispute_of(object_id).await? } else { None };
    let Some(mut work) = Work::begin(store, request_id, known.as_ref(), intent.payment_id).await? else {
        return Ok(false);
    };
    observe::intent(&mut work.tx, work.id, &intent, known.as_ref()).await?;
    if let Some(dispute) = dispute {
        payouts::disputed(&mut work.tx, work.id, &dispute).await?;
    }
    work.end().await
}

async fn sync_setup(store: &Store, request_id: Option<String>, object_id: &str) -> Result<bool> {
    let known = payments::made_for(&store.pool, object_id).await?;
    let Some(setup) = store.stripe()?.setup(object_id).await? else { return Ok(false) };
    let Some(mut work) = Work::begin(store, request_id, known.as_ref(), setup.payment_id).await? else {
        return Ok(false);
    };
    saved_cards::observe(&mut work.tx, work.id, &setup).await?;
    work.end().await
}

async fn sync_checkout(store: &Store, request_id: Option<String>, object_id: &str) -> Result<bool> {
    let (known, stripe) = (payments::made_for(&store.pool, object_id).await?, store.stripe()?);
    let Some(checkout) = stripe.checkout(object_id).await? else { return Ok(false) };
    let intent = match &checkout.intent_id {
        Some(id) => stripe.intent(id).await?,
        None => None,
    };
    let Some(mut work) = Work::begin(store, request_id, known.as_ref(), checkout.payment_id).await? else {
        return Ok(false);
    };
    observe::checkout(&mut work.tx, work.id, &checkout).await?;
    if let Some(intent) = intent {
        observe::intent(&mut work.tx, work.id, &intent, known.as_ref()).await?;
    }
    work.end().await
}

async fn sync_transfer(store: &Store, request_id: Option<String>, object_id: &str) -> Result<bool> {
    let Some(transfer) = store.stripe()?.transfer_by_id(object_id).await? else { return Ok(false) };
    let Some(mut work) = Work::begin(store, request_id, None, transfer.payment_id).await? else { return Ok(false) };
    payouts::observe(&mut work.tx, work.id, &transfer).await?;
    work.end().await
}

/// A locked payment that is moved to where the provider says it stands.
struct Work {
    tx: Tx,
    id: PaymentId,
}

impl Work {
    /// The payment that is known to be meant, or that what was seen names; none where that is not ours.
    async fn begin(
        store: &Store,
        request_id: Option<String>,
        known: Option<&Payment>,
        named: Option<PaymentId>,
    ) -> Result<Option<Self>> {
        let Some(id) = known.map(|payment| payment.id).or(named) else { return Ok(None) };
        let mut tx = store.begin(request_id).await?;
        observe::lock(&mut tx, id).await?;
        let is_ours = payments::find(tx.conn(), id, None).await?.is_some();
        Ok(is_ours.then_some(Self { tx, id }))
    }

    /// Asks for what follows from what was seen.
    async fn end(mut self) -> Result<bool> {
        observe::follow_session(&mut self.tx, self.id).await?;
        payouts::follow(&mut self.tx, self.id).await?;
        self.tx.commit().await?;
        Ok(true)
    }
}
