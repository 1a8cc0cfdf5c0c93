//! Handlers about people.

use humanchat_domain::{erasure, users};
use humanchat_jobs::users::{EndPresence, EraseUser};

use crate::job::{Context, JobError, JobResult};

pub(crate) async fn end_presence(job: EndPresence, ctx: Context) -> JobResult {
    let mut tx = ctx.begin().await?;
    let until = users::end_presence(&mut tx, job.user_id).await?;
    let now = tx.now();
    tx.commit().await?;
    // They said so again while this was on its way.
    until.map_or(Ok(()), |until| Err(JobError::Snooze((until - now).to_std().unwrap_or_default())))
}

pub(crate) async fn erase_user(job: EraseUser, ctx: Context) -> JobResult {
    loop {
        let mut tx = ctx.begin().await?;
        let more = erasure::remove_some(&mut tx, job.user_id).await?;
        tx.commit().await?;
        if !more {
            break;
        }
    }
    let mut told = None;
    loop {
        let mut tx = ctx.begin().await?;
        told = erasure::tell_some(&mut tx, job.user_id, told).await?;
        tx.commit().await?;
        if told.is_none() {
            return Ok(());
        }
    }
}
