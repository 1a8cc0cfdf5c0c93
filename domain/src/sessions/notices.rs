//! What sessions make people hear later, or by mail: that one was booked, moved, called off or missed,
//! and that it is near. Times are told in the reader's own zone.

use chrono_tz::Tz;
use serde_json::json;

use super::{
    EndedBy, Session, SessionStatus, SessionType,
    booking::REMINDERS,
    queries::{self, Party},
};
use crate::{
    error::Result,
    id::UserId,
    notifications::{self, Notice, NotificationKind},
    payments,
    tx::Tx,
};

/// A session was agreed.
pub(super) async fn booked(tx: &mut Tx, session: &Session) -> Result<()> {
    for (reader, other) in parties(tx, session).await? {
        let words = (format!("{} and you will talk", other.name), format!("It is on {}.", reader.shown(session)));
        say(tx, session, reader.user_id, NotificationKind::SessionBooked, key(session), words).await?;
    }
    Ok(())
}

/// A session that was agreed has another time.
pub(super) async fn moved(tx: &mut Tx, session: &Session) -> Result<()> {
    for (reader, other) in parties(tx, session).await? {
        let title = format!("Your talk with {} was moved", other.name);
        let words = (title, format!("It is on {} now.", reader.shown(session)));
        say(tx, session, reader.user_id, NotificationKind::SessionChanged, key(session), words).await?;
    }
    Ok(())
}

/// A session begins soon.
pub(super) async fn soon(tx: &mut Tx, session: &Session, minutes_before: i32) -> Result<()> {
    for (reader, other) in parties(tx, session).await? {
        let title = match minutes_before {
            1440 => format!("You talk with {} tomorrow", other.name),
            60 => format!("You talk with {} in an hour", other.name),
            minutes => format!("You talk with {} in {minutes} minutes", other.name),
        };
        let body = format!("It begins on {}.", reader.shown(session));
        let key = reminder_key(session, minutes_before);
        say(tx, session, reader.user_id, NotificationKind::SessionReminder, key, (title, body)).await?;
    }
    Ok(())
}

/// A session that was agreed will not take place.
pub(super) async fn off(tx: &mut Tx, session: &Session) -> Result<()> {
    if session.r#type != SessionType::Scheduled || session.confirmed_at.is_none() {
        return Ok(());
    }
    outdated(tx, session).await?;
    payments::settle_again(tx, session.id).await?;
    for (reader, other) in parties(tx, session).await? {
        let is_host = reader.user_id == session.host_user_id;
        let by_reader = session.ended_by == Some(if is_host { EndedBy::Host } else { EndedBy::Guest });
        let title = match (session.status, by_reader) {
            (SessionStatus::NoShow, true) => format!("You missed your talk with {}", other.name),
            (SessionStatus::NoShow, false) => format!("{} did not come", other.name),
            (_, true) => format!("You called off your talk with {}", other.name),
            (_, false) if session.ended_by == Some(EndedBy::System) => {
                format!("Your talk with {} did not take place", other.name)
            }
            (_, false) => format!("Your talk with {} was called off", other.name),
        };
        let body = format!("It would have been on {}.", reader.shown(session));
        let key = format!("session:{}:off", session.id);
        say(tx, session, reader.user_id, NotificationKind::SessionCancelled, key, (title, body)).await?;
    }
    Ok(())
}

/// What was said of a session as it was is no news any more.
pub(super) async fn outdated(tx: &mut Tx, session: &Session) -> Result<()> {
    let mut keys = vec![key(session)];
    keys.extend(REMINDERS.map(|minutes| reminder_key(session, minutes)));
    for person in session.people() {
        notifications::settle(tx, person, &keys).await?;
    }
    Ok(())
}

fn key(session: &Session) -> String {
    format!("session:{}:{}", session.id, session.version)
}

fn reminder_key(session: &Session, minutes_before: i32) -> String {
    format!("{}:{minutes_before}", key(session))
}

async fn say(
    tx: &mut Tx,
    session: &Session,
    user_id: UserId,
    kind: NotificationKind,
    key: String,
    (title, body): (String, String),
) -> Result<()> {
    let data = json!({
        "session_id": session.id, "conversation_id": session.conversation_id, "version": session.version,
    });
    notifications::notify(tx, Notice { user_id, kind, key, title, body, data }).await?;
    Ok(())
}

/// Each of the two, and the other one.
async fn parties(tx: &mut Tx, session: &Session) -> Result<[(Party, Party); 2]> {
    let host = queries::party(tx.conn(), session.host_user_id).await?;
    let guest = queries::party(tx.conn(), session.guest_user_id).await?;
    Ok([(host.clone(), guest.clone()), (guest, host)])
}

impl Party {
    /// When a session begins, as this person's clocks show it.
    fn shown(&self, session: &Session) -> String {
        let zone: Tz = self.timezone.parse().unwrap_or(Tz::UTC);
        let start = session.start_time.0.with_timezone(&zone);
        format!("{} ({})", start.format("%A, %-d %B %Y at %H:%M"), zone.name())
    }
}
