//! `/api/admin/metrics` and `/api/admin/audit`: how things are, and who did what.

use axum::{Json, extract::State};
use humanchat_domain::{
    admin::metrics::{self, Metrics},
    audit::{self, AuditEntry, AuditQuery},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
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
    OpenApiRouter::new().routes(routes!(show_metrics)).routes(routes!(list_audit))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct MetricsParams {
    /// How many days the sparkline has, 1–90.
    #[serde(default = "ten")]
    #[param(minimum = 1, maximum = 90, default = 10)]
    days: u32,
}

fn ten() -> u32 {
    10
}

/// How the place is doing. All numbers are of one and the same moment; days are UTC's.
#[utoipa::path(get, operation_id = "show_metrics", path = "/api/admin/metrics", tag = "Staff", params(MetricsParams),
    responses((status = 200, body = Metrics), (status = 403, description = "`forbidden`: not staff")))]
async fn show_metrics(
    State(app): State<App>,
    _: Staff,
    Params(params): Params<MetricsParams>,
) -> Result<Json<Metrics>, ApiError> {
    if !(1..=90).contains(&params.days) {
        return Err(ApiError::malformed("days must be 1 to 90"));
    }
    Ok(Json(metrics::metrics(&app.store, params.days).await?))
}

/// A page of the audit log.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuditBody {
    /// Newest first.
    entries: Vec<AuditEntry>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// What staff changed.
#[utoipa::path(get, operation_id = "list_audit", path = "/api/admin/audit", tag = "Staff", params(AuditQuery, Paging),
    responses((status = 200, body = AuditBody), (status = 403, description = "`forbidden`: not staff")))]
async fn list_audit(
    State(app): State<App>,
    Staff(caller): Staff,
    Params(query): Params<AuditQuery>,
    Params(paging): Params<Paging>,
) -> Result<Json<AuditBody>, ApiError> {
    let page = audit::list(&app.store, caller.user_id, &query, paging.window()).await?;
    Ok(Json(AuditBody { entries: page.items, next_cursor: page.next }))
}
