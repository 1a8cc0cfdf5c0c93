//! People: profiles, search, and whether they are there.

mod profile;
mod queries;
mod search;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use garde::{Valid, Validate};
use humanchat_jobs::users::EndPresence;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

pub(crate) use profile::present;
pub use profile::{ProfileChange, change_profile};
pub use search::{Search, search};
pub(crate) use search::{check_words, tsquery};

use crate::{
    Store,
    auth::Role,
    error::{Refusal, Result},
    event::{Channel, Event},
    id::UserId,
    money::Price,
    sessions::CancellationPolicy,
    text::{Timestamp, text_enum},
    tx::Tx,
};

/// How long a presence PUT counts without a socket.
const PRESENT_FOR: TimeDelta = TimeDelta::seconds(45);

text_enum! {
    /// What talking with somebody costs.
    ConversationType {
        /// Nothing.
        Free,
        /// Their rate.
        Paid,
        /// Something for a cause.
        Charity,
    }
    /// How somebody is reached.
    DisplayMode {
        /// At once.
        Normal,
        /// After a request.
        ByRequest,
        /// After a request, and their rate is between them and staff.
        Confidential,
    }
    /// What somebody chose to show of themselves.
    PresenceState {
        /// Here.
        Active,
        /// Here, but not looking.
        Idle,
        /// Not here, whatever is open.
        Offline,
    }
}

/// A person, as others see them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the specification's fields")]
pub struct User {
    /// Id.
    pub id: UserId,
    /// Shown name.
    #[schema(example = "River")]
    pub name: String,
    /// A picture, if there is one.
    #[schema(required)]
    pub avatar_url: Option<String>,
    /// One line about them; may be empty.
    pub headline: String,
    /// More about them; may be empty.
    pub bio: String,
    /// What they know.
    pub skills: Vec<String>,
    /// What they speak.
    pub languages: Vec<String>,
    /// IANA name.
    #[schema(example = "Europe/Berlin")]
    pub timezone: String,
    /// What talking with them costs.
    pub conversation_type: ConversationType,
    /// Price of a minute of an instant session; null where there is none, or it is confidential.
    #[schema(required)]
    pub instant_rate_per_minute: Option<Price>,
    /// Minutes to price of a booked session; null where confidential.
    #[schema(required, example = json!({"30": 60, "60": 110}))]
    pub scheduled_rates: Option<BTreeMap<String, Price>>,
    /// ISO 4217, lower case.
    #[schema(example = "usd")]
    pub currency: String,
    /// Whom a charity host gives to.
    #[schema(required)]
    pub charity_name: Option<String>,
    /// What guests get back who call a booking off.
    pub cancellation_policy: CancellationPolicy,
    /// Whether a socket is open or they said so within 45 s, and they don't hide it.
    pub is_online: bool,
    /// What they chose to show; `idle` too once they left three invites in a row unanswered, until they answer one or say that
    /// they are here.
    pub presence_state: PresenceState,
    /// Whether they are in a session now.
    pub has_active_session: bool,
    /// Whether staff answer for them.
    pub managed: bool,
    /// Who does.
    #[schema(required)]
    pub manager_id: Option<UserId>,
    /// How they are reached.
    pub display_mode: DisplayMode,
    /// Whether their rate is hidden from others.
    pub confidential_rate: bool,
    /// Of the latest 50 instant invites to them that had their time, the share they accepted or declined: 0 to 1. Null until
    /// there were three.
    #[schema(required, minimum = 0, maximum = 1)]
    pub answer_rate: Option<f64>,
    /// How many seconds they took to answer those, in the median. Null until there were three invites, and where they answered
    /// none.
    #[schema(required)]
    pub median_answer_secs: Option<i64>,
    /// Since when they are here.
    pub created_at: Timestamp,
    /// When their profile last changed.
    pub updated_at: Timestamp,
}

/// A person, as they see themselves.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OwnUser {
    /// What everybody sees, with the rate even where it is confidential.
    #[serde(flatten)]
    pub user: User,
    /// Where mail goes.
    #[schema(format = "email")]
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// Whether a mailed link was used.
    pub email_verified: bool,
}

/// A person, as staff see them.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Member {
    /// What they see themselves.
    #[serde(flatten)]
    pub user: OwnUser,
    /// Since when they are shut out.
    #[schema(required)]
    pub suspended_at: Option<Timestamp>,
}

/// Whether somebody is there, as listeners are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Status {
    /// Who.
    pub user_id: UserId,
    /// See [`User::is_online`].
    pub is_online: bool,
    /// See [`User::presence_state`].
    pub presence_state: PresenceState,
    /// See [`User::has_active_session`].
    pub has_active_session: bool,
}

/// What somebody shows of themselves.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PresenceChange {
    /// `offline` hides open sockets too, until it is changed again.
    #[garde(skip)]
    pub state: PresenceState,
}

/// One person, as others see them.
///
/// # Errors
/// `NotFound`.
pub async fn find(store: &Store, id: UserId) -> Result<User> {
    let mut connection = store.pool.acquire().await?;
    let row = queries::load(&mut connection, &[id], store.clock.now()).await?.pop();
    connection.give_back();
    Ok(row.map(queries::Row::shown_to_others).ok_or(Refusal::NotFound("user"))?)
}

/// One person, as others see them; `None` where they don't exist or are suspended.
pub(crate) async fn seen(tx: &mut Tx, id: UserId) -> Result<Option<User>> {
    let now = tx.now();
    if !queries::is_member(tx.conn(), id).await? {
        return Ok(None);
    }
    Ok(queries::load(tx.conn(), &[id], now).await?.pop().map(queries::Row::shown_to_others))
}

/// Several people, as others see them, in the order of `ids`. Unknown ones are left out.
pub(crate) async fn find_many(store: &Store, ids: &[UserId]) -> Result<Vec<User>> {
    let mut connection = store.pool.acquire().await?;
    let mut rows = queries::load(&mut connection, ids, store.clock.now()).await?;
    connection.give_back();
    rows.sort_by_key(|row| ids.iter().position(|id| *id == row.id));
    Ok(rows.into_iter().map(queries::Row::shown_to_others).collect())
}

/// The caller's own profile.
///
/// # Errors
/// `NotFound`.
pub async fn me(store: &Store, id: UserId) -> Result<OwnUser> {
    let mut connection = store.pool.acquire().await?;
    let row = queries::load(&mut connection, &[id], store.clock.now()).await?.pop();
    connection.give_back();
    Ok(row.map(queries::Row::shown_to_self).ok_or(Refusal::NotFound("user"))?)
}

pub(crate) async fn own(tx: &mut Tx, id: UserId) -> Result<OwnUser> {
    let now = tx.now();
    let row = queries::load(tx.conn(), &[id], now).await?.pop();
    Ok(row.map(queries::Row::shown_to_self).ok_or(Refusal::NotFound("user"))?)
}

/// Several people, as staff see them, in the order of `ids`. Unknown ones are left out.
pub(crate) async fn members(conn: &mut PgConnection, ids: &[UserId], now: DateTime<Utc>) -> Result<Vec<Member>> {
    let mut rows = queries::load(conn, ids, now).await?;
    rows.sort_by_key(|row| ids.iter().position(|id| *id == row.id));
    Ok(rows.into_iter().map(queries::Row::shown_to_staff).collect())
}

/// Says "I'm here" or "I'm not" over HTTP.
///
/// # Errors
/// `NotFound`.
pub async fn set_presence(tx: &mut Tx, id: UserId, change: &Valid<PresenceChange>) -> Result<OwnUser> {
    let now = tx.now();
    lock(tx, &[id]).await?;
    let before = queries::status(tx.conn(), &[id], now).await?.pop().ok_or(Refusal::NotFound("user"))?;
    let until = (change.state != PresenceState::Offline).then_some(now + PRESENT_FOR);
    queries::set_presence(tx.conn(), id, change.state, until, now).await?;
    if let Some(until) = until {
        tx.enqueue_at(&EndPresence { user_id: id }, until)?;
    }
    let after = queries::status(tx.conn(), &[id], now).await?.pop().ok_or(Refusal::NotFound("user"))?;
    if after != before {
        tx.emit(Channel::Status(id), Event::StatusChanged(after));
    }
    own(tx, id).await
}

/// Tells listeners that somebody's presence by HTTP ran out, if it did; else says until when it
/// lasts.
///
/// # Errors
/// The database's.
pub async fn end_presence(tx: &mut Tx, id: UserId) -> Result<Option<DateTime<Utc>>> {
    let now = tx.now();
    if let Some(until) = queries::present_until(tx.conn(), id).await?.filter(|until| *until > now) {
        return Ok(Some(until));
    }
    announce_status(tx, &[id]).await?;
    Ok(None)
}

/// Keeps others, until this unit of work ends, from changing who of these people is online or in a
/// session. In id order, by everybody, so that nobody waits for each other.
///
/// # Errors
/// The database's.
pub(crate) async fn lock(tx: &mut Tx, ids: &[UserId]) -> Result<()> {
    queries::lock(tx.conn(), ids).await?;
    Ok(())
}

/// Where somebody stands now; `None` where they don't exist or are suspended.
pub(crate) async fn status_of(tx: &mut Tx, id: UserId) -> Result<Option<Status>> {
    let now = tx.now();
    if !queries::is_member(tx.conn(), id).await? {
        return Ok(None);
    }
    Ok(queries::status(tx.conn(), &[id], now).await?.pop())
}

/// What somebody gives to or asks gifts for, if that has a name; none when there is nobody.
pub(crate) async fn cause(conn: &mut PgConnection, id: UserId) -> Result<Option<Option<String>>> {
    Ok(queries::cause(conn, id).await?)
}

/// Somebody let an invite pass. Who did so `away_after` times in a row, without having answered one or
/// said that they are here, doesn't look: they show as idle. Lock them first.
pub(crate) async fn left_unanswered(tx: &mut Tx, id: UserId, away_after: i32) -> Result<()> {
    if queries::left_unanswered(tx.conn(), id, away_after).await? {
        announce_status(tx, &[id]).await?;
    }
    Ok(())
}

/// Somebody answered an invite, and so they look again. Lock them first.
pub(crate) async fn answered(tx: &mut Tx, id: UserId) -> Result<()> {
    if queries::answered(tx.conn(), id).await? {
        announce_status(tx, &[id]).await?;
    }
    Ok(())
}

/// Somebody's name.
pub(crate) async fn name(tx: &mut Tx, id: UserId) -> Result<String> {
    Ok(queries::name(tx.conn(), id).await?.ok_or(Refusal::NotFound("user"))?)
}

/// Where these people stand now. Who doesn't exist is left out.
///
/// # Errors
/// The database's.
pub(crate) async fn statuses(store: &Store, ids: &[UserId]) -> Result<Vec<Status>> {
    let mut connection = store.pool.acquire().await?;
    let statuses = queries::status(&mut connection, ids, store.clock.now()).await?;
    connection.give_back();
    Ok(statuses)
}

/// Tells listeners to look where these people stand now.
pub(crate) async fn announce_status(tx: &mut Tx, ids: &[UserId]) -> Result<()> {
    let now = tx.now();
    for status in queries::status(tx.conn(), ids, now).await? {
        tx.emit(Channel::Status(status.user_id), Event::StatusChanged(status));
    }
    Ok(())
}

/// Has everybody wait, until this unit of work ends, who would change who runs the place. Before any
/// other lock.
pub(crate) async fn lock_admins(tx: &mut Tx) -> Result<()> {
    queries::lock_admins(tx.conn()).await?;
    Ok(())
}

/// Whether nobody else runs the place than somebody who does. For who holds [`lock_admins`].
pub(crate) async fn is_last_admin(tx: &mut Tx, id: UserId) -> Result<bool> {
    Ok(queries::is_last_admin(tx.conn(), id).await?)
}

/// Gives somebody a role. Who may is the caller's to decide.
///
/// # Errors
/// The database's.
pub async fn set_role(tx: &mut Tx, id: UserId, role: Role) -> Result<()> {
    lock_admins(tx).await?;
    let now = tx.now();
    queries::set_role(tx.conn(), id, role, now).await?;
    Ok(())
}
