//! Handlers about instant invites.

use humanchat_domain::invites;
use humanchat_jobs::invites::ExpireInvite;

use crate::job::{Context, JobError, JobResult};

pub(crate) async fn expire_invite(job: ExpireInvite, ctx: Context) -> JobResult {
    let mut tx = ctx.begin().await?;
    let due = invites::expire(&mut tx, job.invite_id).await?;
    let now = tx.now();
    tx.commit().await?;
    // Only where the clocks of two machines differ: this one is early.
    due.map_or(Ok(()), |due| Err(JobError::Snooze((due - now).to_std().unwrap_or_default())))
}
