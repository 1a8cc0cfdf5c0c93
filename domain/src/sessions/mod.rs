//! Sessions: live talks, at once or booked.

mod attendance;
mod booking;
mod calendar;
mod instant;
mod leaving;
mod notices;
mod offers;
mod oversight;
mod paying;
mod policy;
mod price;
mod queries;
mod steps;
mod timeouts;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

#[cfg(feature = "testing")]
pub(crate) use attendance::attendance;
#[cfg(feature = "testing")]
pub(crate) use booking::confirm;
pub use booking::{Booked, Booking, book};
pub(crate) use calendar::calendar_event;
pub use calendar::calendar_file;
pub(crate) use instant::{INSTANT_MINUTES, ask_instant, waiting_instant};
pub(crate) use leaving::end_some;
pub use offers::release_offer;
pub(crate) use offers::{give_back, keep, offer};
pub use oversight::{SessionSearch, list_all};
pub(crate) use paying::{await_payment, confirm_unpaid, set_payment, talks};
pub use policy::{CancellationPolicy, NewCancellationPolicy};
pub use price::{Quote, quote};
pub(crate) use steps::start_free;
pub use steps::{SessionChange, change};
pub use timeouts::{end_forgotten, end_unstarted, release_hold, remind};

use crate::{
    Store,
    availability::Span,
    conversations,
    cursor::{Page, Scope, Window, cut},
    error::{Error, Refusal, Result},
    event::{Channel, Event},
    id::{ConversationId, SessionId, UserId},
    money::Price,
    payments::PaymentState,
    text::{Timestamp, moment, text_enum},
    tx::Tx,
    users::{self, ConversationType},
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
    /// Who ended a session: completed it, called it off, or did not come.
    EndedBy {
        /// The one who was asked.
        Host,
        /// The one who asked.
        Guest,
        /// Somebody of the staff.
        Staff,
        /// The clock.
        System,
    }
    /// Where a session's payment stands.
    PaymentStatus {
        /// There is nothing to pay.
        NotRequired,
        /// The guest has not paid.
        RequiresPayment,
        /// The money is held.
        Authorized,
        /// What is owed is being taken.
        Capturing,
        /// What is owed was taken.
        Captured,
        /// Nothing was taken; what was held is free again.
        Voided,
        /// All that was taken was given back; where it was a part, it stays `captured`.
        Refunded,
        /// The payment failed.
        Failed,
    }
}

impl From<PaymentState> for PaymentStatus {
    fn from(state: PaymentState) -> Self {
        match state {
            PaymentState::RequiresPayment => Self::RequiresPayment,
            PaymentState::Authorized => Self::Authorized,
            PaymentState::Capturing => Self::Capturing,
            PaymentState::Captured => Self::Captured,
            PaymentState::Voided => Self::Voided,
            PaymentState::Refunded => Self::Refunded,
            PaymentState::Failed => Self::Failed,
        }
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
    /// When it begins, as booked; when an instant one began, or was asked for.
    pub start_time: Timestamp,
    /// When it ends, as booked; when an instant one ended, and null before.
    #[schema(required)]
    pub end_time: Option<Timestamp>,
    /// As booked; of an instant one how long it was, begun minutes counted whole, and null before its end.
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
    /// As it stood at booking; once the host has moved the session, calling it off is free up to the start. Null for instant
    /// sessions.
    #[schema(required)]
    pub cancellation_policy: Option<CancellationPolicy>,
    /// Until when the time is kept for a guest who has not paid.
    #[schema(required)]
    pub hold_expires_at: Option<Timestamp>,
    /// When it was begun.
    #[schema(required)]
    pub started_at: Option<Timestamp>,
    /// When it was completed or called off, or found not to have happened.
    #[schema(required)]
    pub ended_at: Option<Timestamp>,
    /// Who completed it or called it off; of a `no_show`, who did not come.
    #[schema(required)]
    pub ended_by: Option<EndedBy>,
    /// Grows with each change of time.
    pub version: i32,
    /// When it was agreed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    #[serde(skip)]
    booked_minutes: Option<i32>,
    #[serde(skip)]
    agreed_minor: i64,
    #[serde(skip)]
    confirmed_at: Option<Timestamp>,
    #[serde(skip)]
    start_by: Option<Timestamp>,
}

impl Session {
    /// Host and guest.
    fn people(&self) -> [UserId; 2] {
        [self.host_user_id, self.guest_user_id]
    }

    fn pair(&self) -> Pair {
        Pair { host: self.host_user_id, guest: self.guest_user_id, conversation_id: self.conversation_id }
    }

    fn is_pending(&self) -> bool {
        self.status == SessionStatus::Pending
    }

    /// What was booked; none of an instant session.
    fn slot(&self) -> Option<Span> {
        let end = self.end_time.filter(|_| self.r#type == SessionType::Scheduled)?;
        Some(Span { start: self.start_time.0, end: end.0 })
    }

    /// When it is to end if it begins then: as agreed, unless it begins before its time.
    fn planned_end(&self, begins: DateTime<Utc>) -> DateTime<Utc> {
        match self.slot() {
            Some(slot) if begins >= slot.start => slot.end,
            _ => begins + self.booked_minutes.map_or(INSTANT, |minutes| TimeDelta::minutes(minutes.into())),
        }
    }

    /// What the guest owes who calls it off at `now`, in minor units. Nothing before it was agreed.
    fn fee(&self, now: DateTime<Utc>) -> i64 {
        match self.cancellation_policy {
            Some(policy) if self.confirmed_at.is_some() => policy.fee(self.agreed_minor, self.start_time.0, now),
            _ => 0,
        }
    }
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
    let (from, to) = (time(query.from.as_deref(), "from")?, time(query.to.as_deref(), "to")?);
    let scope = Scope { user_id: caller, route: "sessions", filter: query };
    // An order that nothing changes, so that a walk sees each session once.
    let before: Option<SessionId> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let walk = queries::Walk { caller, query, from, to, before, limit: i64::from(window.limit) + 1 };
    let (items, more) = cut(queries::list(&store.pool, &walk).await?, window.limit);
    let next = items.last().filter(|_| more).map(|session| store.seal(&scope, &session.id)).transpose()?;
    Ok(Page { items, next })
}

/// A time that a list is narrowed by.
fn time(text: Option<&str>, field: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
    let wrong = || Refusal::field(field, "must be a time like 2026-11-22T18:00:00Z");
    text.map(|text| moment(text).ok_or_else(wrong)).transpose()
}

/// Which of these people are in a session now, and in which.
pub(crate) async fn live(tx: &mut Tx, people: [UserId; 2]) -> Result<Vec<(UserId, SessionId)>> {
    Ok(queries::live(tx.conn(), people).await?)
}

/// How much of a pair's time a session that begins now may take: up to whatever either has agreed to
/// next. Lock the people first.
///
/// # Errors
/// `HostBusy` or `RequesterBusy`, told apart by who is taken now.
async fn free_time(tx: &mut Tx, pair: Pair, wanted: TimeDelta) -> Result<Span> {
    let now = tx.now();
    let people = [pair.host, pair.guest];
    let mut busy: Vec<_> = queries::live(tx.conn(), people).await?.into_iter().map(|(person, _)| person).collect();
    let mut span = Span { start: now, end: now + wanted };
    for (person, from) in queries::taken(tx.conn(), &people, span).await? {
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

pub(crate) async fn load(tx: &mut Tx, id: SessionId) -> Result<Session> {
    queries::find(tx.conn(), id, None).await?.ok_or(Error::Internal("a session vanished"))
}

/// A session of this person's, with both people and its row locked.
pub(crate) async fn lock(tx: &mut Tx, id: SessionId, party: UserId) -> Result<Option<Session>> {
    lock_if(tx, id, Some(party)).await
}

/// A session, with both people and its row locked.
pub(crate) async fn lock_for_job(tx: &mut Tx, id: SessionId) -> Result<Option<Session>> {
    lock_if(tx, id, None).await
}

async fn lock_if(tx: &mut Tx, id: SessionId, party: Option<UserId>) -> Result<Option<Session>> {
    let Some(session) = queries::find(tx.conn(), id, party).await? else { return Ok(None) };
    users::lock(tx, &session.people()).await?;
    queries::lock(tx.conn(), id).await?;
    Ok(Some(load(tx, id).await?))
}

/// Makes a session the one that its conversation shows, and tells those who listen there.
async fn link(tx: &mut Tx, conversation_id: ConversationId, id: SessionId, reader: UserId) -> Result<()> {
    conversations::queries::link_session(tx.conn(), conversation_id, id).await?;
    let conversation = conversations::shared_view(tx, conversation_id, reader).await?;
    tx.emit(Channel::Conversation(conversation_id), Event::ConversationUpdated { conversation });
    Ok(())
}

/// Tells both that a session came to be.
fn tell_new(tx: &mut Tx, session: &Session) {
    for person in session.people() {
        tx.emit(Channel::Sessions(person), Event::SessionCreated { session: session.clone() });
    }
}

/// Tells both what a session is now.
fn tell(tx: &mut Tx, session: &Session) {
    for person in session.people() {
        tx.emit(Channel::Sessions(person), Event::SessionUpdated { session: session.clone() });
    }
}
