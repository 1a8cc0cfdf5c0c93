//! The steps of a session's life: begun and completed by the host, called off by either, settled by
//! the clock. A step is taken under the locks of both people and of the session's row.

use chrono::{DateTime, TimeDelta, Utc};
use garde::{Valid, Validate};
use humanchat_jobs::{
    JobKey,
    sessions::{EndForgottenSession, EndUnstartedSession, ReleaseHold, RemindOfSession},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    EndedBy, INSTANT, Pair, PaymentStatus, Session, SessionStatus, SessionType,
    attendance::{keep, observe},
    booking::{self, REMINDERS},
    free_time, live, load, lock, notices, policy, queries, tell, timeouts,
};
use crate::{
    availability::Span,
    error::{Refusal, Result},
    id::{SessionId, UserId},
    payments,
    text::Moment,
    tx::Tx,
    users,
};

/// A step to take: a `status`, or a new `startTime`.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"status": "complete"}))]
pub struct SessionChange {
    /// Where to: the host begins (`in_progress`) and completes (`complete`), either side calls off
    /// (`cancelled`). `no_show` is decided by who was there.
    #[garde(skip)]
    pub status: Option<SessionStatus>,
    /// The start of another slot that the host offers: RFC 3339.
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = "date-time", example = "2026-11-23T18:00:00Z")]
    pub start_time: Option<Moment>,
    /// Only if the session is still at this version.
    #[garde(inner(range(min = 1)))]
    #[schema(minimum = 1)]
    pub version: Option<i32>,
}

/// How a session ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub status: SessionStatus,
    pub by: EndedBy,
    pub owed_minor: i64,
    pub at: DateTime<Utc>,
}

impl Ending {
    pub(super) fn cancelled(by: EndedBy, at: DateTime<Utc>) -> Self {
        Self { status: SessionStatus::Cancelled, by, owed_minor: 0, at }
    }

    pub(super) fn no_show(absent: EndedBy, owed_minor: i64, at: DateTime<Utc>) -> Self {
        Self { status: SessionStatus::NoShow, by: absent, owed_minor, at }
    }
}

/// Takes a step in a session's life, or moves it. Repeating one's own last step answers the same.
///
/// # Errors
/// `NotFound`, `Forbidden`, `InvalidTransition`, `Invalid`; `PaymentRequired`, `HostBusy` and
/// `RequesterBusy` where it is begun; `SlotUnavailable` where it is moved.
pub async fn change(tx: &mut Tx, caller: UserId, id: SessionId, change: &Valid<SessionChange>) -> Result<Session> {
    let session = lock(tx, id, caller).await?.ok_or(Refusal::NotFound("session"))?;
    if let Some(version) = change.version.filter(|version| *version != session.version) {
        let message = format!("the session is at version {}, not {version}", session.version);
        return Err(Refusal::InvalidTransition(message).into());
    }
    match (change.status, change.start_time) {
        (Some(status), None) => step(tx, caller, session, status).await,
        (None, Some(start)) => booking::reschedule(tx, caller, session, start.0).await,
        _ => {
            let fields = ["status", "startTime"].map(|name| (name.to_owned(), "give one of the two".to_owned()));
            Err(Refusal::Invalid(fields.into()).into())
        }
    }
}

async fn step(tx: &mut Tx, caller: UserId, session: Session, to: SessionStatus) -> Result<Session> {
    use SessionStatus::{Cancelled, Complete, InProgress, Pending};
    let side = if caller == session.host_user_id { EndedBy::Host } else { EndedBy::Guest };
    let by_host = || match side {
        EndedBy::Host => Ok(()),
        _ => Err(Refusal::Forbidden("only the host begins and completes a session")),
    };
    match (session.status, to) {
        (InProgress, InProgress) if side == EndedBy::Host => Ok(session),
        (Complete, Complete) | (Cancelled, Cancelled) if session.ended_by == Some(side) => Ok(session),
        (Pending, InProgress) => {
            by_host()?;
            start(tx, &session).await
        }
        (InProgress, Complete) => {
            by_host()?;
            let now = tx.now();
            complete_at(tx, &session, now, side).await
        }
        (Pending, Cancelled) => call_off(tx, &session, side).await,
        (from, to) => {
            let (from, to) = (from.as_str(), to.as_str());
            Err(Refusal::InvalidTransition(format!("a session can't go from {from} to {to} here")).into())
        }
    }
}

/// Begins a session that was agreed. Where it is begun before its time, it takes that time instead.
async fn start(tx: &mut Tx, session: &Session) -> Result<Session> {
    let now = tx.now();
    if timeouts::is_too_late(session, now) {
        return Err(Refusal::InvalidTransition("it is too late to begin this session".to_owned()).into());
    }
    if !matches!(session.payment_status, PaymentStatus::NotRequired | PaymentStatus::Authorized) {
        return Err(Refusal::PaymentRequired("the guest has not paid for this session").into());
    }
    if timeouts::is_too_early(tx, session).await? {
        let message = "it is too early to begin this session: the guest has not written that they are here";
        return Err(Refusal::InvalidTransition(message.to_owned()).into());
    }
    let pair = session.pair();
    let busy = live(tx, [pair.host, pair.guest]).await?;
    if busy.iter().any(|(person, _)| *person == pair.host) {
        return Err(Refusal::HostBusy.into());
    }
    if !busy.is_empty() {
        return Err(Refusal::RequesterBusy.into());
    }
    if session.r#type == SessionType::Scheduled && now >= session.start_time.0 {
        queries::go_live(tx.conn(), session.id).await?;
    } else {
        queries::disengage(tx.conn(), session.id).await?;
        let span = free_time(tx, pair, session.planned_end(now) - now).await?;
        queries::engage(tx.conn(), session.id, [(pair.host, span), (pair.guest, span)], true).await?;
    }
    queries::start(tx.conn(), session.id, now).await?;
    tx.cancel_jobs(&waiting(session)).await?;
    begun(tx, session.id, session.planned_end(now))?;
    if session.r#type == SessionType::Instant {
        super::link(tx, session.conversation_id, session.id, pair.host).await?;
    }
    let session = load(tx, session.id).await?;
    tell(tx, &session);
    users::announce_status(tx, &session.people()).await?;
    Ok(session)
}

/// Calls off a session that has not begun.
pub(super) async fn call_off(tx: &mut Tx, session: &Session, by: EndedBy) -> Result<Session> {
    let owed_minor = if by == EndedBy::Guest { guests_fee(tx, session).await? } else { 0 };
    let ending = Ending::cancelled(by, tx.now());
    finish(tx, session, Ending { owed_minor, ..ending }).await
}

/// What a guest owes who calls off now: what the policy says; but nothing to a host who is late. What that goes by is
/// kept.
async fn guests_fee(tx: &mut Tx, session: &Session) -> Result<i64> {
    let (start, now) = (session.start_time.0, tx.now());
    let fee = session.fee(now);
    if fee == 0 || now < start {
        return Ok(fee);
    }
    let until = session.slot().map_or(now, |slot| now.min(timeouts::latest_start(slot)));
    let seen = observe(tx, session, Span { start: start - timeouts::EARLY, end: until }).await?;
    keep(tx, session, &seen).await?;
    Ok(if seen.host.is_empty() { 0 } else { fee })
}

/// A session goes on: it is looked after, should its people forget to end it.
pub(super) fn begun(tx: &mut Tx, id: SessionId, planned_end: DateTime<Utc>) -> Result<()> {
    tx.enqueue_at(&EndForgottenSession { session_id: id }, timeouts::overtime(planned_end))
}

/// Ends a session in progress; what is owed goes by the minutes both were there.
pub(super) async fn complete_at(tx: &mut Tx, session: &Session, at: DateTime<Utc>, by: EndedBy) -> Result<Session> {
    let started = session.started_at.map_or(session.start_time.0, |at| at.0);
    // A talk takes time: one that begins and ends in the same millisecond took that one.
    let at = at.max(started);
    let seen = observe(tx, session, Span { start: started, end: at.max(started + TimeDelta::milliseconds(1)) }).await?;
    keep(tx, session, &seen).await?;
    let owed_minor = policy::share(session.agreed_minor, session.booked_minutes.unwrap_or_default(), seen.minutes());
    finish(tx, session, Ending { status: SessionStatus::Complete, by, owed_minor, at }).await
}

/// The one way a session ends: its people's time is free, its jobs are gone, both are told.
pub(super) async fn finish(tx: &mut Tx, session: &Session, ending: Ending) -> Result<Session> {
    let now = tx.now();
    let minutes = begun_minutes(session.started_at.map_or(ending.at, |at| at.0), ending.at);
    queries::finish(tx.conn(), session.id, &ending, minutes, now).await?;
    payments::follow_session(tx, session.id).await?;
    tx.cancel_jobs(&waiting(session)).await?;
    let was_live = session.status == SessionStatus::InProgress;
    let session = load(tx, session.id).await?;
    tell(tx, &session);
    if session.status != SessionStatus::Complete {
        notices::off(tx, &session).await?;
    }
    if was_live {
        users::announce_status(tx, &session.people()).await?;
    }
    Ok(session)
}

/// The jobs that may wait for a session as it is.
pub(super) fn waiting(session: &Session) -> Vec<JobKey> {
    let (session_id, version) = (session.id, session.version);
    let mut keys = vec![
        JobKey::of(&ReleaseHold { session_id }),
        JobKey::of(&EndUnstartedSession { session_id, version }),
        JobKey::of(&EndForgottenSession { session_id }),
    ];
    let reminder = |minutes_before| JobKey::of(&RemindOfSession { session_id, version, minutes_before });
    keys.extend(REMINDERS.map(reminder));
    keys
}

/// Starts a free session at once. Lock the people first.
///
/// # Errors
/// `HostBusy` or `RequesterBusy`, told apart by who is taken now.
pub(crate) async fn start_free(tx: &mut Tx, pair: Pair) -> Result<Session> {
    let span = free_time(tx, pair, INSTANT).await?;
    let (id, now) = (SessionId::new(), tx.now());
    queries::insert_free(tx.conn(), id, pair, now).await?;
    queries::engage(tx.conn(), id, [(pair.host, span), (pair.guest, span)], true).await?;
    begun(tx, id, now + INSTANT)?;
    super::link(tx, pair.conversation_id, id, pair.host).await?;
    let session = load(tx, id).await?;
    super::tell_new(tx, &session);
    users::announce_status(tx, &session.people()).await?;
    Ok(session)
}

fn begun_minutes(from: DateTime<Utc>, to: DateTime<Utc>) -> i32 {
    let millis = (to - from).num_milliseconds().max(1);
    i32::try_from((millis + 59_999) / 60_000).unwrap_or(i32::MAX)
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
