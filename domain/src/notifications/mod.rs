//! Notifications: what concerns somebody, said to them once.
//!
//! A notice has a key; said again under the same key, it is the same notification. What came to
//! nothing or was seen to elsewhere is settled: from then on it counts as read, and neither mail
//! nor digest tells of it.

mod inbox;
mod mailing;
mod preferences;
mod queries;

use chrono::{DateTime, TimeDelta, Utc};
use humanchat_jobs::notifications::MailNotification;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub use inbox::{Counts, Marked, list, mark_read};
pub use mailing::{Mailing, mail_digest, mail_notification, plan_digests};
pub(crate) use preferences::zone_changed;
pub use preferences::{Digest, Preferences, QuietHours, preferences, set_preferences};
pub(crate) use queries::{Circular, insert_many};

use crate::{
    Store,
    error::Result,
    event::{Channel, Event},
    id::{ConversationId, NotificationId, UserId},
    text::{Timestamp, text_enum},
    tx::Tx,
};

text_enum! {
    /// What a notification is about.
    NotificationKind {
        /// Somebody wants to talk now.
        Invite,
        /// An invite of the user's got its outcome.
        InviteAnswered,
        /// Somebody asks to talk.
        Request,
        /// A request of the user's was decided.
        RequestDecided,
        /// Somebody wrote while the user was away, or for the first time.
        Message,
        /// A session was agreed.
        SessionBooked,
        /// A session has another time.
        SessionChanged,
        /// A session was called off.
        SessionCancelled,
        /// A session begins soon.
        SessionReminder,
        /// Money moved.
        Payment,
        /// Staff have something to say.
        Announcement,
    }
}

impl NotificationKind {
    /// Every kind there is.
    pub const ALL: [Self; 11] = [
        Self::Invite,
        Self::InviteAnswered,
        Self::Request,
        Self::RequestDecided,
        Self::Message,
        Self::SessionBooked,
        Self::SessionChanged,
        Self::SessionCancelled,
        Self::SessionReminder,
        Self::Payment,
        Self::Announcement,
    ];

    /// Whether it is mailed to somebody who never said whether they want that.
    pub const fn is_mailed_by_default(self) -> bool {
        !matches!(self, Self::InviteAnswered)
    }

    /// How long it may be read elsewhere before a mail says it.
    pub(crate) const fn patience(self) -> TimeDelta {
        match self {
            Self::Invite | Self::InviteAnswered | Self::Request | Self::RequestDecided | Self::Message => {
                TimeDelta::minutes(2)
            }
            Self::SessionBooked
            | Self::SessionChanged
            | Self::SessionCancelled
            | Self::SessionReminder
            | Self::Payment
            | Self::Announcement => TimeDelta::zero(),
        }
    }
}

/// Something to say to somebody.
#[derive(Debug, Clone)]
pub struct Notice {
    /// To whom.
    pub user_id: UserId,
    /// What it is about.
    pub kind: NotificationKind,
    /// What it is about exactly, 1–200 characters, such as `invite:inv_…`: once a user and key.
    pub key: String,
    /// One line. Goes into mail: no one else's address or words.
    pub title: String,
    /// A sentence or two. Goes into mail too.
    pub body: String,
    /// An object of ids, such as `{"session_id": …}`, for clients to look things up by.
    pub data: Value,
}

/// Something that was said to somebody.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Notification {
    /// Id.
    pub id: NotificationId,
    /// What it is about.
    pub r#type: NotificationKind,
    /// One line.
    pub title: String,
    /// A sentence or two; may be empty.
    pub body: String,
    /// Ids to look things up by: `conversation_id`, `invite_id`, `request_id`, `session_id`, `payment_id`,
    /// `announcement_id`, as its type has them.
    #[schema(value_type = Object)]
    pub data: Value,
    /// When it was read, dismissed, or came to nothing.
    #[schema(required)]
    pub read_at: Option<Timestamp>,
    /// When it was said.
    pub created_at: Timestamp,
}

/// Says something to somebody, once: to their sockets, and by mail where they want that. False
/// when it was said before.
///
/// # Errors
/// The database's.
pub async fn notify(tx: &mut Tx, notice: Notice) -> Result<bool> {
    let (id, now) = (NotificationId::new(), tx.now());
    let Some(is_mailed) = queries::insert(tx.conn(), id, &notice, now).await? else { return Ok(false) };
    if is_mailed {
        tx.enqueue_at(&MailNotification { notification_id: id }, now + notice.kind.patience())?;
    }
    let channel = Channel::Notifications(notice.user_id);
    tx.emit(channel, Event::NotificationCreated { notification: notice.into_notification(id, now) });
    Ok(true)
}

/// Ends a notification that somebody saw to or that came to nothing: it is unread no more. Keys
/// that say nothing unread are left alone.
///
/// # Errors
/// The database's.
pub async fn settle(tx: &mut Tx, user_id: UserId, keys: &[String]) -> Result<()> {
    let now = tx.now();
    let ids = queries::read_by_key(tx.conn(), user_id, keys, now).await?;
    tell_read(tx, user_id, &ids);
    Ok(())
}

/// Ends what tells of messages of a conversation that somebody has read.
///
/// # Errors
/// The database's.
pub(crate) async fn settle_messages(tx: &mut Tx, user_id: UserId, id: ConversationId) -> Result<()> {
    let now = tx.now();
    let ids = queries::read_by_conversation(tx.conn(), user_id, id, now).await?;
    tell_read(tx, user_id, &ids);
    Ok(())
}

impl Notice {
    fn into_notification(self, id: NotificationId, now: DateTime<Utc>) -> Notification {
        Notification {
            id,
            r#type: self.kind,
            title: self.title,
            body: self.body,
            data: self.data,
            read_at: None,
            created_at: Timestamp(now),
        }
    }
}

/// How long what was read is kept.
const KEPT_READ: TimeDelta = TimeDelta::days(90);
/// How long anything is.
const KEPT: TimeDelta = TimeDelta::days(365);

/// Deletes a batch of what is old; says how many that were.
///
/// # Errors
/// The database's.
pub(crate) async fn prune(store: &Store, limit: i64) -> Result<u64> {
    let now = store.clock.now();
    Ok(queries::prune(&store.pool, (now - KEPT_READ, now - KEPT), limit).await?)
}

/// A frame has its bounds, so that many ids are several events.
const IDS_IN_EVENT: usize = 500;

fn tell_read(tx: &mut Tx, user_id: UserId, ids: &[NotificationId]) {
    for ids in ids.chunks(IDS_IN_EVENT) {
        tx.emit(Channel::Notifications(user_id), Event::NotificationRead { ids: ids.to_vec() });
    }
}
