//! Handlers about signing in.

use humanchat_domain::auth;
use humanchat_jobs::auth::SendMagicLink;

use crate::job::{Context, JobResult};

pub(crate) async fn send_magic_link(job: SendMagicLink, ctx: Context) -> JobResult {
    Ok(auth::mail_magic_link(ctx.begin().await?, job.magic_link_id).await?)
}
