//! What mail about a session depends on: whether it is still so, and its calendar file.

use super::queries::Found;
use crate::{
    calendar::{Attendee, CalendarEvent, Method},
    error::{Error, Result},
    id::{SessionId, UserId},
    notifications::NotificationKind,
    sessions::{self, Session, SessionStatus},
    tx::Tx,
    users,
};

/// What a notification about a session says today.
pub(super) enum Standing {
    /// The session has moved on: another notification tells.
    Stale,
    /// It is as it says; with what calendars should know.
    News(Option<Box<CalendarEvent>>),
}

/// Looks the session up. Its id is in the notification's data, and so may be the `version` it tells of.
pub(super) async fn standing(tx: &mut Tx, found: &Found) -> Result<Standing> {
    let id = found.data["session_id"].as_str().and_then(|id| id.parse::<SessionId>().ok());
    let id = id.ok_or(Error::Internal("a notification about a session names none"))?;
    let session = sessions::load(tx, id).await?;
    let now = tx.now();
    let is_this_version = found.data["version"].as_i64().is_none_or(|version| version == i64::from(session.version));
    let lies_ahead = session.status == SessionStatus::Pending && session.start_time.0 > now;
    let (is_so, method) = match found.kind {
        NotificationKind::SessionCancelled => (session.status == SessionStatus::Cancelled, Some(Method::Cancel)),
        NotificationKind::SessionReminder => (lies_ahead && is_this_version, None),
        _ => (lies_ahead && is_this_version, Some(Method::Request)),
    };
    if !is_so {
        return Ok(Standing::Stale);
    }
    let event = match method {
        Some(method) => event(tx, &session, found, method).await?.map(Box::new),
        None => None,
    };
    Ok(Standing::News(event))
}

/// `None` where a session has no end, as instant ones.
async fn event(tx: &mut Tx, session: &Session, found: &Found, method: Method) -> Result<Option<CalendarEvent>> {
    let Some(end) = session.end_time else { return Ok(None) };
    let reader = found.user_id;
    let other = if session.host_user_id == reader { session.guest_user_id } else { session.host_user_id };
    let name = users::name(tx, other).await?;
    let domain = tx.store().mailer.domain().to_owned();
    let cancelled = method == Method::Cancel;
    Ok(Some(CalendarEvent {
        uid: format!("{}@{domain}", session.id),
        // Calling it off is a change too.
        sequence: u32::try_from(session.version).unwrap_or_default() + u32::from(cancelled),
        stamp: tx.now(),
        start: session.start_time.0,
        end: end.0,
        summary: format!("Talk with {name}"),
        description: found.body.clone(),
        url: tx.store().settings().public_url.to_string(),
        organizer: Attendee { name: "HumanChat".to_owned(), address: Some(tx.store().mailer.address()) },
        attendees: people(session, reader, found, name),
        method,
        cancelled,
    }))
}

/// The host first. Nobody but the reader has an address.
fn people(session: &Session, reader: UserId, found: &Found, other: String) -> Vec<Attendee> {
    let me = Attendee { name: found.reader.name.clone(), address: Some(found.reader.email.clone()) };
    let other = Attendee { name: other, address: None };
    if session.host_user_id == reader { vec![me, other] } else { vec![other, me] }
}
