//! Notifications by mail: one at once, or those of a while in a digest.
//!
//! Whatever is mailed is looked at again when its turn comes: what was read, came to nothing or
//! isn't wanted any more is not mailed, and quiet hours are waited for.

mod queries;
mod session;

use std::fmt::Write;

use chrono::{DateTime, TimeDelta, Utc};
use humanchat_jobs::notifications::MailDigest;

use super::{
    Digest, NotificationKind,
    preferences::{Preferences, zone_named},
};
use crate::{
    error::{Error, Result},
    id::{NotificationId, UserId},
    mail::Letter,
    tx::Tx,
};

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mailing {
    /// It was sent, or isn't worth sending any more.
    Done,
    /// It has to wait until then: the reader's hours are quiet.
    NotBefore(DateTime<Utc>),
}

/// Mails a notification, if it still matters to its reader and they want that.
///
/// # Errors
/// The database's or the mail server's. A repeat is the same mail.
pub async fn mail_notification(mut tx: Tx, id: NotificationId) -> Result<Mailing> {
    let now = tx.now();
    let Some(found) = queries::notification(tx.conn(), id, now).await? else { return Ok(Mailing::Done) };
    if !found.preferences.wants(found.kind) || (found.is_read && !found.kind.is_for_calendars()) {
        return Ok(Mailing::Done);
    }
    let mut calendar = None;
    if found.kind.is_about_session() {
        match session::standing(&mut tx, &found).await? {
            session::Standing::Stale => return Ok(Mailing::Done),
            session::Standing::News(event) => calendar = event,
        }
    }
    if let Some(end) = quiet_end(&found.preferences, &found.reader.timezone, now) {
        return Ok(Mailing::NotBefore(end));
    }
    let letter = Letter {
        about: id.to_string(),
        to: found.reader.email,
        subject: found.title,
        body: format!("Hello {},\n\n{}\n\n{}", found.reader.name, found.body, footer(&tx)),
        calendar: calendar.map(|event| *event),
    };
    let mailer = tx.store().mailer.clone();
    mailer.send(tx, letter).await?;
    Ok(Mailing::Done)
}

impl NotificationKind {
    /// Whether it is about a session, named in its data.
    const fn is_about_session(self) -> bool {
        self.is_for_calendars() || matches!(self, Self::SessionReminder)
    }

    /// Whether its mail carries a calendar file, which is of use even to who has read it.
    const fn is_for_calendars(self) -> bool {
        matches!(self, Self::SessionBooked | Self::SessionChanged | Self::SessionCancelled)
    }
}

/// Who gets mail.
struct Reader {
    email: String,
    name: String,
    timezone: String,
}

fn quiet_end(preferences: &Preferences, zone: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    preferences.quiet_hours?.end_after(now, zone_named(zone))
}

fn footer(tx: &Tx) -> String {
    format!("{}\n\nWhich mail you get is in your notification settings.\n", tx.store().settings().public_url)
}

/// Units of work that began earlier may still bring notifications of an earlier time: none lives
/// longer than this.
const UNDER_WAY: TimeDelta = TimeDelta::minutes(1);

/// Asks for the digests of at most `limit` people for whom one is due, and says how many people
/// that were. Each has one digest a slot, for the next one's time is written with the asking.
///
/// # Errors
/// The database's.
pub async fn plan_digests(tx: &mut Tx, limit: i64) -> Result<usize> {
    let now = tx.now();
    let until = now - UNDER_WAY;
    let due = queries::lock_due(tx.conn(), until, now, limit).await?;
    let mut next = queries::Next::default();
    for person in &due {
        let due = person.preferences().next_digest(now, zone_named(&person.timezone));
        next.push(person.user_id, due.ok_or(Error::Internal("a digest is due that nobody wants"))?);
        if person.has_news {
            tx.enqueue(&MailDigest { user_id: person.user_id, since: person.since, until })?;
        }
    }
    queries::plan(tx.conn(), &next, until).await?;
    Ok(due.len())
}

/// The most that a digest names; of more it says how many.
const NAMED: usize = 20;

/// Mails what came to somebody in a span of time and is unread, in one.
///
/// # Errors
/// The database's or the mail server's. A repeat is the same mail.
pub async fn mail_digest(mut tx: Tx, user_id: UserId, since: DateTime<Utc>, until: DateTime<Utc>) -> Result<Mailing> {
    let now = tx.now();
    let Some((reader, preferences)) = queries::reader(tx.conn(), user_id).await? else { return Ok(Mailing::Done) };
    if preferences.digest == Digest::Off {
        return Ok(Mailing::Done);
    }
    if let Some(end) = quiet_end(&preferences, &reader.timezone, now) {
        return Ok(Mailing::NotBefore(end));
    }
    let titles = queries::unread_titles(tx.conn(), user_id, (since, until), now).await?;
    if titles.is_empty() {
        return Ok(Mailing::Done);
    }
    let letter = Letter {
        about: format!("digest.{user_id}.{}", until.timestamp()),
        to: reader.email,
        subject: match titles.len() {
            1 => titles[0].clone(),
            count => format!("{count} things wait for you at HumanChat"),
        },
        body: format!("Hello {},\n\n{}\n{}", reader.name, listed(&titles), footer(&tx)),
        calendar: None,
    };
    let mailer = tx.store().mailer.clone();
    mailer.send(tx, letter).await?;
    Ok(Mailing::Done)
}

fn listed(titles: &[String]) -> String {
    let mut text = titles.iter().take(NAMED).fold(String::new(), |text, title| text + "- " + title + "\n");
    if titles.len() > NAMED {
        // Writing to a String doesn't fail.
        let _ = writeln!(text, "- and {} more", titles.len() - NAMED);
    }
    text
}
