//! Booking: a slot that the host offers, for a price that the server names, held until it is paid
//! for.

use chrono::{DateTime, TimeDelta, Utc};
use garde::{Valid, Validate};
use humanchat_jobs::{
    JobKey,
    sessions::{EndUnstartedSession, ReleaseHold, RemindOfSession},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    CancellationPolicy, Session, SessionType, load, lock_for_job, notices, price::Terms, queries, steps::waiting, tell,
    tell_new, timeouts,
};
use crate::{
    availability::{self, Span},
    conversations,
    error::{Error, Refusal, Result},
    id::{ConversationId, SessionId, UserId},
    money::Price,
    payments::{self, Payment},
    text::{Lookup, Moment},
    tx::Tx,
    users,
};

/// How long before the start both are reminded, in minutes.
pub(super) const REMINDERS: [i32; 3] = [24 * 60, 60, 10];
/// The most slots somebody may hold at once without having paid for them.
pub(super) const MOST_HOLDS: i64 = 10;

/// Whom to book, when and for how long.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Booking {
    /// The host.
    #[garde(skip)]
    #[schema(value_type = UserId)]
    pub host_user_id: Lookup<UserId>,
    /// The start of a slot that the host offers: RFC 3339.
    #[garde(skip)]
    #[schema(value_type = String, format = "date-time", example = "2026-11-23T18:00:00Z")]
    pub start_time: Moment,
    /// How long, 5–480.
    #[garde(range(min = 5, max = 480))]
    #[schema(minimum = 5, maximum = 480)]
    pub duration_minutes: i32,
    /// What the guest takes the price to be, in the host's currency: compared, never trusted.
    #[garde(skip)]
    pub price: Price,
    /// The pair's conversation; it is found, or begun, where it isn't named.
    #[garde(skip)]
    #[schema(value_type = Option<ConversationId>)]
    pub conversation_id: Option<Lookup<ConversationId>>,
}

/// A booking about to be written.
pub(super) struct NewBooking {
    pub id: SessionId,
    pub host: UserId,
    pub guest: UserId,
    pub conversation_id: ConversationId,
    pub slot: Span,
    pub minutes: i32,
    pub price_minor: i64,
    pub policy: CancellationPolicy,
    /// Until when the slot is kept for who has to pay.
    pub hold_expires_at: Option<DateTime<Utc>>,
}

/// What booking led to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Booked {
    /// The session, as it is now.
    pub session: Session,
    /// What makes it sure, where it costs something: `POST /api/payments/session` says how to pay it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<Payment>,
}

/// Books a slot. One that costs nothing is agreed at once; any other is held, `pending`, until it
/// is paid for.
///
/// # Errors
/// `NotFound`; `Invalid` by field; `RequestRequired`; `SlotUnavailable` where the host doesn't
/// offer it, or the guest has agreed to something else then; `PriceChanged`; `PaymentRequired` for
/// somebody who holds many slots already.
pub async fn book(tx: &mut Tx, guest: UserId, booking: &Valid<Booking>) -> Result<Booked> {
    let host = booking.host_user_id.get("user")?;
    if host == guest {
        return Err(Refusal::field("hostUserId", "must be somebody else").into());
    }
    let (start, now) = (booking.start_time.0, tx.now());
    let slot = Span { start, end: start + TimeDelta::minutes(booking.duration_minutes.into()) };
    admitted(tx, host, guest).await?;
    let named = named_conversation(tx, guest, host, booking.conversation_id).await?;
    // Of a herd that wants the same time, most learn that it is gone without waiting for each other.
    offered(tx, host, guest, slot, None).await?;
    users::lock(tx, &[guest, host]).await?;
    let terms = admitted(tx, host, guest).await?;
    let price_minor = terms.booked_minor(booking.duration_minutes)?;
    timeouts::release_expired(tx, [guest, host]).await?;
    let buffer = free(tx, host, guest, slot, None).await?;
    agree_on_price(&terms, booking.price, price_minor)?;
    let conversation_id = match named {
        Some(id) => id,
        None => conversations::between(tx, guest, host).await?.ok_or(Refusal::NotFound("user"))?.0,
    };
    let hold_ends = (now + tx.store().settings().booking_hold).min(timeouts::latest_start(slot));
    let hold_expires_at = (price_minor > 0).then_some(hold_ends);
    if hold_expires_at.is_some() && queries::holds(tx.conn(), guest).await? >= MOST_HOLDS {
        return Err(Refusal::PaymentRequired("pay for the slots you hold first").into());
    }
    let id = SessionId::new();
    let policy = terms.cancellation_policy;
    let minutes = booking.duration_minutes;
    let new = NewBooking { id, host, guest, conversation_id, slot, minutes, price_minor, policy, hold_expires_at };
    queries::insert_booking(tx.conn(), &new, now).await?;
    queries::engage(tx.conn(), id, [(host, slot.stretched(buffer)), (guest, slot)], false).await?;
    super::link(tx, conversation_id, id, guest).await?;
    let session = load(tx, id).await?;
    if let Some(at) = hold_expires_at {
        tx.enqueue_at(&ReleaseHold { session_id: id }, at)?;
    } else {
        notices::booked(tx, &session).await?;
        look_after(tx, &session)?;
    }
    tell_new(tx, &session);
    let payment = payments::begin(tx, id).await?;
    Ok(Booked { session, payment })
}

/// Moves a session that has not begun to another slot. Both are told; reminders move along.
pub(super) async fn reschedule(tx: &mut Tx, caller: UserId, session: Session, to: DateTime<Utc>) -> Result<Session> {
    // One that nobody has paid for may be over with its hold.
    timeouts::release_expired(tx, session.people()).await?;
    let session = load(tx, session.id).await?;
    if session.r#type != SessionType::Scheduled || !session.is_pending() {
        return Err(
            Refusal::InvalidTransition("only a booked session that has not begun can be moved".to_owned()).into()
        );
    }
    if to == session.start_time.0 {
        return Ok(session);
    }
    let now = tx.now();
    let by_host = caller == session.host_user_id;
    if !by_host && session.fee(now) > 0 {
        return Err(
            Refusal::InvalidTransition("it is too late to move this session; it can be cancelled".to_owned()).into()
        );
    }
    let (host, guest) = (session.host_user_id, session.guest_user_id);
    let slot = Span { start: to, end: to + TimeDelta::minutes(session.booked_minutes.unwrap_or_default().into()) };
    queries::disengage(tx.conn(), session.id).await?;
    let buffer = free(tx, host, guest, slot, Some(session.id)).await?;
    // The guest did not ask for this: calling it off costs nothing now.
    let policy = if by_host { Some(CancellationPolicy::LENIENT) } else { session.cancellation_policy };
    if !queries::move_to(tx.conn(), session.id, slot, policy, now).await? {
        return Err(Error::Internal("a locked session was ended by somebody else"));
    }
    queries::engage(tx.conn(), session.id, [(host, slot.stretched(buffer)), (guest, slot)], false).await?;
    tx.cancel_jobs(&waiting(&session)).await?;
    notices::outdated(tx, &session).await?;
    let moved = load(tx, session.id).await?;
    if moved.confirmed_at.is_some() {
        notices::moved(tx, &moved).await?;
    }
    match moved.hold_expires_at {
        Some(at) => tx.enqueue_at(&ReleaseHold { session_id: moved.id }, at.0)?,
        None => look_after(tx, &moved)?,
    }
    tell(tx, &moved);
    payments::session_moved(tx, moved.id).await?;
    load(tx, moved.id).await
}

/// The guest's payment is held: what was asked for is agreed. False where that came too late: the time is
/// somebody else's, or over.
pub(crate) async fn confirm(tx: &mut Tx, id: SessionId) -> Result<bool> {
    let Some(session) = still_awaited(tx, id).await? else { return Ok(false) };
    let now = tx.now();
    if !queries::confirm(tx.conn(), id, now).await? {
        return Ok(false);
    }
    confirmed(tx, &session).await?;
    Ok(true)
}

/// A session, locked, that waits to be paid for. The end of one that nobody can begin any more is asked for instead.
pub(super) async fn still_awaited(tx: &mut Tx, id: SessionId) -> Result<Option<Session>> {
    let Some(session) = lock_for_job(tx, id).await?.filter(Session::is_pending) else { return Ok(None) };
    if timeouts::is_too_late(&session, tx.now()) {
        tx.enqueue(&EndUnstartedSession { session_id: id, version: session.version })?;
        return Ok(None);
    }
    Ok(Some(session))
}

/// What follows when nothing stands in a session's way any more; `before` is the session that waited.
pub(super) async fn confirmed(tx: &mut Tx, before: &Session) -> Result<()> {
    tx.cancel_jobs(&[JobKey::of(&ReleaseHold { session_id: before.id })]).await?;
    let session = load(tx, before.id).await?;
    if session.r#type == SessionType::Scheduled && before.confirmed_at.is_none() {
        notices::booked(tx, &session).await?;
    }
    // One that was sure before, and whose card was only authorised now, is looked after.
    if before.confirmed_at.is_none() || before.hold_expires_at.is_some() {
        look_after(tx, &session)?;
    }
    if before.confirmed_at.is_some() && before.hold_expires_at.is_some() {
        payments::paid_again(tx, before.id).await?;
    }
    tell(tx, &session);
    Ok(())
}

/// Nothing stands in a booking's way any more: it will be reminded of, and looked after should nobody begin it.
fn look_after(tx: &mut Tx, session: &Session) -> Result<()> {
    let Some(slot) = session.slot() else { return Ok(()) };
    let (session_id, version, start) = (session.id, session.version, slot.start);
    for minutes_before in REMINDERS {
        let at = start - TimeDelta::minutes(minutes_before.into());
        if at > tx.now() {
            tx.enqueue_at(&RemindOfSession { session_id, version, minutes_before }, at)?;
        }
    }
    tx.enqueue_at(&EndUnstartedSession { session_id, version }, timeouts::latest_start(slot))
}

/// The pair's conversation, if one was named.
async fn named_conversation(
    tx: &mut Tx,
    guest: UserId,
    host: UserId,
    named: Option<Lookup<ConversationId>>,
) -> Result<Option<ConversationId>> {
    let Some(named) = named else { return Ok(None) };
    let pair = conversations::queries::find_pair(tx.conn(), guest, host).await?;
    let named = named.get("conversation").ok().filter(|named| pair == Some(*named));
    Ok(Some(named.ok_or_else(|| Refusal::field("conversationId", "must be your conversation with this host"))?))
}

/// The terms on which this guest can book this host, if at all.
async fn admitted(tx: &mut Tx, host: UserId, guest: UserId) -> Result<Terms> {
    let terms = queries::terms(tx.conn(), host, guest).await?.ok_or(Refusal::NotFound("user"))?;
    terms.admit()?;
    Ok(terms)
}

/// The buffer behind a slot, if this guest can book it. Lock both first.
///
/// # Errors
/// As [`book`].
pub(super) async fn bookable(tx: &mut Tx, host: UserId, guest: UserId, slot: Span) -> Result<TimeDelta> {
    admitted(tx, host, guest).await?;
    free(tx, host, guest, slot, None).await
}

/// The buffer behind a slot, if the host offers it to this guest.
async fn offered(tx: &mut Tx, host: UserId, guest: UserId, slot: Span, except: Option<SessionId>) -> Result<TimeDelta> {
    let offered = availability::offered(tx, host, guest, slot, except).await?;
    Ok(offered.ok_or(Refusal::SlotUnavailable("this time can't be booked with this host"))?)
}

/// The buffer behind a slot, if the host offers it and the guest has time. Lock both first.
async fn free(tx: &mut Tx, host: UserId, guest: UserId, slot: Span, except: Option<SessionId>) -> Result<TimeDelta> {
    let buffer = offered(tx, host, guest, slot, except).await?;
    if !queries::taken(tx.conn(), &[guest], slot).await?.is_empty() {
        return Err(Refusal::SlotUnavailable("you have agreed to something else at this time").into());
    }
    Ok(buffer)
}

fn agree_on_price(terms: &Terms, named: Price, price_minor: i64) -> Result<(), Refusal> {
    let named = named.to_minor(&terms.currency).map_err(|reason| Refusal::field("price", reason))?;
    if named == price_minor {
        Ok(())
    } else {
        Err(Refusal::PriceChanged { price_minor, currency: terms.currency.clone() })
    }
}
