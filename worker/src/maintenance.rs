//! Handlers of the chores on the schedule.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use humanchat_domain::maintenance::{self, Rotation};
use humanchat_jobs::maintenance::{
    PruneCredentials, PruneJobs, PruneNotifications, PrunePresences, PruneReplies, PruneWebhookEvents, RotateEvents,
    SweepPresence,
};

use crate::{
    job::{Context, JobError, JobResult},
    queue::queries,
};

/// How long finished jobs stay for operators to look at. Parked ones stay until somebody decides.
const KEEP_FINISHED: TimeDelta = TimeDelta::days(3);
const PRUNE_BATCH: i64 = 5_000;
/// Well within the time-out; what is left is for the next tick.
const PRUNE_FOR: Duration = Duration::from_secs(20);
/// Whoever reads the events, for a backup say, may take hours. Nothing hurries: there is room for three days.
const LOOK_AGAIN_AFTER: Duration = Duration::from_mins(5);

pub(crate) async fn sweep_presence(_: SweepPresence, ctx: Context) -> JobResult {
    Ok(maintenance::sweep_presence(ctx.store()).await?)
}

pub(crate) async fn rotate_events(_: RotateEvents, ctx: Context) -> JobResult {
    let pruning = Pruning(Instant::now());
    while pruning.goes_on(maintenance::prune_stray_events(ctx.store(), PRUNE_BATCH).await?) {}
    match maintenance::rotate_events(ctx.store()).await? {
        Rotation::Done => Ok(()),
        Rotation::InTheWay => Err(JobError::Snooze(LOOK_AGAIN_AFTER)),
    }
}

pub(crate) async fn prune_presences(_: PrunePresences, ctx: Context) -> JobResult {
    let pruning = Pruning(Instant::now());
    while pruning.goes_on(maintenance::prune_presences(ctx.store(), PRUNE_BATCH).await?) {}
    Ok(())
}

pub(crate) async fn prune_credentials(_: PruneCredentials, ctx: Context) -> JobResult {
    let pruning = Pruning(Instant::now());
    while pruning.goes_on(maintenance::prune_credentials(ctx.store(), PRUNE_BATCH).await?) {}
    Ok(())
}

pub(crate) async fn prune_replies(_: PruneReplies, ctx: Context) -> JobResult {
    let pruning = Pruning(Instant::now());
    while pruning.goes_on(maintenance::prune_replies(ctx.store(), PRUNE_BATCH).await?) {}
    Ok(())
}

pub(crate) async fn prune_jobs(_: PruneJobs, ctx: Context) -> JobResult {
    let before = ctx.store().clock().now() - KEEP_FINISHED;
    let pruning = Pruning(Instant::now());
    while pruning.goes_on(queries::prune_finished(ctx.store().pool(), before, PRUNE_BATCH).await?) {}
    Ok(())
}

pub(crate) async fn prune_notifications(_: PruneNotifications, ctx: Context) -> JobResult {
    let pruning = Pruning(Instant::now());
    while pruning.goes_on(maintenance::prune_notifications(ctx.store(), PRUNE_BATCH).await?) {}
    Ok(())
}

pub(crate) async fn prune_webhook_events(_: PruneWebhookEvents, ctx: Context) -> JobResult {
    let pruning = Pruning(Instant::now());
    while pruning.goes_on(maintenance::prune_webhook_events(ctx.store(), PRUNE_BATCH).await?) {}
    Ok(())
}

/// Deleting in batches, since when.
struct Pruning(Instant);

impl Pruning {
    /// Whether another batch follows one in which so many rows went.
    fn goes_on(&self, deleted: u64) -> bool {
        deleted >= PRUNE_BATCH.unsigned_abs() && self.0.elapsed() < PRUNE_FOR
    }
}
