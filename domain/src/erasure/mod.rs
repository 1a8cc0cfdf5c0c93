//! Closing an account. What is theirs alone goes; what others still need stays, under no name.
//!
//! At once, in one transaction: logins end, what is pending is called off, and the profile is emptied,
//! so that the address is free and nobody finds them. The bulk follows by a job, a batch at a time.

mod queries;

use humanchat_jobs::users::EraseUser;

use crate::{
    conversations,
    error::{Refusal, Result},
    event::{Channel, Event},
    id::{ConversationId, UserId},
    invites, requests, sessions,
    tx::Tx,
    users,
};

/// How many rows a batch removes.
const BATCH: i64 = 2_000;
/// How many conversations a batch tells of.
const TOLD: i64 = 50;

/// Closes the caller's account.
///
/// # Errors
/// `LastAdmin`.
pub async fn erase(tx: &mut Tx, caller: UserId) -> Result<()> {
    if !queries::lock(tx.conn(), caller).await? {
        return Err(Refusal::Unauthenticated.into());
    }
    if queries::is_last_admin(tx.conn(), caller).await? {
        return Err(Refusal::LastAdmin.into());
    }
    invites::end_all(tx, caller).await?;
    requests::decline_all(tx, caller).await?;
    sessions::end_all(tx, caller).await?;
    let now = tx.now();
    queries::end_logins(tx.conn(), caller, now).await?;
    queries::forget_mail(tx.conn(), caller).await?;
    queries::empty_profile(tx.conn(), caller, &format!("{caller}@deleted.invalid"), now).await?;
    users::announce_status(tx, &[caller]).await?;
    tx.enqueue(&EraseUser { user_id: caller })
}

/// Removes a batch of what somebody left behind; false once there is nothing more.
///
/// # Errors
/// The database's.
pub async fn remove_some(tx: &mut Tx, person: UserId) -> Result<bool> {
    if !queries::is_erased(tx.conn(), person).await? {
        return Ok(false);
    }
    let sam = queries::sam(tx.conn(), person).await?;
    let own = [Some(Channel::Notifications(person)), Some(Channel::Sessions(person)), sam.map(Channel::Conversation)];
    let own: Vec<_> = own.into_iter().flatten().map(|channel| channel.to_string()).collect();
    Ok(queries::remove_events(tx.conn(), &own, BATCH).await?
        || queries::remove_sam_messages(tx.conn(), person, BATCH).await?
        || queries::remove_sam(tx.conn(), person).await?
        || queries::remove_traces(tx.conn(), person, BATCH).await?
        || queries::release_managed(tx.conn(), person, BATCH).await?)
}

/// Tells those who talked with somebody that the name is gone, some conversations at a time. Says
/// after which to go on; `None` once all were told of.
///
/// # Errors
/// The database's.
pub async fn tell_some(tx: &mut Tx, person: UserId, after: Option<ConversationId>) -> Result<Option<ConversationId>> {
    let ids = queries::conversations(tx.conn(), person, after, TOLD).await?;
    for id in &ids {
        let conversation = conversations::shared_view(tx, *id, person).await?;
        tx.emit(Channel::Conversation(*id), Event::ConversationUpdated { conversation });
    }
    Ok(ids.last().copied())
}
