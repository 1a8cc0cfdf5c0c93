//! Handlers about people.

use humanchat_domain::users;
use humanchat_jobs::users::EndPresence;

use crate::job::{Context, JobError, JobResult};

pub(crate) async fn end_presence(job: EndPresence, ctx: Context) -> JobResult {
    let mut tx = ctx.begin().await?;
    let until = users::end_presence(&mut tx, job.user_id).await?;
    let now = tx.now();
    tx.commit().await?;
    // They said so again while this was on its way.
    until.map_or(Ok(()), |until| Err(JobError::Snooze((until - now).to_std().unwrap_or_default())))
}
