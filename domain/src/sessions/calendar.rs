//! Sessions as calendars take them.

use chrono::TimeDelta;

use super::{Session, SessionStatus, queries};
use crate::{
    Store,
    calendar::{Attendee, CalendarEvent, Method},
    error::{Refusal, Result},
    id::{SessionId, UserId},
    tx::Tx,
};

/// The calendar file of one of the caller's sessions.
///
/// # Errors
/// `NotFound`.
pub async fn calendar_file(store: &Store, caller: UserId, id: SessionId) -> Result<String> {
    let mut tx = store.begin(None).await?;
    let session = queries::find(tx.conn(), id, Some(caller)).await?.ok_or(Refusal::NotFound("session"))?;
    Ok(calendar_event(&mut tx, &session, caller, Method::Publish).await?.to_ics())
}

/// A session as an event in the calendar of one of its people. Nobody but the reader has an address
/// in it.
pub(crate) async fn calendar_event(
    tx: &mut Tx,
    session: &Session,
    reader: UserId,
    method: Method,
) -> Result<CalendarEvent> {
    let host = queries::party(tx.conn(), session.host_user_id).await?;
    let guest = queries::party(tx.conn(), session.guest_user_id).await?;
    let other = if reader == session.host_user_id { &guest.name } else { &host.name };
    let (summary, description) = (format!("Talk with {other}"), format!("{} talks with {}.", guest.name, host.name));
    let attendees = [host, guest].map(|party| {
        let address = (party.user_id == reader).then_some(party.email);
        Attendee { name: party.name, address }
    });
    let cancelled = matches!(session.status, SessionStatus::Cancelled | SessionStatus::NoShow);
    let start = session.start_time.0;
    let end = session.end_time.map_or_else(|| session.planned_end(start), |end| end.0);
    let mailer = &tx.store().mailer;
    Ok(CalendarEvent {
        uid: format!("{}@{}", session.id, mailer.domain()),
        // Calling it off is a change too.
        sequence: u32::try_from(session.version).unwrap_or_default() + u32::from(cancelled),
        stamp: tx.now(),
        start,
        end: end.max(start + TimeDelta::seconds(1)),
        summary,
        description,
        url: tx.store().settings().public_url.to_string(),
        organizer: Attendee { name: "HumanChat".to_owned(), address: Some(mailer.address()) },
        attendees: attendees.into(),
        method,
        cancelled,
    })
}
