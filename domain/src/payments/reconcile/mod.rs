//! Comparing our books with the provider's, both ways: what it told and we did not hear, and what
//! either side holds that the other doesn't know of.

mod queries;

use chrono::{DateTime, TimeDelta, Utc};
use humanchat_jobs::payments::{AuthorizePayment, MakePaymentCall, SyncPayment};
use serde_json::json;

use super::{differences, stripe::Held, webhooks};
use crate::{Store, error::Result};

/// Read again of what was read before: the list is in the order of creation, not of arrival.
const OVERLAP: TimeDelta = TimeDelta::minutes(15);
/// How far back the first look goes.
const FAR_BACK: TimeDelta = TimeDelta::days(8);
/// How much of the list is read before it is kept that it was: a long gap is caught up with bit by bit.
const WINDOW: TimeDelta = TimeDelta::hours(1);
/// How long something may be unsettled before it is asked for.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);
const HELD_FOR_NOTHING: &str = "held_for_nothing";
/// How much is asked for at a time.
const BATCH: i64 = 200;

/// Looks for what differs, has settled what can be, and notes the rest.
///
/// # Errors
/// `UpstreamTimeout`, `UpstreamFailed`, `Unavailable`: the next look has it.
pub async fn reconcile(store: &Store) -> Result<()> {
    let now = store.clock.now();
    // What asks the provider for nothing, and what asks for little, does not wait for what may be long.
    ask_for_unsettled(store, now).await?;
    let looked = find_strange_holds(store).await;
    hear_what_was_missed(store, now).await?;
    looked
}

/// Takes the events that no webhook brought, the oldest window first.
async fn hear_what_was_missed(store: &Store, now: DateTime<Utc>) -> Result<()> {
    let mut from = queries::events_read(&store.pool).await?.map_or(now - FAR_BACK, |read| read - OVERLAP);
    loop {
        // The last window has no end: the provider's clock may be ahead of ours.
        let until = Some(from + WINDOW).filter(|end| *end < now);
        hear_window(store, from, until).await?;
        queries::set_events_read(&store.pool, until.unwrap_or(now)).await?;
        let Some(end) = until else { return Ok(()) };
        from = end;
    }
}

async fn hear_window(store: &Store, from: DateTime<Utc>, until: Option<DateTime<Utc>>) -> Result<()> {
    let (mut missed, mut after) = (0, None);
    loop {
        let (notices, next) = store.stripe()?.notices_between(from, until, after).await?;
        let mut tx = store.begin(None).await?;
        for notice in notices.iter().rev() {
            missed += u32::from(webhooks::take(&mut tx, notice).await?);
        }
        tx.commit().await?;
        if next.is_none() {
            break;
        }
        after = next;
    }
    if missed > 0 {
        tracing::warn!(missed, %from, "events had not been delivered");
    }
    Ok(())
}

/// Asks for jobs that look after payments and calls which have stood still, and after what was told and never
/// looked at: its job was parked, or ran just before the event was stored.
async fn ask_for_unsettled(store: &Store, now: DateTime<Utc>) -> Result<()> {
    let mut tx = store.begin(None).await?;
    for object_id in queries::unsettled(tx.conn(), now - PATIENCE, now, BATCH).await? {
        tx.enqueue(&SyncPayment { object_id })?;
    }
    for object_id in queries::not_looked_at(tx.conn(), now - PATIENCE, BATCH).await? {
        tx.enqueue(&SyncPayment { object_id })?;
    }
    for payment_id in queries::forgotten_cards(tx.conn(), now - PATIENCE, BATCH).await? {
        tx.enqueue(&AuthorizePayment { payment_id })?;
    }
    for call_id in queries::forgotten_calls(tx.conn(), now - PATIENCE, BATCH).await? {
        tx.enqueue(&MakePaymentCall { call_id })?;
    }
    tx.commit().await
}

/// Notes what holds money at the provider and is for nothing we know of, or for something that is
/// over.
async fn find_strange_holds(store: &Store) -> Result<()> {
    let mut strange = Vec::new();
    for intent in store.stripe()?.holding().await?.into_iter().filter(|intent| intent.held == Held::All) {
        let status = match intent.payment_id {
            Some(id) => queries::status(&store.pool, id).await?,
            None => continue,
        };
        if status.as_deref().is_some_and(|status| !["voided", "failed"].contains(&status)) {
            continue;
        }
        let details = json!({"amount": intent.amount_minor, "currency": intent.currency, "our_status": status});
        let known = intent.payment_id.filter(|_| status.is_some());
        let mut tx = store.begin(None).await?;
        differences::note(&mut tx, known, &intent.id, HELD_FOR_NOTHING, &details).await?;
        tx.commit().await?;
        strange.push(intent.id);
    }
    let mut tx = store.begin(None).await?;
    differences::resolve_others(&mut tx, HELD_FOR_NOTHING, &strange).await?;
    tx.commit().await
}
