//! `/api/admin/payments`: everybody's payments, and where our books and the provider's differ.

use axum::{Json, extract::State};
use humanchat_domain::payments::{self, Difference, Payment, PaymentSearch};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        error::ApiError,
        params::{Paging, Params},
        staff::Staff,
    },
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_all_payments)).routes(routes!(differences))
}

/// A page of everybody's payments.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AllPaymentsBody {
    /// The newest first.
    payments: Vec<Payment>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// What differs.
#[derive(Serialize, ToSchema)]
struct DifferencesBody {
    /// The newest first.
    differences: Vec<Difference>,
}

/// Everybody's payments.
#[utoipa::path(get, operation_id = "list_all_payments", path = "/api/admin/payments", tag = "Staff",
    params(PaymentSearch, Paging),
    responses((status = 200, body = AllPaymentsBody), (status = 403, description = "`forbidden`: not staff")))]
async fn list_all_payments(
    State(app): State<App>,
    Staff(caller): Staff,
    Params(search): Params<PaymentSearch>,
    Params(paging): Params<Paging>,
) -> Result<Json<AllPaymentsBody>, ApiError> {
    let page = payments::list_all(&app.store, caller.user_id, &search, paging.window()).await?;
    Ok(Json(AllPaymentsBody { payments: page.items, next_cursor: page.next }))
}

/// Where our books and the payment provider's differ.
#[utoipa::path(get, operation_id = "payment_differences", path = "/api/admin/payments/differences", tag = "Staff",
    responses((status = 200, body = DifferencesBody), (status = 403, description = "`forbidden`: not staff")))]
async fn differences(State(app): State<App>, _: Staff) -> Result<Json<DifferencesBody>, ApiError> {
    Ok(Json(DifferencesBody { differences: payments::open_differences(&app.store).await? }))
}
