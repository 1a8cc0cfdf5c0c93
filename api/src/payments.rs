//! `/api/payments`: paying for sessions, giving, and what the payment provider tells us.

use axum::{
    Json,
    extract::{DefaultBodyLimit, Extension, Request, State},
    http::{HeaderName, StatusCode},
};
use humanchat_domain::{
    error::Error,
    id::{PaymentId, UserId},
    payments::{
        self, DonationTotals, NewDonation, NewRefund, Onboarding, Opened, Payment, PayoutAccount, Receipt,
        ServiceAction, ServicePayment,
    },
    text::Lookup,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        body,
        caller::Caller,
        command::{Answer, Command, Empty, SecondStep, Steps},
        error::ApiError,
        layers::RequestId,
        params::{Params, PathId},
    },
};

/// How many bytes a webhook's body may have.
const MAX_WEBHOOK: usize = 1024 * 1024;
const SIGNATURE: HeaderName = HeaderName::from_static("stripe-signature");

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(donate))
        .routes(routes!(pay_session))
        .routes(routes!(refund))
        .routes(routes!(account, onboard))
        .routes(routes!(find))
        .routes(routes!(receipt))
        .routes(routes!(donation_totals))
        .merge(OpenApiRouter::new().routes(routes!(webhook)).layer(DefaultBodyLimit::max(MAX_WEBHOOK)))
}

/// A payment.
#[derive(Serialize, ToSchema)]
struct PaymentBody {
    /// As it is now.
    payment: Payment,
}

/// A receipt.
#[derive(Serialize, ToSchema)]
struct ReceiptBody {
    /// As it is now.
    receipt: Receipt,
}

/// An account that hosts are paid to.
#[derive(Serialize, ToSchema)]
struct AccountBody {
    /// As it is now.
    account: PayoutAccount,
}

/// Give to the platform, or to a person and their cause.
///
/// `checkoutUrl` is the page where it is paid. 504 says that the payment provider has not answered: the same
/// `Idempotency-Key` again gets the answer.
#[utoipa::path(post, operation_id = "donate", path = "/api/payments/donation", tag = "Payments", request_body = NewDonation,
    responses((status = 201, body = Opened), (status = 404, description = "`resource_not_found`: no such session or user"),
        (status = 502, description = "`upstream_failed`"), (status = 504, description = "`upstream_timeout`")))]
async fn donate(State(app): State<App>, command: Command<NewDonation>) -> Answer {
    let (steps, caller, new) = command.begin_steps(&app).await?;
    let second = match steps {
        Steps::Second(second) => second,
        Steps::First(mut work) => {
            let made = payments::donate(&mut work.tx, caller.user_id, &new).await;
            work.halve(made.map(|id| id.0)).await?
        }
    };
    present(second).await
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct TotalsParams {
    /// Only what was given to this user's cause; absent: all donations, those to the platform too.
    #[param(value_type = Option<UserId>)]
    recipient_user_id: Option<Lookup<UserId>>,
}

/// What was donated, to a person's cause or in all: what was taken of donations less what was given back, ever since.
#[utoipa::path(get, operation_id = "donation_totals", path = "/api/payments/donation/total", tag = "Payments",
    params(TotalsParams),
    responses((status = 200, body = DonationTotals), (status = 404, description = "`resource_not_found`: no such user")))]
async fn donation_totals(
    State(app): State<App>,
    _: Caller,
    Params(params): Params<TotalsParams>,
) -> Result<Json<DonationTotals>, ApiError> {
    Ok(Json(payments::donation_totals(&app.store, params.recipient_user_id).await?))
}

/// Pay for a session: the guest creates a payment and authorises a card for it with `clientSecret`;
/// after the session the host captures, which happens by itself too, or cancels.
///
/// Create answers 201 with `clientSecret`; a session's one payment is found again. Capture and cancel answer 202: a job does
/// it. 504 says that the payment provider has not answered: ask again.
#[utoipa::path(post, operation_id = "pay_session", path = "/api/payments/session", tag = "Payments", request_body = ServicePayment,
    responses((status = 201, body = Opened), (status = 202, body = PaymentBody),
        (status = 403, description = "`forbidden`: the guest creates, the host captures and cancels"),
        (status = 404, description = "`resource_not_found`: no such session"),
        (status = 409, description = "`invalid_transition`, `payment_required`: nothing is authorised"),
        (status = 502, description = "`upstream_failed`"), (status = 504, description = "`upstream_timeout`")))]
async fn pay_session(State(app): State<App>, command: Command<ServicePayment>) -> Answer {
    let (steps, caller, asked) = command.begin_steps(&app).await?;
    let mut work = match steps {
        Steps::Second(second) => return present(second).await,
        Steps::First(work) => work,
    };
    let session = match asked.session_id.get("session") {
        Ok(session) => session,
        Err(refusal) => return work.finish(Err::<(StatusCode, PaymentBody), _>(refusal.into())).await,
    };
    let payment = match asked.action {
        ServiceAction::Create => {
            let made = payments::open(&mut work.tx, caller.user_id, session).await;
            let second = work.halve(made.map(|id| id.0)).await?;
            return present(second).await;
        }
        ServiceAction::Capture => payments::capture(&mut work.tx, caller.user_id, session).await,
        ServiceAction::Cancel => payments::cancel(&mut work.tx, caller.user_id, session).await,
    };
    work.finish(payment.map(|payment| (StatusCode::ACCEPTED, PaymentBody { payment }))).await
}

/// Has the provider make what can be paid.
async fn present(second: SecondStep) -> Answer {
    second
        .finish(async |store, request_id, id| {
            let opened = payments::present(&store, request_id, PaymentId(id)).await?;
            Ok::<_, Error>((StatusCode::CREATED, opened))
        })
        .await
}

/// Give money back: a job does it.
#[utoipa::path(post, operation_id = "refund_payment", path = "/api/payments/{id}/refund", tag = "Payments",
    params(("id" = PaymentId, Path)), request_body = NewRefund,
    responses((status = 202, body = PaymentBody), (status = 403, description = "`forbidden`: only who was paid, or an admin"),
        (status = 409, description = "`invalid_transition`")))]
async fn refund(State(app): State<App>, PathId(id): PathId<PaymentId>, command: Command<NewRefund>) -> Answer {
    let (mut work, caller, new) = command.begin(&app).await?;
    let payment = payments::refund(&mut work.tx, caller.user_id, caller.role, id, &new).await;
    work.finish(payment.map(|payment| (StatusCode::ACCEPTED, PaymentBody { payment }))).await
}

/// How the caller's account stands that what they earn is passed on to.
#[utoipa::path(get, operation_id = "payout_account", path = "/api/payments/account", tag = "Payments",
    responses((status = 200, body = AccountBody), (status = 502, description = "`upstream_failed`"),
        (status = 504, description = "`upstream_timeout`: ask again")))]
async fn account(State(app): State<App>, caller: Caller) -> Result<Json<AccountBody>, ApiError> {
    Ok(Json(AccountBody { account: payments::account(&app.store, caller.user_id).await? }))
}

/// Be paid: makes the caller an account at the payment provider, once, and gives the page where the provider asks
/// its questions, each time anew.
///
/// What hosts earn is passed on to it some days after it was taken; whoever has no account yet is paid once they have.
/// Charity sessions and donations are not passed on to hosts.
#[utoipa::path(post, operation_id = "open_payout_account", path = "/api/payments/account", tag = "Payments",
    responses((status = 200, body = Onboarding), (status = 502, description = "`upstream_failed`"),
        (status = 504, description = "`upstream_timeout`: ask again")))]
async fn onboard(State(app): State<App>, command: Command<Empty>) -> Result<Json<Onboarding>, ApiError> {
    Ok(Json(payments::onboard(&app.store, command.caller.user_id).await?))
}

/// One payment, for its payer, its payee and staff.
#[utoipa::path(get, operation_id = "find_payment", path = "/api/payments/{id}", tag = "Payments",
    params(("id" = PaymentId, Path)), responses((status = 200, body = PaymentBody)))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<PaymentId>,
) -> Result<Json<PaymentBody>, ApiError> {
    let payment = payments::find(&app.store, caller.user_id, caller.role, id).await?;
    Ok(Json(PaymentBody { payment }))
}

/// The receipt of a payment that was taken.
#[utoipa::path(get, operation_id = "payment_receipt", path = "/api/payments/{id}/receipt", tag = "Payments",
    params(("id" = PaymentId, Path)),
    responses((status = 200, body = ReceiptBody), (status = 409, description = "`invalid_transition`: nothing was paid yet")))]
async fn receipt(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<PaymentId>,
) -> Result<Json<ReceiptBody>, ApiError> {
    let receipt = payments::receipt(&app.store, caller.user_id, caller.role, id).await?;
    Ok(Json(ReceiptBody { receipt }))
}

/// What the payment provider tells: signed over the raw bytes, stored by event id, done by a job.
#[utoipa::path(post, operation_id = "payment_webhook", path = "/api/payments/webhook", tag = "Webhooks", security(()),
    params(("Stripe-Signature" = String, Header, description = "`t=…,v1=…`")),
    request_body(content = Object, description = "An event of Stripe's"),
    responses((status = 200, body = Received), (status = 400, description = "`malformed_request`: not signed by one of our secrets"),
        (status = 413, description = "`payload_too_large`: over 1 MiB")))]
async fn webhook(
    State(app): State<App>,
    request_id: Option<Extension<RequestId>>,
    request: Request,
) -> Result<Json<Received>, ApiError> {
    let signature = request.headers().get(SIGNATURE).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned);
    let bytes = body::read_up_to(request, &app, MAX_WEBHOOK).await?;
    let request_id = request_id.map(|Extension(id)| id.0);
    payments::receive(&app.store, request_id, signature.as_deref().unwrap_or_default(), &bytes).await?;
    Ok(Json(Received { received: true }))
}

/// That an event is stored.
#[derive(Serialize, ToSchema)]
struct Received {
    /// Always true.
    received: bool,
}
