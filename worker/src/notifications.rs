//! Handlers about notifications: mail, digests, announcements.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use humanchat_domain::{
    announcements::{self, Left},
    notifications::{self, Mailing},
};
use humanchat_jobs::notifications::{FanOutAnnouncement, MailDigest, MailNotification, PlanDigests};

use crate::job::{Context, JobError, JobResult};

/// How many people's digests are planned in one transaction.
const PLANNED_AT_ONCE: i64 = 500;
/// Well within the time-out; what is left is for the next run.
const WORK_FOR: Duration = Duration::from_secs(15);

pub(crate) async fn mail_notification(job: MailNotification, ctx: Context) -> JobResult {
    let mailing = notifications::mail_notification(ctx.begin().await?, job.notification_id).await?;
    mailed(mailing, &ctx)
}

pub(crate) async fn mail_digest(job: MailDigest, ctx: Context) -> JobResult {
    let mailing = notifications::mail_digest(ctx.begin().await?, job.user_id, job.since, job.until).await?;
    mailed(mailing, &ctx)
}

fn mailed(mailing: Mailing, ctx: &Context) -> JobResult {
    match mailing {
        Mailing::Done => Ok(()),
        Mailing::NotBefore(time) => Err(not_before(time, ctx)),
    }
}

fn not_before(time: DateTime<Utc>, ctx: &Context) -> JobError {
    JobError::Snooze((time - ctx.store().clock().now()).to_std().unwrap_or_default())
}

pub(crate) async fn plan_digests(_: PlanDigests, ctx: Context) -> JobResult {
    let started = Instant::now();
    let whole_batch = usize::try_from(PLANNED_AT_ONCE)?;
    loop {
        let mut tx = ctx.begin().await?;
        let planned = notifications::plan_digests(&mut tx, PLANNED_AT_ONCE).await?;
        tx.commit().await?;
        if planned < whole_batch {
            return Ok(());
        }
        if started.elapsed() > WORK_FOR {
            return Err(JobError::Snooze(Duration::ZERO));
        }
    }
}

pub(crate) async fn fan_out_announcement(job: FanOutAnnouncement, ctx: Context) -> JobResult {
    let started = Instant::now();
    loop {
        let mut tx = ctx.begin().await?;
        let left = announcements::fan_out(&mut tx, job.announcement_id).await?;
        tx.commit().await?;
        match left {
            Left::Nothing => return Ok(()),
            Left::NotBefore(time) => return Err(not_before(time, &ctx)),
            Left::More if started.elapsed() > WORK_FOR => return Err(JobError::Snooze(Duration::ZERO)),
            Left::More => {}
        }
    }
}
