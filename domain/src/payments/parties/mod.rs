//! Who people are at the provider: a payer a customer, whose cards can be saved; a host an account,
//! which what they earned is passed on to.
//!
//! Each is made once, when first needed. The idempotency key is stored before the call; one whose
//! outcome isn't known is looked up, and made under another key only after it was seen that
//! nothing came of the old one.

mod queries;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    calls::KEY_LIFE,
    stripe::{Around, Failure},
};
use crate::{
    Store,
    error::{Refusal, Result},
    id::UserId,
    text::text_enum,
};

/// How long until it is looked again whether a payment still needs the card of somebody who left.
const NEEDED: TimeDelta = TimeDelta::hours(1);

text_enum! {
    /// What somebody is at the provider.
    PartyKind {
        /// Somebody who pays.
        Customer,
        /// Somebody who is paid.
        Account,
    }
}

/// Somebody at the provider, or on their way there.
pub(super) struct Party {
    pub object_id: Option<String>,
    pub key: String,
    pub keyed_at: DateTime<Utc>,
    pub attempted_at: Option<DateTime<Utc>>,
}

/// The provider's id of somebody, who is made there if that has not been done.
///
/// # Errors
/// `UpstreamTimeout` while it isn't known what the provider did: ask again. `UpstreamFailed`,
/// `Unavailable`.
pub(super) async fn named(store: &Store, kind: PartyKind, user: UserId) -> Result<String> {
    let now = store.clock.now();
    let party = queries::begin(&store.pool, user, kind, &new_key(), now).await?;
    if let Some(id) = party.object_id {
        return Ok(id);
    }
    let stripe = store.stripe()?;
    if let Some(attempted_at) = party.attempted_at {
        let around = Around { from: party.keyed_at, to: attempted_at };
        if let Some(id) = stripe.party(kind, user, around).await? {
            return keep(store, kind, user, id).await;
        }
        if now - party.keyed_at >= KEY_LIFE {
            queries::renew_key(&store.pool, user, kind, &party.key, &new_key(), now).await?;
            return Err(not_yet());
        }
    }
    queries::attempt(&store.pool, user, kind, now).await?;
    match stripe.create_party(kind, &party.key, user).await {
        Ok(id) => keep(store, kind, user, id).await,
        Err(Failure::Refused { code, .. }) => {
            tracing::warn!(?kind, code, "the payment provider refused somebody");
            queries::renew_key(&store.pool, user, kind, &party.key, &new_key(), now).await?;
            Err(Refusal::UpstreamFailed("the payment provider did not take this").into())
        }
        Err(Failure::Unknown { answered }) => {
            // It failed a second time, and nothing came of the first: the provider keeps that under the key.
            if answered && party.attempted_at.is_some() {
                queries::renew_key(&store.pool, user, kind, &party.key, &new_key(), now).await?;
            }
            Err(not_yet())
        }
    }
}

/// Has the provider forget somebody who has left, with their cards, once no payment of theirs needs one.
/// Says when to come again where one does.
///
/// # Errors
/// `UpstreamTimeout`, `UpstreamFailed`, `Unavailable`: ask again.
pub async fn forget_payer(store: &Store, user: UserId) -> Result<Option<DateTime<Utc>>> {
    if queries::needs_card(&store.pool, user).await? {
        return Ok(Some(store.clock.now() + NEEDED));
    }
    let Some(party) = queries::find(&store.pool, user, PartyKind::Customer).await? else { return Ok(None) };
    let stripe = store.stripe()?;
    let id = match (party.object_id, party.attempted_at) {
        (None, Some(to)) => stripe.party(PartyKind::Customer, user, Around { from: party.keyed_at, to }).await?,
        (id, _) => id,
    };
    if let Some(id) = id {
        stripe.delete_customer(&id).await?;
    }
    queries::remove(&store.pool, user, PartyKind::Customer).await?;
    Ok(None)
}

/// The provider doesn't know somebody any more: they are made there anew when next needed.
pub(super) async fn lost(store: &Store, kind: PartyKind, object_id: &str) -> Result<()> {
    tracing::warn!(?kind, object_id, "the payment provider has lost somebody");
    Ok(queries::lose(&store.pool, kind, object_id, &new_key(), store.clock.now()).await?)
}

/// Whose the provider's id of somebody is.
pub(super) async fn owner(store: &Store, kind: PartyKind, object_id: &str) -> Result<Option<UserId>> {
    Ok(queries::owner(&store.pool, kind, object_id).await?)
}

async fn keep(store: &Store, kind: PartyKind, user: UserId, id: String) -> Result<String> {
    // Whoever was first has said the same, for it was the same call.
    Ok(queries::keep(&store.pool, user, kind, &id).await?)
}

fn new_key() -> String {
    format!("party_{}", Uuid::now_v7().simple())
}

fn not_yet() -> crate::error::Error {
    Refusal::UpstreamTimeout("the payment provider has not answered").into()
}
