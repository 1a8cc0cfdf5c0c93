//! Which kinds of jobs this program knows, how each is handled, and how many run at once.
//!
//! A kind that isn't here is never fetched: it waits for a worker that knows it.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, FutureExt};
use humanchat_jobs::{Job, Queue, WhenSpent};
use serde_json::value::RawValue;

use crate::{
    auth, invites,
    job::{Context, JobResult},
    maintenance, notifications, payments, sam, sessions, users,
};

/// How many jobs of a queue a process runs at once. Handlers share the process' database
/// connections, so more is not always faster.
pub fn concurrency(queue: Queue) -> usize {
    match queue {
        Queue::Default => 50,
        Queue::Mail => 8,
        Queue::Maintenance => 4,
        // Nobody waits for these: what others wait for goes on beside them.
        Queue::Bulk => 2,
        // They wait for the model most of the time, without a connection.
        Queue::Model => 256,
        Queue::Payments => 16,
    }
}

type Start = dyn Fn(&RawValue, Context) -> serde_json::Result<BoxFuture<'static, JobResult>> + Send + Sync;

/// A kind of job and its handler.
pub struct Kind {
    /// [`Job::NAME`].
    pub name: &'static str,
    /// [`Job::QUEUE`].
    pub queue: Queue,
    /// [`Job::PRIORITY`].
    pub priority: i16,
    /// [`Job::TIMEOUT`].
    pub timeout: Duration,
    /// [`Job::WHEN_SPENT`].
    pub when_spent: WhenSpent,
    /// [`Job::GLOBAL_CONCURRENCY`].
    pub global_concurrency: Option<u32>,
    start: Box<Start>,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Kind {
    /// Reads the payload and gives the handler's future.
    ///
    /// # Errors
    /// When the payload isn't one of this kind.
    pub(crate) fn start(&self, data: &RawValue, context: Context) -> serde_json::Result<BoxFuture<'static, JobResult>> {
        (self.start)(data, context)
    }
}

/// The kinds a worker knows.
#[derive(Debug, Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Arc<Kind>>,
}

impl Registry {
    /// Everything this program can do.
    pub fn all() -> Self {
        let mut registry = Self::default();
        registry.add(auth::send_magic_link);
        registry.add(invites::expire_invite);
        registry.add(users::end_presence);
        registry.add(sam::run_sam);
        registry.add(users::erase_user);
        registry.add(sessions::release_hold);
        registry.add(sessions::release_offer);
        registry.add(sessions::remind_of_session);
        registry.add(sessions::end_unstarted_session);
        registry.add(sessions::end_forgotten_session);
        registry.add(notifications::mail_notification);
        registry.add(notifications::mail_digest);
        registry.add(notifications::plan_digests);
        registry.add(notifications::fan_out_announcement);
        registry.add(maintenance::sweep_presence);
        registry.add(maintenance::rotate_events);
        registry.add(maintenance::prune_jobs);
        registry.add(maintenance::prune_presences);
        registry.add(maintenance::prune_notifications);
        registry.add(maintenance::prune_webhook_events);
        registry.add(maintenance::prune_credentials);
        registry.add(maintenance::prune_replies);
        registry.add(payments::make_payment_call);
        registry.add(payments::sync_payment);
        registry.add(payments::authorize_payment);
        registry.add(payments::forget_payer);
        registry.add(payments::watch_holds);
        registry.add(payments::pay_hosts);
        registry.add(payments::reconcile_payments);
        registry
    }

    /// Adds a handler. Its first argument says for which kind.
    ///
    /// # Panics
    /// When the kind has a handler already.
    pub fn add<J, F, Fut>(&mut self, handler: F)
    where
        J: Job,
        F: Fn(J, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = JobResult> + Send + 'static,
    {
        let start = move |data: &RawValue, context: Context| {
            let job = serde_json::from_str::<J>(data.get())?;
            Ok(handler(job, context).boxed())
        };
        let kind = Kind {
            name: J::NAME,
            queue: J::QUEUE,
            priority: J::PRIORITY,
            timeout: J::TIMEOUT,
            when_spent: J::WHEN_SPENT,
            global_concurrency: J::GLOBAL_CONCURRENCY,
            start: Box::new(start),
        };
        let other = self.kinds.insert(J::NAME, Arc::new(kind));
        assert!(other.is_none(), "{} has two handlers", J::NAME);
    }

    /// The kind of this name, if it is known.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Kind>> {
        self.kinds.get(name)
    }

    /// Every kind, by name.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheduled_kind_has_a_handler_and_is_not_parked() {
        let registry = Registry::all();
        for kind in crate::schedule::Schedule::all().kinds() {
            assert_eq!(
                registry.get(kind).unwrap().when_spent,
                WhenSpent::Cancel,
                "{kind}: the next tick does it again"
            );
        }
    }
}
