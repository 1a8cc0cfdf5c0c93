//! Handlers about sessions.

use chrono::{DateTime, Utc};
use humanchat_domain::{sessions, tx::Tx};
use humanchat_jobs::sessions::{EndForgottenSession, EndUnstartedSession, ReleaseHold, ReleaseOffer, RemindOfSession};

use crate::job::{Context, JobError, JobResult};

pub(crate) async fn release_hold(job: ReleaseHold, ctx: Context) -> JobResult {
    let mut tx = ctx.begin().await?;
    let due = sessions::release_hold(&mut tx, job.session_id).await?;
    end_or_come_again(tx, due).await
}

pub(crate) async fn release_offer(job: ReleaseOffer, ctx: Context) -> JobResult {
    let mut tx = ctx.begin().await?;
    let due = sessions::release_offer(&mut tx, job.action_id).await?;
    end_or_come_again(tx, due).await
}

pub(crate) async fn remind_of_session(job: RemindOfSession, ctx: Context) -> JobResult {
    let mut tx = ctx.begin().await?;
    sessions::remind(&mut tx, job.session_id, job.version, job.minutes_before).await?;
    Ok(tx.commit().await?)
}

pub(crate) async fn end_unstarted_session(job: EndUnstartedSession, ctx: Context) -> JobResult {
    let mut tx = ctx.begin().await?;
    let due = sessions::end_unstarted(&mut tx, job.session_id, job.version).await?;
    end_or_come_again(tx, due).await
}

pub(crate) async fn end_forgotten_session(job: EndForgottenSession, ctx: Context) -> JobResult {
    let mut tx = ctx.begin().await?;
    let due = sessions::end_forgotten(&mut tx, job.session_id).await?;
    end_or_come_again(tx, due).await
}

/// Commits; where it was too early, the job runs again when it is due.
pub(crate) async fn end_or_come_again(tx: Tx, due: Option<DateTime<Utc>>) -> JobResult {
    let now = tx.now();
    tx.commit().await?;
    due.map_or(Ok(()), |due| Err(JobError::Snooze((due - now).to_std().unwrap_or_default())))
}
