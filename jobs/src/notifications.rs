//! Jobs about notifications: mail, digests, announcements.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    Job, NewJob, Queue, WhenSpent,
    id::{AnnouncementId, NotificationId, UserId},
};

/// Mails one notification, if it still matters when its turn comes.
#[derive(Debug, Serialize, Deserialize)]
pub struct MailNotification {
    /// The notification.
    pub notification_id: NotificationId,
}

/// Mail servers are away for hours at times. Each try looks again at what still matters.
const MAIL_ATTEMPTS: i16 = 30;

impl MailNotification {
    /// The mail of a notification that goes to many: nobody waits for it, so it runs in the queue of such work, behind
    /// the rest.
    ///
    /// # Errors
    /// When the payload can't be written as JSON.
    pub fn to_many(notification_id: NotificationId, now: DateTime<Utc>) -> serde_json::Result<NewJob> {
        Ok(NewJob { queue: Queue::Bulk, priority: 20, ..NewJob::new(&Self { notification_id }, now)? })
    }
}

impl Job for MailNotification {
    const NAME: &'static str = "mail_notification";
    const QUEUE: Queue = Queue::Mail;
    /// Behind sign-in links, which somebody waits for.
    const PRIORITY: i16 = 10;
    const MAX_ATTEMPTS: i16 = MAIL_ATTEMPTS;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.notification_id.to_string())
    }
}

/// Asks for the digests that are due, a batch of people after the other.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PlanDigests {}

impl Job for PlanDigests {
    const NAME: &'static str = "plan_digests";
    const QUEUE: Queue = Queue::Bulk;
    const MAX_ATTEMPTS: i16 = 3;
    const WHEN_SPENT: WhenSpent = WhenSpent::Cancel;
    const GLOBAL_CONCURRENCY: Option<u32> = Some(1);

    fn dedupe_key(&self) -> Option<String> {
        Some("any".to_owned())
    }
}

/// Mails one digest: what came in a span of time and is unread when it is sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct MailDigest {
    /// Whose.
    pub user_id: UserId,
    /// From when on.
    pub since: DateTime<Utc>,
    /// Until before when.
    pub until: DateTime<Utc>,
}

impl Job for MailDigest {
    const NAME: &'static str = "mail_digest";
    const QUEUE: Queue = Queue::Bulk;
    /// Behind the plans.
    const PRIORITY: i16 = 10;
    const MAX_ATTEMPTS: i16 = MAIL_ATTEMPTS;

    fn dedupe_key(&self) -> Option<String> {
        Some(format!("{}:{}", self.user_id, self.until.timestamp()))
    }
}

/// Gives an announcement to its audience, a batch of people after the other.
#[derive(Debug, Serialize, Deserialize)]
pub struct FanOutAnnouncement {
    /// The announcement.
    pub announcement_id: AnnouncementId,
}

impl Job for FanOutAnnouncement {
    const NAME: &'static str = "fan_out_announcement";
    const QUEUE: Queue = Queue::Bulk;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.announcement_id.to_string())
    }
}
