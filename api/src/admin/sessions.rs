//! `/api/admin/sessions`: everybody's sessions.

use axum::{Json, extract::State};
use humanchat_domain::sessions::{self, Session, SessionSearch};
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
    OpenApiRouter::new().routes(routes!(list_all_sessions))
}

/// A page of everybody's sessions.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AllSessionsBody {
    /// Those agreed last first.
    sessions: Vec<Session>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Everybody's sessions.
#[utoipa::path(get, operation_id = "list_all_sessions", path = "/api/admin/sessions", tag = "Staff",
    params(SessionSearch, Paging),
    responses((status = 200, body = AllSessionsBody), (status = 403, description = "`forbidden`: not staff"),
        (status = 422, description = "`validation_failed` with `details.fields`")))]
async fn list_all_sessions(
    State(app): State<App>,
    Staff(caller): Staff,
    Params(search): Params<SessionSearch>,
    Params(paging): Params<Paging>,
) -> Result<Json<AllSessionsBody>, ApiError> {
    let page = sessions::list_all(&app.store, caller.user_id, &search, paging.window()).await?;
    Ok(Json(AllSessionsBody { sessions: page.items, next_cursor: page.next }))
}
