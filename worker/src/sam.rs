//! Handlers about Sam, the concierge.

use humanchat_domain::sam;
use humanchat_jobs::sam::RunSam;

use crate::job::{Context, JobResult};

pub(crate) async fn run_sam(job: RunSam, ctx: Context) -> JobResult {
    // The model is asked outside of any transaction; what it said is nothing until it is stored.
    let Some(thought) = sam::think(ctx.store(), job.run_id, ctx.attempt()).await? else { return Ok(()) };
    let mut tx = ctx.begin().await?;
    sam::answer(&mut tx, thought).await?;
    Ok(tx.commit().await?)
}
