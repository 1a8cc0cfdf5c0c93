//! What Stripe tells us: proven to be from there, stored once, and answered by asking how things
//! stand.

mod queries;
mod signature;

use humanchat_jobs::payments::SyncPayment;

use super::{observe, queries as payments, stripe::Notice};
use crate::{
    Store,
    error::{Refusal, Result},
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
    let notice = Notice::read(body).ok_or(Refusal::Malformed("the body is not an event"))?;
    let mut tx = store.begin(request_id).await?;
    take(&mut tx, &notice).await?;
    tx.commit().await
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

/// Asks how an intent or a checkout stands, and moves its payment there.
///
/// # Errors
/// `UpstreamTimeout`, `UpstreamFailed`, `Unavailable`: to be tried again.
pub async fn sync(store: &Store, request_id: Option<String>, object_id: &str) -> Result<()> {
    // What comes from now on is another job's.
    let events = queries::waiting(&store.pool, object_id).await?;
    let state = loop {
        match look(store, request_id.clone(), object_id).await? {
            Look::Moved => break "done",
            Look::Unknown => break "parked",
            Look::Late => {}
        }
    };
    Ok(queries::settle(&store.pool, &events, state, store.clock.now()).await?)
}

/// What came of a look.
enum Look {
    /// The payment is where the provider says it is.
    Moved,
    /// It is about nothing of ours.
    Unknown,
    /// The payment moved while the provider was asked: what was seen may be of before.
    Late,
}

async fn look(store: &Store, request_id: Option<String>, object_id: &str) -> Result<Look> {
    let stripe = store.stripe()?;
    let known = payments::made_for(&store.pool, object_id).await?;
    let (checkout, intent) = if object_id.starts_with("cs_") {
        let Some(checkout) = stripe.checkout(object_id).await? else { return Ok(Look::Unknown) };
        let intent = match &checkout.intent_id {
            Some(id) => stripe.intent(id).await?,
            None => None,
        };
        (Some(checkout), intent)
    } else {
        let Some(intent) = stripe.intent(object_id).await? else { return Ok(Look::Unknown) };
        (None, Some(intent))
    };
    let tagged = checkout.as_ref().and_then(|checkout| checkout.payment_id);
    let tagged = tagged.or(intent.as_ref().and_then(|intent| intent.payment_id));
    let Some(id) = known.as_ref().map(|known| known.id).or(tagged) else { return Ok(Look::Unknown) };
    let mut tx = store.begin(request_id).await?;
    observe::lock(&mut tx, id).await?;
    let Some(now) = payments::place(tx.conn(), id).await? else { return Ok(Look::Unknown) };
    if known.is_some_and(|before| before != now) {
        return Ok(Look::Late);
    }
    if let Some(checkout) = checkout {
        observe::checkout(&mut tx, id, &checkout).await?;
    }
    if let Some(intent) = intent {
        observe::intent(&mut tx, id, &intent).await?;
    }
    observe::follow_session(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Look::Moved)
}
