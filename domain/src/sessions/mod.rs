//! Sessions: live talks. The instant ones, which an accepted invite starts.

mod queries;

use chrono::{DateTime, TimeDelta, Utc};
use garde::{Valid, Validate};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{
    Store,
    availability::Span,
    cursor::{Page, Scope, Window, cut},
    error::{Error, Refusal, Result},
    event::{Channel, Event},
    id::{ConversationId, SessionId, UserId},
    money::Price,
    text::{Timestamp, moment},
    tx::Tx,
    users::{self, ConversationType, text_enum},
};

text_enum! {
    /// How a session came to be.
    SessionType {
        /// At once.
        Instant,
        /// By booking.
        Scheduled,
    }
    /// How far a session is. The last three are final.
    SessionStatus {
        /// Agreed, not begun.
        Pending,
        /// Going on.
        InProgress,
        /// Over.
        Complete,
        /// Called off.
        Cancelled,
        /// Somebody did not come.
        NoShow,
    }
    /// Which side of a session somebody is on.
    SessionRole {
        /// The one who was asked.
        Host,
        /// The one who asked.
        Guest,
    }
    /// Where a session's payment stands.
    PaymentStatus {
        /// There is nothing to pay.
        NotRequired,
    }
}

/// How much of its people's time an instant session takes at first; who talks longer stays busy.
const INSTANT: TimeDelta = TimeDelta::minutes(30);

impl SessionStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Complete => "complete",
            Self::Cancelled => "cancelled",
            Self::NoShow => "no_show",
        }
    }
}

/// A session, as its two people see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Session {
    /// Id.
    pub id: SessionId,
    /// Who was asked.
    pub host_user_id: UserId,
    /// Who asked.
    pub guest_user_id: UserId,
    /// Where they write.
    pub conversation_id: ConversationId,
    /// How it came to be.
    pub r#type: SessionType,
    /// How far it is.
    pub status: SessionStatus,
    /// When it begins or began.
    pub start_time: Timestamp,
    /// When it ends or ended; null while an instant one goes on.
    #[schema(required)]
    pub end_time: Option<Timestamp>,
    /// How long it is or was, begun minutes counted whole; null while an instant one goes on.
    #[schema(required)]
    pub duration_minutes: Option<i32>,
    /// What was agreed.
    pub agreed_price: Price,
    /// ISO 4217, lower case.
    pub currency: String,
    /// What talking with the host cost when it was agreed.
    pub payment_mode: ConversationType,
    /// Where the payment stands.
    pub payment_status: PaymentStatus,
    /// As it stood at booking; null for instant sessions.
    #[schema(required, value_type = Option<Object>)]
    pub cancellation_policy: Option<Value>,
    /// Grows with each change of time.
    pub version: i32,
    /// When it was agreed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A step to take.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionChange {
    /// Where to. The host completes a session that is in progress.
    #[garde(skip)]
    pub status: SessionStatus,
}

/// Two people about to talk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub host: UserId,
    pub guest: UserId,
    pub conversation_id: ConversationId,
}

/// One session of the caller's.
///
/// # Errors
/// `NotFound`.
pub async fn find(store: &Store, caller: UserId, id: SessionId) -> Result<Session> {
    let mut connection = store.pool.acquire().await?;
    let session = queries::find(&mut connection, id, Some(caller)).await?;
    connection.give_back();
    Ok(session.ok_or(Refusal::NotFound("session"))?)
}

/// Which of the caller's sessions to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// Only those where the caller is the host, or the guest.
    #[param(inline)]
    pub role: Option<SessionRole>,
    /// Only those that are so far.
    #[param(inline)]
    pub status: Option<SessionStatus>,
    /// Only those that begin then or later: RFC 3339.
    #[param(example = "2026-11-22T18:00:00Z")]
    pub from: Option<String>,
    /// Only those that begin before then: RFC 3339.
    pub to: Option<String>,
}

/// The caller's sessions, those agreed last first.
///
/// # Errors
/// `BadCursor`; `Invalid` by parameter.
pub async fn list(store: &Store, caller: UserId, query: &SessionQuery, window: Window<'_>) -> Result<Page<Session>> {
    let time = |text: &Option<String>, field: &str| {
        let wrong = || Refusal::field(field, "must be a time like 2026-11-22T18:00:00Z");
        text.as_ref().map(|text| moment(text).ok_or_else(wrong)).transpose()
    };
    let (from, to) = (time(&query.from, "from")?, time(&query.to, "to")?);
    let scope = Scope { user_id: caller, route: "sessions", filter: query };
    // An order that nothing changes, so that a walk sees each session once.
    let before: Option<SessionId> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let walk = queries::Walk { caller, query, from, to, before, limit: i64::from(window.limit) + 1 };
    let (items, more) = cut(queries::list(&store.pool, &walk).await?, window.limit);
    let next = items.last().filter(|_| more).map(|session| store.seal(&scope, &session.id)).transpose()?;
    Ok(Page { items, next })
}

/// Takes a step in a session's life.
///
/// # Errors
/// `NotFound`, `Forbidden`, `InvalidTransition`.
pub async fn change(tx: &mut Tx, caller: UserId, id: SessionId, change: &Valid<SessionChange>) -> Result<Session> {
    if !queries::lock(tx.conn(), id, caller).await? {
        return Err(Refusal::NotFound("session").into());
    }
    let session = load(tx, id).await?;
    match (session.status, change.status) {
        (SessionStatus::Complete, SessionStatus::Complete) if session.host_user_id == caller => Ok(session),
        (SessionStatus::InProgress, SessionStatus::Complete) => {
            if session.host_user_id != caller {
                return Err(Refusal::Forbidden("only the host completes a session").into());
            }
            complete(tx, &session).await
        }
        (from, to) => {
            let (from, to) = (from.as_str(), to.as_str());
            Err(Refusal::InvalidTransition(format!("a session can't go from {from} to {to} here")).into())
        }
    }
}

async fn complete(tx: &mut Tx, session: &Session) -> Result<Session> {
    let now = tx.now();
    let minutes = begun_minutes(session.start_time.0, now);
    queries::complete(tx.conn(), session.id, minutes, now).await?;
    let people = [session.host_user_id, session.guest_user_id];
    let session = load(tx, session.id).await?;
    for person in people {
        tx.emit(Channel::Sessions(person), Event::SessionUpdated { session: session.clone() });
    }
    users::announce_status(tx, &people).await?;
    Ok(session)
}

fn begun_minutes(from: DateTime<Utc>, to: DateTime<Utc>) -> i32 {
    let millis = (to - from).num_milliseconds().max(1);
    i32::try_from((millis + 59_999) / 60_000).unwrap_or(i32::MAX)
}

/// Locks both people, in the order of their ids, so that everybody waits in the same order.
pub(crate) async fn lock_people(tx: &mut Tx, a: UserId, b: UserId) -> Result<()> {
    users::lock(tx, &[a, b]).await
}

/// Which of these people are in a session now, and in which.
pub(crate) async fn live(tx: &mut Tx, people: [UserId; 2]) -> Result<Vec<(UserId, SessionId)>> {
    Ok(queries::live(tx.conn(), people).await?)
}

/// How long an instant session may take of the pair's time: up to whatever either has agreed to
/// next. Lock the people first.
///
/// # Errors
/// `HostBusy` or `RequesterBusy`, told apart by who is taken now.
async fn free_time(tx: &mut Tx, pair: Pair) -> Result<Span> {
    let now = tx.now();
    let people = [pair.host, pair.guest];
    let mut busy: Vec<_> = queries::live(tx.conn(), people).await?.into_iter().map(|(person, _)| person).collect();
    let mut span = Span { start: now, end: now + INSTANT };
    for (person, from) in queries::taken(tx.conn(), people, span).await? {
        if from > now {
            span.end = span.end.min(from);
        } else {
            busy.push(person);
        }
    }
    if busy.contains(&pair.host) {
        return Err(Refusal::HostBusy.into());
    }
    if !busy.is_empty() {
        return Err(Refusal::RequesterBusy.into());
    }
    Ok(span)
}

/// Starts a free session at once. Lock the people first.
///
/// # Errors
/// `HostBusy` or `RequesterBusy`, told apart by who is taken now.
pub(crate) async fn start_free(tx: &mut Tx, pair: Pair) -> Result<Session> {
    let span = free_time(tx, pair).await?;
    let id = SessionId::new();
    queries::insert_free(tx.conn(), id, pair, span).await?;
    let session = load(tx, id).await?;
    for person in [pair.host, pair.guest] {
        tx.emit(Channel::Sessions(person), Event::SessionCreated { session: session.clone() });
    }
    users::announce_status(tx, &[pair.host, pair.guest]).await?;
    Ok(session)
}

pub(crate) async fn load(tx: &mut Tx, id: SessionId) -> Result<Session> {
    queries::find(tx.conn(), id, None).await?.ok_or(Error::Internal("a session vanished"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_begun_minute_counts_whole() {
        let start = DateTime::from_timestamp_millis(0).unwrap();
        for (millis, minutes) in [(0, 1), (1, 1), (60_000, 1), (60_001, 2), (1_800_000, 30)] {
            assert_eq!(begun_minutes(start, DateTime::from_timestamp_millis(millis).unwrap()), minutes);
        }
    }
}
