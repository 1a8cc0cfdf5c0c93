//! Times that are offered to somebody: kept from others for as long as the proposal may be taken.
//!
//! Only from those who would book them: whatever the host agrees to themself, a talk that begins now say,
//! goes before, and the proposal finds the time gone when it is taken.

use chrono::{DateTime, Utc};
use humanchat_jobs::{JobKey, sessions::ReleaseOffer};

use super::{booking, queries, timeouts};
use crate::{
    availability::Span,
    error::{Error, Result},
    id::{ActionId, UserId},
    tx::Tx,
    users,
};

/// The most of a host's times that are kept for proposals at once: those of the rest are taken by who
/// comes first, so that proposals can't block a calendar.
const MOST_KEPT: i64 = 3;

/// A slot that can be offered to somebody.
#[derive(Debug)]
pub(crate) struct Offer {
    guest: UserId,
    host: UserId,
    /// With the buffer behind it.
    during: Span,
}

/// A slot as it can be offered to somebody; `None` where they can't book it. Others can't take it until
/// the unit of work ends.
///
/// # Errors
/// The database's.
pub(crate) async fn offer(tx: &mut Tx, guest: UserId, host: UserId, slot: Span) -> Result<Option<Offer>> {
    users::lock(tx, &[guest, host]).await?;
    timeouts::release_expired(tx, [guest, host]).await?;
    match booking::bookable(tx, host, guest, slot).await {
        Ok(buffer) => Ok(Some(Offer { guest, host, during: slot.stretched(buffer) })),
        Err(Error::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Keeps what is offered, in place of what was kept for the same person before; as long as there are few
/// such times of the host's, and few that the guest holds without having paid.
///
/// # Errors
/// The database's.
pub(crate) async fn keep(tx: &mut Tx, id: ActionId, offer: &Offer, until: DateTime<Utc>) -> Result<()> {
    give_back_all(tx, offer.guest).await?;
    let now = tx.now();
    if queries::kept(tx.conn(), offer.host, now).await? >= MOST_KEPT
        || queries::holds(tx.conn(), offer.guest).await? >= booking::MOST_HOLDS
    {
        return Ok(());
    }
    queries::keep(tx.conn(), id, offer.host, offer.during).await?;
    tx.enqueue_at(&ReleaseOffer { action_id: id }, until)
}

/// Gives back the time that is kept for a proposal, if any is.
///
/// # Errors
/// The database's.
pub(crate) async fn give_back(tx: &mut Tx, id: ActionId) -> Result<()> {
    queries::give_back(tx.conn(), id).await?;
    tx.cancel_jobs(&[JobKey::of(&ReleaseOffer { action_id: id })]).await
}

/// Gives back all that is kept for proposals to somebody.
pub(super) async fn give_back_all(tx: &mut Tx, guest: UserId) -> Result<()> {
    let ids = queries::give_back_all(tx.conn(), guest).await?;
    let jobs: Vec<_> = ids.into_iter().map(|action_id| JobKey::of(&ReleaseOffer { action_id })).collect();
    tx.cancel_jobs(&jobs).await
}

/// Gives back the time of a proposal that has run out. Too early, it says when to come again.
///
/// # Errors
/// The database's.
pub async fn release_offer(tx: &mut Tx, id: ActionId) -> Result<Option<DateTime<Utc>>> {
    let until = queries::kept_until(tx.conn(), id).await?;
    if until.is_some_and(|until| until > tx.now()) {
        return Ok(until);
    }
    queries::give_back(tx.conn(), id).await?;
    Ok(None)
}
