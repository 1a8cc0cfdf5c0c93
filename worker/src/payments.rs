//! Handlers that speak with the payment provider.

use humanchat_domain::payments;
use humanchat_jobs::payments::{
    AuthorizePayment, ForgetPayer, MakePaymentCall, PayHosts, ReconcilePayments, SyncPayment, WatchHolds,
};

use crate::{
    job::{Context, JobError, JobResult},
    sessions::end_or_come_again,
};

pub(crate) async fn make_payment_call(job: MakePaymentCall, ctx: Context) -> JobResult {
    Ok(payments::make_call(ctx.store(), ctx.request_id().map(ToOwned::to_owned), job.call_id).await?)
}

pub(crate) async fn sync_payment(job: SyncPayment, ctx: Context) -> JobResult {
    Ok(payments::sync(ctx.store(), ctx.request_id().map(ToOwned::to_owned), &job.object_id).await?)
}

pub(crate) async fn authorize_payment(job: AuthorizePayment, ctx: Context) -> JobResult {
    let mut tx = ctx.begin().await?;
    let due = payments::authorize(&mut tx, job.payment_id).await?;
    end_or_come_again(tx, due).await
}

/// Where there is no provider nobody is known to it.
pub(crate) async fn forget_payer(job: ForgetPayer, ctx: Context) -> JobResult {
    if ctx.store().settings().stripe_secret_key.is_none() {
        return Ok(());
    }
    let again = payments::forget_payer(ctx.store(), job.user_id).await?;
    let now = ctx.store().clock().now();
    again.map_or(Ok(()), |at| Err(JobError::Snooze((at - now).to_std().unwrap_or_default())))
}

pub(crate) async fn watch_holds(_: WatchHolds, ctx: Context) -> JobResult {
    Ok(payments::watch_holds(ctx.store()).await?)
}

pub(crate) async fn pay_hosts(_: PayHosts, ctx: Context) -> JobResult {
    Ok(payments::pay_hosts(ctx.store()).await?)
}

/// Where there is no provider there is nothing to compare with.
pub(crate) async fn reconcile_payments(_: ReconcilePayments, ctx: Context) -> JobResult {
    if ctx.store().settings().stripe_secret_key.is_none() {
        return Ok(());
    }
    Ok(payments::reconcile(ctx.store()).await?)
}
