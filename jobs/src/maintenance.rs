//! Housekeeping on a schedule. None of these carries data.

use serde::{Deserialize, Serialize};

use crate::{Job, Queue, WhenSpent};

macro_rules! chores {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, Serialize, Deserialize)]
        pub struct $name {}

        impl Job for $name {
            const NAME: &'static str = $kind;
            const QUEUE: Queue = Queue::Maintenance;
            const MAX_ATTEMPTS: i16 = 3;
            const WHEN_SPENT: WhenSpent = WhenSpent::Cancel;
            const GLOBAL_CONCURRENCY: Option<u32> = Some(1);

            /// A chore that waits already, in a paused queue say, need not wait twice.
            fn dedupe_key(&self) -> Option<String> {
                Some("any".to_owned())
            }
        }
    )*};
}

chores! {
    /// Takes people offline whose api process died without saying so.
    SweepPresence = "sweep_presence";
    /// Makes room for the coming days' events and drops days older than seven.
    RotateEvents = "rotate_events";
    /// Deletes finished jobs after three days.
    PruneJobs = "prune_jobs";
    /// Deletes what is known of people's coming and going two days ago and longer.
    PrunePresences = "prune_presences";
    /// Deletes notifications that were read ninety days ago, and all that are a year old.
    PruneNotifications = "prune_notifications";
    /// Deletes what the payment provider told thirty days ago and longer, but for what nobody has looked at yet.
    PruneWebhookEvents = "prune_webhook_events";
    /// Deletes sign-in links, socket tickets, and refresh tokens with their logins, past their time.
    PruneCredentials = "prune_credentials";
    /// Deletes remembered replies after a day.
    PruneReplies = "prune_replies";
}
