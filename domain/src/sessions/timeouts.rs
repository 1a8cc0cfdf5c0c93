//! What the clock does to sessions: reminders, holds that run out, starts that nobody made, ends
//! that everybody forgot.

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    EndedBy, Session, SessionStatus, SessionType,
    attendance::{keep, last_together, observe},
    booking::REMINDERS,
    lock_for_job, notices, queries,
    steps::{Ending, finish},
};
use crate::{
    availability::Span,
    error::Result,
    event::{Channel, Event},
    id::{SessionId, UserId},
    tx::Tx,
};

/// How long after the agreed start a session can still be begun; a shorter one until its end.
const START_WINDOW: TimeDelta = TimeDelta::minutes(15);
/// Who was there this long before the start came to it.
pub(super) const EARLY: TimeDelta = TimeDelta::minutes(5);
/// How long before the agreed start a session can be begun without a sign of the guest's; and how fresh that sign is.
const READY: TimeDelta = TimeDelta::minutes(15);
/// How long one of the two may be away before a session past its time is taken to be over.
const AWAY: TimeDelta = TimeDelta::minutes(10);
/// How often it is looked whether people who talk on are still there.
const LOOK_AGAIN: TimeDelta = TimeDelta::minutes(5);
/// No session goes on longer.
const LONGEST: TimeDelta = TimeDelta::hours(12);

/// Until when a session that is booked for then can be begun. Then it is decided what becomes of it.
pub(super) fn latest_start(slot: Span) -> DateTime<Utc> {
    slot.end.min(slot.start + START_WINDOW)
}

/// The same of a session, or as long as the host of one at once was given; none where only its job knows.
fn start_deadline(session: &Session) -> Option<DateTime<Utc>> {
    match session.slot() {
        Some(slot) => Some(latest_start(slot)),
        None => session.start_by.map(|at| at.0),
    }
}

/// Whether nobody can begin a session any more, whether or not its job has found that out.
pub(super) fn is_too_late(session: &Session, now: DateTime<Utc>) -> bool {
    start_deadline(session).is_some_and(|deadline| deadline <= now)
}

/// Whether it is so long before a session's time that the guest need not be there; not where they wrote just now, in the
/// pair's conversation.
pub(super) async fn is_too_early(tx: &mut Tx, session: &Session) -> Result<bool> {
    let now = tx.now();
    if session.slot().is_none_or(|slot| slot.start - READY <= now) {
        return Ok(false);
    }
    Ok(!queries::wrote_since(tx.conn(), session.conversation_id, session.guest_user_id, now - READY).await?)
}

/// When it is first looked whether a session in progress was forgotten.
pub(super) fn overtime(planned_end: DateTime<Utc>) -> DateTime<Utc> {
    planned_end + AWAY
}

/// Frees the time of these people's holds and proposals that have run out. Lock the people first.
pub(super) async fn release_expired(tx: &mut Tx, people: [UserId; 2]) -> Result<()> {
    let now = tx.now();
    for id in queries::lock_expired_holds(tx.conn(), people, now).await? {
        let session = super::load(tx, id).await?;
        finish(tx, &session, Ending::cancelled(EndedBy::System, now)).await?;
    }
    queries::give_back_expired(tx.conn(), people, now).await?;
    Ok(())
}

/// Frees the time of a booking whose hold has run out. Too early, it says when to come again.
///
/// # Errors
/// The database's.
pub async fn release_hold(tx: &mut Tx, id: SessionId) -> Result<Option<DateTime<Utc>>> {
    let Some(session) = lock_for_job(tx, id).await? else { return Ok(None) };
    let now = tx.now();
    match session.hold_expires_at {
        Some(at) if at.0 > now => Ok(Some(at.0)),
        Some(_) if session.is_pending() => {
            finish(tx, &session, Ending::cancelled(EndedBy::System, now)).await?;
            Ok(None)
        }
        _ => Ok(None),
    }
}

/// Reminds both people of a session, if it is still the one that was agreed, and if the next
/// reminder isn't due already.
///
/// # Errors
/// The database's.
pub async fn remind(tx: &mut Tx, id: SessionId, version: i32, minutes_before: i32) -> Result<()> {
    let Some(session) = lock_for_job(tx, id).await? else { return Ok(()) };
    let next = REMINDERS.into_iter().filter(|minutes| *minutes < minutes_before).max().unwrap_or(0);
    let too_late = tx.now() >= session.start_time.0 - TimeDelta::minutes(next.into());
    if !session.is_pending() || session.hold_expires_at.is_some() || session.version != version || too_late {
        return Ok(());
    }
    if !queries::remember_reminder(tx.conn(), id, minutes_before).await? {
        return Ok(());
    }
    for person in session.people() {
        let session = session.clone();
        tx.emit(Channel::Sessions(person), Event::SessionReminder { session, minutes_before });
    }
    notices::soon(tx, &session, minutes_before).await?;
    Ok(())
}

/// Decides what becomes of a session whose start was missed. Too early, it says when to come again.
///
/// # Errors
/// The database's.
pub async fn end_unstarted(tx: &mut Tx, id: SessionId, version: i32) -> Result<Option<DateTime<Utc>>> {
    let Some(session) = lock_for_job(tx, id).await? else { return Ok(None) };
    if !session.is_pending() || session.version != version {
        return Ok(None);
    }
    let now = tx.now();
    match start_deadline(&session) {
        Some(deadline) if deadline > now => return Ok(Some(deadline)),
        _ => missed(tx, &session).await?,
    }
    Ok(None)
}

/// Ends a session that nobody can begin any more: whoever came did well, whoever did not is why. Lock it first.
pub(super) async fn missed(tx: &mut Tx, session: &Session) -> Result<()> {
    let now = tx.now();
    let deadline = start_deadline(session).unwrap_or(now);
    let seen = observe(tx, session, Span { start: session.start_time.0 - EARLY, end: deadline }).await?;
    let ending = match (seen.host.is_empty(), seen.guest.is_empty()) {
        // Nobody is owed anything of an instant session before it began, or of one that was never sure.
        _ if session.r#type == SessionType::Instant || session.confirmed_at.is_none() => {
            Ending::cancelled(EndedBy::System, now)
        }
        (false, true) => Ending::no_show(EndedBy::Guest, session.agreed_minor, now),
        (true, false) => Ending::no_show(EndedBy::Host, 0, now),
        _ => Ending::cancelled(EndedBy::System, now),
    };
    keep(tx, session, &seen).await?;
    finish(tx, session, ending).await?;
    Ok(())
}

/// Completes a session past its time that one of the two has left. Where both are still there, it
/// says when to look again.
///
/// # Errors
/// The database's.
pub async fn end_forgotten(tx: &mut Tx, id: SessionId) -> Result<Option<DateTime<Utc>>> {
    let Some(session) = lock_for_job(tx, id).await? else { return Ok(None) };
    let Some(started) = session.started_at.map(|at| at.0).filter(|_| session.status == SessionStatus::InProgress)
    else {
        return Ok(None);
    };
    let now = tx.now();
    let seen =
        observe(tx, &session, Span { start: started, end: now.max(started + TimeDelta::milliseconds(1)) }).await?;
    let left = last_together(&seen).unwrap_or(started);
    let planned = session.planned_end(started);
    if now < started + LONGEST {
        let due = overtime(planned).max(left + AWAY);
        if left >= now {
            return Ok(Some(now + LOOK_AGAIN));
        }
        if due > now {
            return Ok(Some(due));
        }
    }
    super::steps::complete_at(tx, &session, left.min(now), EndedBy::System).await?;
    Ok(None)
}
