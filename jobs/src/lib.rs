//! What can be asked for: job payloads, the [`Job`] trait, and how a job enters the queue.
//!
//! Owns the names and shapes of jobs and the insert into the `jobs` table. How a job is done is
//! the worker's business; why it is asked for is the domain's.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

pub mod auth;
pub mod id;
pub mod invites;
pub mod maintenance;
pub mod notifications;
pub mod payments;
mod queries;
pub mod sam;
pub mod sessions;
pub mod users;

pub use queries::{cancel, insert};

/// A named lane of the queue. Each has its own concurrency in a worker process, can be paused, and
/// never waits behind another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Queue {
    /// Short database work that users wait for: expiries, presence.
    Default,
    /// Mail through SMTP.
    Mail,
    /// Housekeeping on a schedule.
    Maintenance,
    /// Calls to the language model, which take seconds.
    Model,
    /// Work for many people at once, which nobody waits for: digests, announcements.
    Bulk,
    /// Calls to the payment provider.
    Payments,
}

impl Queue {
    /// Every queue there is.
    pub const ALL: [Self; 6] = [Self::Default, Self::Mail, Self::Maintenance, Self::Bulk, Self::Model, Self::Payments];

    /// The name stored in the table and used in `--queues`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Mail => "mail",
            Self::Maintenance => "maintenance",
            Self::Bulk => "bulk",
            Self::Model => "model",
            Self::Payments => "payments",
        }
    }
}

/// A name that no queue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownQueue;

impl std::str::FromStr for Queue {
    type Err = UnknownQueue;

    fn from_str(name: &str) -> Result<Self, UnknownQueue> {
        Self::ALL.into_iter().find(|queue| queue.as_str() == name).ok_or(UnknownQueue)
    }
}

/// What happens when a job is enqueued whose dedupe key is taken by one that still waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDuplicate {
    /// The waiting job stays as it is.
    Keep,
    /// The waiting job takes over the new due time.
    ReplaceDueTime,
}

/// What becomes of a job that failed for the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenSpent {
    /// It is parked: an operator decides.
    Park,
    /// It is called off: the next tick of the clock does the same.
    Cancel,
}

impl WhenSpent {
    /// The state of its row.
    pub const fn state(self) -> &'static str {
        match self {
            Self::Park => "parked",
            Self::Cancel => "cancelled",
        }
    }
}

/// A kind of job: its payload, and how the queue treats it.
///
/// Payloads hold ids and versions, never snapshots, text or secrets. `NAME` never changes; a new
/// field needs a serde default, because old payloads wait in the table.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Stable name of the kind, in snake case.
    const NAME: &'static str;
    /// The lane it runs in, unless whoever asks for it names another.
    const QUEUE: Queue;
    /// Lower runs first within a queue.
    const PRIORITY: i16 = 0;
    /// How often it is tried.
    const MAX_ATTEMPTS: i16 = 15;
    /// What becomes of it after that.
    const WHEN_SPENT: WhenSpent = WhenSpent::Park;
    /// How long one attempt may take.
    const TIMEOUT: Duration = Duration::from_secs(30);
    /// How many of this kind may run at once over all workers; `None` is no limit of its own.
    const GLOBAL_CONCURRENCY: Option<u32> = None;
    /// What to do with a second job of the same key.
    const ON_DUPLICATE: OnDuplicate = OnDuplicate::Keep;

    /// At most one job of a kind and key waits at a time; one more may wait while it runs.
    fn dedupe_key(&self) -> Option<String> {
        None
    }
}

/// What a waiting job can be found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobKey {
    /// [`Job::NAME`].
    pub kind: &'static str,
    /// [`Job::dedupe_key`].
    pub key: String,
}

impl JobKey {
    /// The key of a job like this one; of a kind without keys, one that finds nothing.
    pub fn of<J: Job>(job: &J) -> Self {
        Self { kind: J::NAME, key: job.dedupe_key().unwrap_or_default() }
    }
}

/// A job on its way into the table.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id; a second insert of the same id is ignored.
    pub id: Uuid,
    /// [`Job::NAME`].
    pub kind: &'static str,
    /// [`Job::QUEUE`].
    pub queue: Queue,
    /// [`Job::PRIORITY`].
    pub priority: i16,
    /// [`Job::MAX_ATTEMPTS`].
    pub max_attempts: i16,
    /// [`Job::ON_DUPLICATE`].
    pub on_duplicate: OnDuplicate,
    /// [`Job::dedupe_key`].
    pub dedupe_key: Option<String>,
    /// The payload as JSON.
    pub data: serde_json::Value,
    /// Due time, to the microsecond.
    pub run_at: DateTime<Utc>,
    /// The request this descends from, for the logs.
    pub request_id: Option<String>,
    /// The span it was asked for in, as W3C trace context.
    pub traceparent: Option<String>,
}

impl NewJob {
    /// A job of `payload`, due at `run_at`.
    ///
    /// # Errors
    /// When the payload can't be written as JSON.
    pub fn new<J: Job>(payload: &J, run_at: DateTime<Utc>) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: Uuid::now_v7(),
            kind: J::NAME,
            queue: J::QUEUE,
            priority: J::PRIORITY,
            max_attempts: J::MAX_ATTEMPTS,
            on_duplicate: J::ON_DUPLICATE,
            dedupe_key: payload.dedupe_key(),
            data: serde_json::to_value(payload)?,
            run_at,
            request_id: None,
            traceparent: None,
        })
    }

    /// The job of a schedule's tick: its id follows from name and time, so that however many
    /// workers tick, one job results, even when it has already run. A job of the same key that
    /// still waits stays as it is.
    #[must_use]
    pub fn for_tick(mut self, tick: DateTime<Utc>) -> Self {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(format!("cron:{}:{}", self.kind, tick.timestamp()));
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        self.id = uuid::Builder::from_custom_bytes(bytes).into_uuid();
        self.on_duplicate = OnDuplicate::Keep;
        self
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde_json::json;

    use super::*;
    use crate::{
        auth::SendMagicLink,
        id::{
            ActionId, AnnouncementId, InviteId, MagicLinkId, NotificationId, PaymentCallId, PaymentId, RunId,
            SessionId, UserId,
        },
        invites::ExpireInvite,
        maintenance::{
            PruneCredentials, PruneJobs, PruneNotifications, PrunePresences, PruneReplies, PruneWebhookEvents,
            RotateEvents, SweepPresence,
        },
        notifications::{FanOutAnnouncement, MailDigest, MailNotification, PlanDigests},
        payments::{
            AuthorizePayment, ForgetPayer, MakePaymentCall, PayHosts, ReconcilePayments, SyncPayment, WatchHolds,
        },
        sam::RunSam,
        sessions::{EndForgottenSession, EndUnstartedSession, ReleaseHold, ReleaseOffer, RemindOfSession},
        users::{EndPresence, EraseUser},
    };

    const ID: Uuid = Uuid::from_u128(0x0193_4c8d_1a2b_7c3d_8e4f_5061_7283_94a5);

    /// Jobs of this shape wait in tables: it stays readable for ever.
    fn golden<J: Job + Debug>(payload: &J, name: &str, json: &serde_json::Value) {
        assert_eq!(J::NAME, name);
        assert_eq!(serde_json::to_value(payload).unwrap(), *json, "{name} is written differently");
        let read: J = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{payload:?}"), "{name} is read differently");
    }

    #[test]
    fn payloads_keep_their_shape() {
        golden(
            &SendMagicLink { magic_link_id: MagicLinkId(ID) },
            "send_magic_link",
            &json!({"magic_link_id": "link_01jd68t6hbfgyrwktgc5s87555"}),
        );
        golden(
            &ExpireInvite { invite_id: InviteId(ID) },
            "expire_invite",
            &json!({"invite_id": "inv_01jd68t6hbfgyrwktgc5s87555"}),
        );
        golden(
            &EndPresence { user_id: UserId(ID) },
            "end_presence",
            &json!({"user_id": "user_01jd68t6hbfgyrwktgc5s87555"}),
        );
        golden(&RunSam { run_id: RunId(ID) }, "run_sam", &json!({"run_id": "run_01jd68t6hbfgyrwktgc5s87555"}));
        golden(
            &EraseUser { user_id: UserId(ID) },
            "erase_user",
            &json!({"user_id": "user_01jd68t6hbfgyrwktgc5s87555"}),
        );
        golden(
            &MakePaymentCall { call_id: PaymentCallId(ID) },
            "make_payment_call",
            &json!({"call_id": "call_01jd68t6hbfgyrwktgc5s87555"}),
        );
        golden(&SyncPayment { object_id: "pi_3Q".to_owned() }, "sync_payment", &json!({"object_id": "pi_3Q"}));
        golden(
            &AuthorizePayment { payment_id: PaymentId(ID) },
            "authorize_payment",
            &json!({"payment_id": "pay_01jd68t6hbfgyrwktgc5s87555"}),
        );
        golden(
            &ForgetPayer { user_id: UserId(ID) },
            "forget_payer",
            &json!({"user_id": "user_01jd68t6hbfgyrwktgc5s87555"}),
        );
        golden(&PayHosts {}, "pay_hosts", &json!({}));
        golden(&WatchHolds {}, "watch_holds", &json!({}));
        golden(&ReconcilePayments {}, "reconcile_payments", &json!({}));
        let session = "sess_01jd68t6hbfgyrwktgc5s87555";
        let session_id = SessionId(ID);
        golden(&ReleaseHold { session_id }, "release_hold", &json!({"session_id": session}));
        golden(
            &ReleaseOffer { action_id: ActionId(ID) },
            "release_offer",
            &json!({"action_id": "act_01jd68t6hbfgyrwktgc5s87555"}),
        );
        golden(
            &RemindOfSession { session_id, version: 2, minutes_before: 60 },
            "remind_of_session",
            &json!({"session_id": session, "version": 2, "minutes_before": 60}),
        );
        golden(
            &EndUnstartedSession { session_id, version: 2 },
            "end_unstarted_session",
            &json!({"session_id": session, "version": 2}),
        );
        golden(&EndForgottenSession { session_id }, "end_forgotten_session", &json!({"session_id": session}));
        golden(&PrunePresences {}, "prune_presences", &json!({}));
        golden(&PruneNotifications {}, "prune_notifications", &json!({}));
        golden(&PruneWebhookEvents {}, "prune_webhook_events", &json!({}));
        golden(
            &MailNotification { notification_id: NotificationId(ID) },
            "mail_notification",
            &json!({"notification_id": "ntf_01jd68t6hbfgyrwktgc5s87555"}),
        );
        let (since, until) = (DateTime::UNIX_EPOCH, DateTime::from_timestamp(1_794_830_400, 0).unwrap());
        golden(
            &MailDigest { user_id: UserId(ID), since, until },
            "mail_digest",
            &json!({
                "user_id": "user_01jd68t6hbfgyrwktgc5s87555",
                "since": "1970-01-01T00:00:00Z",
                "until": "2026-11-16T12:00:00Z",
            }),
        );
        golden(
            &FanOutAnnouncement { announcement_id: AnnouncementId(ID) },
            "fan_out_announcement",
            &json!({"announcement_id": "ann_01jd68t6hbfgyrwktgc5s87555"}),
        );
        golden(&PlanDigests {}, "plan_digests", &json!({}));
        golden(&SweepPresence {}, "sweep_presence", &json!({}));
        golden(&RotateEvents {}, "rotate_events", &json!({}));
        golden(&PruneJobs {}, "prune_jobs", &json!({}));
        golden(&PruneCredentials {}, "prune_credentials", &json!({}));
        golden(&PruneReplies {}, "prune_replies", &json!({}));
    }

    #[test]
    fn a_tick_has_one_id_everywhere() {
        let tick = DateTime::from_timestamp(1_794_830_400, 0).unwrap();
        let id = |tick| NewJob::new(&SweepPresence {}, tick).unwrap().for_tick(tick).id;
        assert_eq!(id(tick).to_string(), "66df88c5-1969-8076-b223-9a2adabc7b09");
        assert_ne!(id(tick), id(tick + chrono::TimeDelta::seconds(10)));
        assert_ne!(id(tick), NewJob::new(&PruneJobs {}, tick).unwrap().for_tick(tick).id);
    }
}
