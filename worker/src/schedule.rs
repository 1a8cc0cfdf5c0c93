//! What happens by the clock, and the task that asks for it.
//!
//! Every worker ticks; a tick's job has an id that follows from its kind and time, so one of them
//! wins. Ticks that nobody was there for are made up for by the latest one alone.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use humanchat_domain::{Store, error::Result};
use humanchat_jobs::{
    Job, NewJob,
    maintenance::{
        PruneCredentials, PruneJobs, PruneNotifications, PrunePresences, PruneReplies, PruneWebhookEvents,
        RotateEvents, SweepPresence,
    },
    notifications::PlanDigests,
    payments::{PayHosts, ReconcilePayments, WatchHolds},
};
use tokio_util::sync::CancellationToken;

/// A tick older than this isn't made up for. Less than finished jobs are kept, because it is the
/// finished job that shows that a tick was had.
const LOOK_BACK: TimeDelta = TimeDelta::days(2);
const RETRY_AFTER: Duration = Duration::from_secs(1);
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

type MakeJob = dyn Fn(DateTime<Utc>) -> serde_json::Result<NewJob> + Send + Sync;

#[derive(Clone)]
struct Entry {
    kind: &'static str,
    cron: cron::Schedule,
    make: Arc<MakeJob>,
    /// The latest tick that is in the queue.
    asked: Option<DateTime<Utc>>,
}

/// Kinds of jobs and when each is asked for.
#[derive(Clone, Default)]
pub struct Schedule(Vec<Entry>);

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.kinds()).finish()
    }
}

impl Schedule {
    /// Everything this program does by the clock (UTC; second, minute, hour, day, month, weekday).
    pub fn all() -> Self {
        let mut schedule = Self::default();
        schedule.add("0/10 * * * * *", SweepPresence::default);
        schedule.add("0 0 * * * *", RotateEvents::default);
        schedule.add("0 0/10 * * * *", PruneJobs::default);
        schedule.add("30 0 * * * *", PruneCredentials::default);
        schedule.add("0 20 * * * *", PruneReplies::default);
        schedule.add("0 5/10 * * * *", ReconcilePayments::default);
        schedule.add("0 2/10 * * * *", WatchHolds::default);
        schedule.add("0 8/10 * * * *", PayHosts::default);
        schedule.add("0 30 * * * *", PrunePresences::default);
        schedule.add("0 40 * * * *", PruneNotifications::default);
        schedule.add("0 50 * * * *", PruneWebhookEvents::default);
        // Local hours begin at quarters of an hour of UTC.
        schedule.add("5 0/15 * * * *", PlanDigests::default);
        schedule
    }

    /// Adds a kind of job.
    ///
    /// # Panics
    /// When the expression is none that the cron crate reads.
    #[expect(clippy::expect_used, reason = "expressions are literals; a wrong one must not start")]
    pub fn add<J: Job>(&mut self, cron: &str, payload: fn() -> J) {
        self.0.push(Entry {
            kind: J::NAME,
            cron: cron.parse().expect("a cron expression"),
            make: Arc::new(move |tick| Ok(NewJob::new(&payload(), tick)?.for_tick(tick))),
            asked: None,
        });
    }

    /// The kinds on the schedule.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|entry| entry.kind)
    }

    /// Puts the jobs of the latest ticks into the queue, unless they were there before. Says when
    /// the next tick is.
    ///
    /// # Errors
    /// The database's; the ticks are then had by the next call.
    pub async fn tick(&mut self, store: &Store) -> Result<Option<DateTime<Utc>>> {
        let now = store.clock().now();
        let mut asked = Vec::new();
        let mut tx = None;
        for (index, entry) in self.0.iter().enumerate() {
            let after = entry.asked.unwrap_or(now - LOOK_BACK);
            let Some(tick) = latest(&entry.cron, now).filter(|tick| *tick > after) else { continue };
            let tx = match &mut tx {
                Some(tx) => tx,
                none => none.insert(store.begin(None).await?),
            };
            tx.enqueue_new((entry.make)(tick)?);
            asked.push((index, tick));
        }
        if let Some(tx) = tx {
            tx.commit().await?;
        }
        for (index, tick) in asked {
            self.0[index].asked = Some(tick);
        }
        Ok(self.0.iter().filter_map(|entry| entry.cron.after(&now).next()).min())
    }

    /// Ticks until `stop`.
    pub(crate) async fn run(mut self, store: Store, stop: CancellationToken) {
        loop {
            let pause = match self.tick(&store).await {
                Ok(None) => LONGEST_SLEEP,
                Ok(Some(next)) => (next - store.clock().now()).to_std().unwrap_or_default().min(LONGEST_SLEEP),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "scheduled jobs were not enqueued");
                    RETRY_AFTER
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// The latest tick at or before `now`.
fn latest(cron: &cron::Schedule, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    // The iterator goes back from an instant that it leaves out.
    cron.after(&(now + TimeDelta::seconds(1))).rev().find(|tick| *tick <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_latest_tick_is_at_or_before_now() {
        let every_ten: cron::Schedule = "0/10 * * * * *".parse().unwrap();
        for (now, tick) in [
            ("2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z"),
            ("2026-11-22T12:00:00.001Z", "2026-11-22T12:00:00Z"),
            ("2026-11-22T12:00:09.999Z", "2026-11-22T12:00:00Z"),
            ("2026-11-22T12:00:10Z", "2026-11-22T12:00:10Z"),
        ] {
            assert_eq!(latest(&every_ten, at(now)), Some(at(tick)), "{now}");
        }
        let hourly: cron::Schedule = "0 0 * * * *".parse().unwrap();
        assert_eq!(latest(&hourly, at("2026-11-22T00:59:59Z")), Some(at("2026-11-22T00:00:00Z")));
        assert_eq!(latest(&hourly, at("2026-11-22T00:00:00Z")), Some(at("2026-11-22T00:00:00Z")));
    }

    #[test]
    fn the_schedule_can_be_read() {
        assert_eq!(Schedule::all().kinds().count(), 12);
    }
}
