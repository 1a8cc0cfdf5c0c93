//! Handlers about people.

use humanchat_domain::{
    erasure::{self, Closing},
    error::Result,
    id::UserId,
    tx::Tx,
    users,
};
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
    let person = job.user_id;
    let closing = step(&ctx, async |tx| erasure::settle(tx, person).await).await?;
    while step(&ctx, async |tx| erasure::end_more(tx, person).await).await? {}
    while step(&ctx, async |tx| erasure::remove_some(tx, person).await).await? {}
    let mut told = None;
    loop {
        told = step(&ctx, async |tx| erasure::tell_some(tx, person, told).await).await?;
        if told.is_none() {
            break;
        }
    }
    let mut answer = None;
    loop {
        answer = step(&ctx, async |tx| erasure::unname_answers(tx, person, answer).await).await?;
        if answer.is_none() {
            break;
        }
    }
    match closing {
        Closing::Open => Ok(()),
        Closing::Unsettled(until) => {
            Err(JobError::Snooze((until - ctx.store().clock().now()).to_std().unwrap_or_default()))
        }
        Closing::Settled => unname(person, &ctx).await,
    }
}

/// What others were notified of has been mailed by now, where they wanted that, and questions that found somebody
/// are answered.
async fn unname(person: UserId, ctx: &Context) -> JobResult {
    while step(ctx, async |tx| erasure::forget_answers(tx, person).await).await? {}
    let mut conversation = None;
    loop {
        conversation = step(ctx, async |tx| erasure::unname_conversations(tx, person, conversation).await).await?;
        if conversation.is_none() {
            break;
        }
    }
    let mut request = None;
    loop {
        request = step(ctx, async |tx| erasure::unname_requests(tx, person, request).await).await?;
        if request.is_none() {
            break;
        }
    }
    let mut payment = None;
    loop {
        payment = step(ctx, async |tx| erasure::unname_payments(tx, person, payment).await).await?;
        if payment.is_none() {
            return Ok(());
        }
    }
}

/// A unit of work of its own.
async fn step<T>(ctx: &Context, work: impl AsyncFnOnce(&mut Tx) -> Result<T>) -> Result<T, JobError> {
    let mut tx = ctx.begin().await?;
    let done = work(&mut tx).await?;
    tx.commit().await?;
    Ok(done)
}
