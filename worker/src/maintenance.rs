//! Handlers of the chores on the schedule.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use humanchat_domain::maintenance;
use humanchat_jobs::maintenance::{PruneCredentials, PruneJobs, PrunePresences, RotateEvents, SweepPresence};

use crate::{
    job::{Context, JobResult},
    queue::queries,
};

/// How long finished jobs stay for operators to look at. Parked ones stay until somebody decides.
const KEEP_FINISHED: TimeDelta = TimeDelta::days(3);
const PRUNE_BATCH: i64 = 5_000;
/// Well within the time-out; what is left is for the next tick.
const PRUNE_FOR: Duration = Duration::from_secs(20);

pub(crate) async fn sweep_presence(_: SweepPresence, ctx: Context) -> JobResult {
    Ok(maintenance::sweep_presence(ctx.store()).await?)
}

pub(crate) async fn rotate_events(_: RotateEvents, ctx: Context) -> JobResult {
    Ok(maintenance::rotate_events(ctx.store()).await?)
}

pub(crate) async fn prune_presences(_: PrunePresences, ctx: Context) -> JobResult {
    Ok(maintenance::prune_presences(ctx.store()).await?)
}

pub(crate) async fn prune_credentials(_: PruneCredentials, ctx: Context) -> JobResult {
    Ok(maintenance::prune_credentials(ctx.store()).await?)
}

pub(crate) async fn prune_jobs(_: PruneJobs, ctx: Context) -> JobResult {
    let before = ctx.store().clock().now() - KEEP_FINISHED;
    let started = Instant::now();
    let batch = u64::try_from(PRUNE_BATCH)?;
    while queries::prune_finished(ctx.store().pool(), before, PRUNE_BATCH).await? == batch {
        if started.elapsed() > PRUNE_FOR {
            break;
        }
    }
    Ok(())
}
