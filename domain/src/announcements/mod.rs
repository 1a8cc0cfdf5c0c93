//! Announcements: what staff say to many people at once.
//!
//! Each of the audience gets a notification of it, in batches, by a job. A batch and how far it
//! came are one transaction, so that however often workers die, everybody gets it once. Reading the
//! notification dismisses it.

mod queries;

use chrono::{DateTime, Utc};
use garde::{Valid, Validate};
use humanchat_jobs::notifications::{FanOutAnnouncement, MailNotification};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    Store,
    audit::{self, AuditAction},
    cursor::{Page, Scope, Window, cut},
    error::{Refusal, Result},
    event::{Channel, Event},
    id::{AnnouncementId, UserId},
    notifications::{self, Circular, Notification, NotificationKind},
    text::{Timestamp, moment, rules, text_enum},
    tx::Tx,
};

text_enum! {
    /// Whom an announcement is for. Suspended people are left out.
    Audience {
        /// Everybody.
        All,
        /// Those who take bookings or are paid or charity hosts.
        Hosts,
        /// Managers and admins.
        Staff,
    }
    /// How far an announcement is.
    AnnouncementStatus {
        /// Its time has not come.
        Scheduled,
        /// People are getting it.
        Sending,
        /// Everybody has it, or it ended before.
        Sent,
    }
}

/// What to announce.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAnnouncement {
    /// One line, 1–200 characters.
    #[garde(length(chars, min = 1, max = 200), custom(rules::line))]
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    /// 1–4000 characters.
    #[garde(length(chars, min = 1, max = 4000), custom(rules::text))]
    #[schema(min_length = 1, max_length = 4000)]
    pub body: String,
    /// Whom it is for.
    #[garde(skip)]
    #[serde(default = "Audience::all")]
    pub audience: Audience,
    /// When people get it: RFC 3339, not past. Now when absent.
    #[garde(skip)]
    #[schema(format = "date-time", example = "2100-01-01T09:00:00Z")]
    pub starts_at: Option<String>,
    /// From when on it isn't shown any more: RFC 3339, after `startsAt`. Never when absent.
    #[garde(skip)]
    #[schema(format = "date-time", example = "2100-01-08T09:00:00Z")]
    pub ends_at: Option<String>,
    /// Whether to mail it too, to those who want announcements by mail.
    #[garde(skip)]
    #[serde(default)]
    #[schema(default = false, example = false)]
    pub email: bool,
}

impl Audience {
    fn all() -> Self {
        Self::All
    }
}

/// An announcement, as staff see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Announcement {
    /// Id.
    pub id: AnnouncementId,
    /// Who announced it.
    pub author_user_id: UserId,
    /// One line.
    pub title: String,
    /// Its words.
    pub body: String,
    /// Whom it is for.
    pub audience: Audience,
    /// Whether it is mailed too.
    pub email: bool,
    /// When people get it.
    pub starts_at: Timestamp,
    /// From when on it isn't shown any more.
    #[schema(required)]
    pub ends_at: Option<Timestamp>,
    /// How far it is.
    pub status: AnnouncementStatus,
    /// How far exactly.
    pub progress: Progress,
    /// When it was announced.
    pub created_at: Timestamp,
}

/// How far the work for many people is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Progress {
    /// How many people have it.
    pub sent: i64,
    /// How many people it is for; null before it began.
    #[schema(required)]
    pub total: Option<i64>,
    /// How many people got it a second, so far; null until that can be told.
    #[schema(required)]
    pub per_second: Option<f64>,
    /// In how many seconds everybody will have it, at that rate; null until that can be told.
    #[schema(required)]
    pub seconds_left: Option<i64>,
}

/// When the work for many people was done.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    began: Option<DateTime<Utc>>,
    /// When somebody last got it.
    last: Option<DateTime<Utc>>,
    is_over: bool,
}

impl Progress {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate")]
    fn new(sent: i64, total: Option<i64>, times: Times) -> Self {
        let Times { began, last, is_over } = times;
        let millis = began.zip(last).map(|(began, last)| (last - began).num_milliseconds());
        let per_second = millis.filter(|millis| *millis > 0).map(|millis| sent as f64 * 1000.0 / millis as f64);
        let left = total.map(|total| (total - sent).max(0));
        let seconds_left = match (left, per_second) {
            _ if is_over => Some(0),
            (Some(0), _) => Some(0),
            (Some(left), Some(rate)) if rate > 0.0 => Some((left as f64 / rate).ceil() as i64),
            _ => None,
        };
        Self { sent, total, per_second, seconds_left }
    }
}

/// Announces something. That the author is staff is the caller's to know.
///
/// # Errors
/// `Invalid` times.
pub async fn create(tx: &mut Tx, author: UserId, new: &Valid<NewAnnouncement>) -> Result<Announcement> {
    let now = tx.now();
    let starts_at = time(new.starts_at.as_ref(), "startsAt")?.unwrap_or(now);
    if starts_at < now {
        return Err(Refusal::field("startsAt", "must not be past").into());
    }
    let ends_at = time(new.ends_at.as_ref(), "endsAt")?;
    if ends_at.is_some_and(|ends_at| ends_at <= starts_at) {
        return Err(Refusal::field("endsAt", "must be after startsAt").into());
    }
    let announcement = Announcement {
        id: AnnouncementId::new(),
        author_user_id: author,
        title: new.title.clone(),
        body: new.body.clone(),
        audience: new.audience,
        email: new.email,
        starts_at: Timestamp(starts_at),
        ends_at: ends_at.map(Timestamp),
        status: AnnouncementStatus::Scheduled,
        progress: Progress::new(0, None, Times::default()),
        created_at: Timestamp(now),
    };
    queries::insert(tx.conn(), &announcement).await?;
    tx.enqueue_at(&FanOutAnnouncement { announcement_id: announcement.id }, starts_at)?;
    let after = json!({"title": new.title, "audience": new.audience, "starts_at": announcement.starts_at});
    let id = announcement.id.to_string();
    audit::record(tx, author, AuditAction::AnnouncementCreated, &id, (&json!({}), &after)).await?;
    Ok(announcement)
}

fn time(text: Option<&String>, field: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
    let wrong = || Refusal::field(field, "must be a time like 2026-11-22T18:00:00Z");
    text.map(|text| moment(text).ok_or_else(wrong)).transpose()
}

/// Announcements, newest first, with how far they are. `caller` is who walks.
///
/// # Errors
/// `BadCursor`.
pub async fn list(store: &Store, caller: UserId, window: Window<'_>) -> Result<Page<Announcement>> {
    let scope = Scope { user_id: caller, route: "announcements", filter: () };
    let before: Option<AnnouncementId> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let (items, more) = cut(queries::list(&store.pool, before, i64::from(window.limit) + 1).await?, window.limit);
    let next = items.last().filter(|_| more).map(|last| store.seal(&scope, &last.id)).transpose()?;
    Ok(Page { items, next })
}

/// How many people get it in one transaction.
const BATCH: i64 = 1000;

/// What is left to do after a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Another batch.
    More,
    /// Nothing.
    Nothing,
    /// Everything, but not before then.
    NotBefore(DateTime<Utc>),
}

/// Gives an announcement to the next batch of its audience. Whoever does this at the same time
/// waits, and goes on where this ended.
///
/// # Errors
/// The database's.
pub async fn fan_out(tx: &mut Tx, id: AnnouncementId) -> Result<Left> {
    let now = tx.now();
    let Some(announcement) = queries::lock_unfinished(tx.conn(), id).await? else { return Ok(Left::Nothing) };
    if announcement.starts_at > now {
        return Ok(Left::NotBefore(announcement.starts_at));
    }
    if announcement.total.is_none() {
        queries::begin(tx.conn(), id, announcement.audience, now).await?;
    }
    let has_ended = announcement.ends_at.is_some_and(|ends_at| ends_at <= now);
    let people = if has_ended { Vec::new() } else { queries::next_people(tx.conn(), &announcement, BATCH).await? };
    let sent = give(tx, id, &announcement, &people).await?;
    let is_last = people.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
    let after = tx.store().clock.now();
    queries::advance(tx.conn(), id, &queries::Step { sent, reached: people.last().copied(), is_last, after }).await?;
    Ok(if is_last { Left::Nothing } else { Left::More })
}

/// Says how many got it.
async fn give(tx: &mut Tx, id: AnnouncementId, announcement: &queries::Unfinished, people: &[UserId]) -> Result<i64> {
    let now = tx.now();
    let data = json!({"announcement_id": id});
    let key = format!("announcement:{id}");
    let circular = Circular {
        kind: NotificationKind::Announcement,
        key: &key,
        title: &announcement.title,
        body: &announcement.body,
        data: &data,
        ends_at: announcement.ends_at,
    };
    let reached = notifications::insert_many(tx.conn(), people, &circular, now).await?;
    for person in &reached {
        let notification = Notification {
            id: person.id,
            r#type: circular.kind,
            title: announcement.title.clone(),
            body: announcement.body.clone(),
            data: data.clone(),
            read_at: None,
            created_at: Timestamp(now),
        };
        tx.emit(Channel::Notifications(person.user_id), Event::Announcement { notification });
        if announcement.email && person.is_mailed {
            tx.enqueue_new(MailNotification::to_many(person.id, now)?);
        }
    }
    Ok(i64::try_from(reached.len()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_rate_and_rest_as_soon_as_it_can() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        let times = |began, last| Times { began: at(began), last: at(last), is_over: false };
        assert_eq!(Progress::new(0, None, Times::default()).seconds_left, None);
        assert_eq!(Progress::new(1000, Some(9000), times(10, 10)).per_second, None);
        let half = Progress::new(4000, Some(9000), times(10, 12));
        assert_eq!((half.per_second, half.seconds_left), (Some(2000.0), Some(3)));
        assert_eq!(Progress::new(9001, Some(9000), times(10, 10)).seconds_left, Some(0));
        // Some left meanwhile, or it ended before.
        for sent in [0, 8999] {
            let over = Progress::new(sent, Some(9000), Times { is_over: true, ..times(10, 12) });
            assert_eq!(over.seconds_left, Some(0));
        }
    }
}
