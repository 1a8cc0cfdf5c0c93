//! Closing an account. What is theirs alone goes; what others still need stays, under no name.
//!
//! At once, in one transaction: logins end, what is pending is called off, and the profile is emptied,
//! so that the address is free and nobody finds them. The bulk follows by a job, a batch at a time.
//! Requests that other processes had let in by then may still write something: the job comes again
//! when none can be under way any more.

mod queries;

use chrono::{DateTime, TimeDelta, Utc};
use humanchat_jobs::{payments::ForgetPayer, users::EraseUser};

use crate::{
    conversations,
    error::{Refusal, Result},
    event::{Channel, Event},
    id::{ConversationId, PaymentId, RequestId, UserId},
    invites, requests, sam, sessions,
    tx::Tx,
    users,
};

/// How many rows a batch removes.
const BATCH: i64 = 2_000;
/// How many invites, requests and sessions, of each, are ended in one transaction.
const ENDED: i64 = 100;
/// How many conversations or requests a batch tells of.
const TOLD: i64 = 50;
/// After so long nothing goes on that began before the logins ended.
const SETTLED: TimeDelta = TimeDelta::minutes(5);
/// What stands in others' notifications in place of what named somebody.
const TITLE: &str = "About somebody who has left";
const PAYMENT: &str = "The payment itself still says how much it was, and when.";

/// Closes the caller's account.
///
/// # Errors
/// `LastAdmin`.
pub async fn erase(tx: &mut Tx, caller: UserId) -> Result<()> {
    users::lock_admins(tx).await?;
    if !queries::lock(tx.conn(), caller).await? {
        return Err(Refusal::Unauthenticated.into());
    }
    if users::is_last_admin(tx, caller).await? {
        return Err(Refusal::LastAdmin.into());
    }
    end_some(tx, caller).await?;
    empty(tx, caller).await?;
    tx.enqueue(&EraseUser { user_id: caller })
}

/// Ends some of what waits for or from somebody who has left; false once there is nothing more.
///
/// # Errors
/// The database's.
pub async fn end_more(tx: &mut Tx, person: UserId) -> Result<bool> {
    users::lock(tx, &[person]).await?;
    Ok(queries::erased_at(tx.conn(), person).await?.is_some() && end_some(tx, person).await?)
}

async fn end_some(tx: &mut Tx, person: UserId) -> Result<bool> {
    let ended = invites::end_some(tx, person, ENDED).await?
        + requests::decline_some(tx, person, ENDED).await?
        + sessions::end_some(tx, person, ENDED).await?;
    Ok(ended > 0)
}

async fn empty(tx: &mut Tx, person: UserId) -> Result<()> {
    let now = tx.now();
    queries::end_logins(tx.conn(), person, now).await?;
    queries::forget_mail(tx.conn(), person).await?;
    queries::empty_profile(tx.conn(), person, &format!("{person}@deleted.invalid"), now).await?;
    users::announce_status(tx, &[person]).await
}

/// How far an account is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// It isn't.
    Open,
    /// Its requests may still be under way: everything has to be done again, not before then.
    Unsettled(DateTime<Utc>),
    /// For good.
    Settled,
}

/// How far an account is closed. Empties the profile once more where that is for good.
///
/// # Errors
/// The database's.
pub async fn settle(tx: &mut Tx, person: UserId) -> Result<Closing> {
    users::lock(tx, &[person]).await?;
    let Some(erased_at) = queries::erased_at(tx.conn(), person).await? else { return Ok(Closing::Open) };
    let settled = erased_at + SETTLED;
    if tx.now() < settled {
        return Ok(Closing::Unsettled(settled));
    }
    empty(tx, person).await?;
    tx.enqueue(&ForgetPayer { user_id: person })?;
    Ok(Closing::Settled)
}

/// Removes a batch of what somebody left behind; false once there is nothing more.
///
/// # Errors
/// The database's.
pub async fn remove_some(tx: &mut Tx, person: UserId) -> Result<bool> {
    if queries::erased_at(tx.conn(), person).await?.is_none() {
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

/// Takes somebody out of what Sam told others, some answers at a time. Says after which to go on.
///
/// # Errors
/// The database's.
pub async fn unname_answers(tx: &mut Tx, person: UserId, after: Option<sam::Place>) -> Result<Option<sam::Place>> {
    sam::unname_some(tx, person, after).await
}

/// Forgets in which answers that was, once there will be no more of them; false once there is nothing more.
///
/// # Errors
/// The database's.
pub async fn forget_answers(tx: &mut Tx, person: UserId) -> Result<bool> {
    sam::forget_some(tx, person).await
}

/// Takes the name out of what others were notified of, some conversations at a time. Says after which to
/// go on.
///
/// # Errors
/// The database's.
pub async fn unname_conversations(
    tx: &mut Tx,
    person: UserId,
    after: Option<ConversationId>,
) -> Result<Option<ConversationId>> {
    let ids = queries::conversations(tx.conn(), person, after, TOLD).await?;
    queries::unname_conversations(tx.conn(), person, &ids, TITLE).await?;
    Ok(ids.last().copied())
}

/// The same for requests, which need no conversation.
///
/// # Errors
/// The database's.
pub async fn unname_requests(tx: &mut Tx, person: UserId, before: Option<RequestId>) -> Result<Option<RequestId>> {
    let requests = requests::all_of(tx.conn(), person, before, TOLD).await?;
    let (others, keys): (Vec<_>, Vec<_>) = requests.iter().map(|request| requests::told_of(person, request)).unzip();
    queries::unname(tx.conn(), &others, &keys, TITLE).await?;
    Ok(requests.last().map(|request| request.id))
}

/// The same for payments: how much and when stays with the payment.
///
/// # Errors
/// The database's.
pub async fn unname_payments(tx: &mut Tx, person: UserId, before: Option<PaymentId>) -> Result<Option<PaymentId>> {
    let payments = queries::payments(tx.conn(), person, before, TOLD).await?;
    let told = payments.iter().filter_map(|(id, other)| Some(((*other)?, id.to_string())));
    let (others, ids): (Vec<_>, Vec<_>) = told.unzip();
    queries::unname_payments(tx.conn(), &others, &ids, (TITLE, PAYMENT)).await?;
    Ok(payments.last().map(|(id, _)| *id))
}
