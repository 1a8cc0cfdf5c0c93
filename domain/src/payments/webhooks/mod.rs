//! What Stripe tells us: proven to be from there, stored once, and answered by asking how things
//! stand.

mod queries;
mod signature;

use humanchat_jobs::payments::SyncPayment;

use super::{observe, queries as payments, stripe::Notice};
use crate::{
    Store,
    error::{Refusal, Result},
    id::PaymentId,
    tx::Tx,
};

/// The kinds of events that can change a payment.
const KNOWN: [&str; 5] = ["payment_intent.", "charge.", "refund.", "checkout.session.", "transfer."];

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
    if !signature::is_valid(signature, body, secrets, store.clock.now()) {
        return Err(Refusal::Malformed("the signature is not valid").into());
    }
    let notice: Notice = serde_json::from_slice(body).map_err(|_| Refusal::Malformed("the body is not an event"))?;
    if !(1..=255).contains(&notice.id.len()) || notice.id.contains('\0') || notice.r#type.contains('\0') {
        return Err(Refusal::Malformed("the body is not an event").into());
    }
    let mut tx = store.begin(request_id).await?;
    take(&mut tx, &notice).await?;
    tx.commit().await
}

/// Stores an event, once. Says whether it was news.
pub(super) async fn take(tx: &mut Tx, notice: &Notice) -> Result<bool> {
    let is_known = KNOWN.iter().any(|beginning| notice.r#type.starts_with(beginning));
    let object_id = notice.object_id().filter(|id| is_known && (1..=255).contains(&id.len()) && !id.contains('\0'));
    let now = tx.now();
    let is_new = queries::insert(tx.conn(), notice, object_id.as_deref(), now).await?;
    if let Some(object_id) = object_id.filter(|_| is_new) {
        tx.enqueue(&SyncPayment { object_id })?;
    }
    Ok(is_new)
}

/// Asks how an intent or a checkout stands, and moves its payment there.
///
/// # Errors
/// `UpstreamTimeout`, `UpstreamFailed`, `Unavailable`: to be tried again.
pub async fn sync(store: &Store, request_id: Option<String>, object_id: &str) -> Result<()> {
    let asked_at = store.clock.now();
    let known = payments::made_for(&store.pool, object_id).await?;
    let payment_id = if object_id.starts_with("cs_") {
        sync_checkout(store, request_id.clone(), object_id, known).await?
    } else {
        sync_intent(store, request_id.clone(), object_id, known).await?
    };
    let state = if payment_id.is_some() { "done" } else { "parked" };
    queries::settle(&store.pool, object_id, state, asked_at, store.clock.now()).await?;
    Ok(())
}

async fn sync_intent(
    store: &Store,
    request_id: Option<String>,
    object_id: &str,
    known: Option<PaymentId>,
) -> Result<Option<PaymentId>> {
    let Some(intent) = store.stripe()?.intent(object_id).await? else { return Ok(None) };
    let Some(id) = known.or(intent.payment_id) else { return Ok(None) };
    let mut tx = store.begin(request_id).await?;
    observe::lock(&mut tx, id).await?;
    if payments::find(tx.conn(), id, None).await?.is_none() {
        return Ok(None);
    }
    observe::intent(&mut tx, id, &intent).await?;
    observe::follow_session(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Some(id))
}

async fn sync_checkout(
    store: &Store,
    request_id: Option<String>,
    object_id: &str,
    known: Option<PaymentId>,
) -> Result<Option<PaymentId>> {
    let stripe = store.stripe()?;
    let Some(checkout) = stripe.checkout(object_id).await? else { return Ok(None) };
    let Some(id) = known.or(checkout.payment_id) else { return Ok(None) };
    let intent = match &checkout.intent_id {
        Some(id) => stripe.intent(id).await?,
        None => None,
    };
    let mut tx = store.begin(request_id).await?;
    observe::lock(&mut tx, id).await?;
    if payments::find(tx.conn(), id, None).await?.is_none() {
        return Ok(None);
    }
    observe::checkout(&mut tx, id, &checkout).await?;
    if let Some(intent) = intent {
        observe::intent(&mut tx, id, &intent).await?;
    }
    tx.commit().await?;
    Ok(Some(id))
}
