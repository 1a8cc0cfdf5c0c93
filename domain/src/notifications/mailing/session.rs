//! What mail about a session depends on: whether it is still so, and its calendar file.

use super::queries::Found;
use crate::{
    calendar::{CalendarEvent, Method},
    error::{Error, Result},
    id::SessionId,
    notifications::NotificationKind,
    sessions::{self, SessionStatus},
    tx::Tx,
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
        NotificationKind::SessionCancelled => match session.status {
            SessionStatus::Cancelled => (true, Some(Method::Cancel)),
            // Calendars keep what was missed.
            status => (status == SessionStatus::NoShow, None),
        },
        NotificationKind::SessionReminder => (lies_ahead && is_this_version, None),
        _ => (lies_ahead && is_this_version, Some(Method::Request)),
    };
    if !is_so {
        return Ok(Standing::Stale);
    }
    let event = match method {
        Some(method) => Some(Box::new(sessions::calendar_event(tx, &session, found.user_id, method).await?)),
        None => None,
    };
    Ok(Standing::News(event))
}
