//! Handlers that speak with the payment provider.

use humanchat_domain::payments;
use humanchat_jobs::payments::{MakePaymentCall, ReconcilePayments, SyncPayment};

use crate::job::{Context, JobResult};

pub(crate) async fn make_payment_call(job: MakePaymentCall, ctx: Context) -> JobResult {
    Ok(payments::make_call(ctx.store(), ctx.request_id().map(ToOwned::to_owned), job.call_id).await?)
}

pub(crate) async fn sync_payment(job: SyncPayment, ctx: Context) -> JobResult {
    Ok(payments::sync(ctx.store(), ctx.request_id().map(ToOwned::to_owned), &job.object_id).await?)
}

/// Where there is no provider there is nothing to compare with.
pub(crate) async fn reconcile_payments(_: ReconcilePayments, ctx: Context) -> JobResult {
    if ctx.store().settings().stripe_secret_key.is_none() {
        return Ok(());
    }
    Ok(payments::reconcile(ctx.store()).await?)
}
