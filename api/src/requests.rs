//! `/api/requests`: asking somebody to talk.

use axum::{Json, extract::State, http::StatusCode};
use humanchat_domain::{
    id::RequestId,
    requests::{self, Decided, Decision, NewRequest, Request, RequestRole},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        caller::Caller,
        command::{Answer, Command, created_or_ok},
        error::ApiError,
        params::{Paging, Params, PathId},
    },
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(ask, list)).routes(routes!(decide))
}

/// A request.
#[derive(Serialize, ToSchema)]
struct RequestBody {
    /// As it is now.
    request: Request,
}

/// A page of requests.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RequestsBody {
    /// Those that wait first, then those decided in the last 30 days; each newest first.
    requests: Vec<Request>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// `target` (default): sent to the caller. `requester`: sent by the caller.
    #[param(inline)]
    role: Option<RequestRole>,
}

/// Ask somebody who is online to talk.
///
/// A request of the caller's that waits for them already is returned again, with 200.
#[utoipa::path(post, operation_id = "send_request", path = "/api/requests", tag = "Requests", request_body = NewRequest,
    responses((status = 201, body = RequestBody), (status = 200, description = "One was waiting", body = RequestBody),
        (status = 404, description = "`resource_not_found`: no such user"), (status = 409, description = "`host_offline`, `host_busy`")))]
async fn ask(State(app): State<App>, command: Command<NewRequest>) -> Answer {
    let (mut work, caller, new) = command.begin(&app).await?;
    let asked = requests::ask(&mut work.tx, caller.user_id, new).await;
    work.finish(asked.map(|(request, created)| (created_or_ok(created), RequestBody { request }))).await
}

/// The caller's inbox of requests, or what they sent.
#[utoipa::path(get, operation_id = "list_requests", path = "/api/requests", tag = "Requests", params(ListParams, Paging),
    responses((status = 200, body = RequestsBody)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<ListParams>,
    Params(paging): Params<Paging>,
) -> Result<Json<RequestsBody>, ApiError> {
    let role = params.role.unwrap_or(RequestRole::Target);
    let page = requests::list(&app.store, caller.user_id, role, paging.window()).await?;
    Ok(Json(RequestsBody { requests: page.items, next_cursor: page.next }))
}

/// Answer a request, once. An approval comes with the pair's conversation. The same answer again
/// gets the same reply.
#[utoipa::path(patch, operation_id = "decide_request", path = "/api/requests/{id}/status", tag = "Requests",
    params(("id" = RequestId, Path)), request_body = Decision,
    responses((status = 200, body = Decided),
        (status = 403, description = "`forbidden`: only the person who was asked, who answers for them, or an admin"),
        (status = 409, description = "`request_resolved`")))]
async fn decide(State(app): State<App>, PathId(id): PathId<RequestId>, command: Command<Decision>) -> Answer {
    let (mut work, caller, decision) = command.begin(&app).await?;
    let decided = requests::decide(&mut work.tx, caller.user_id, caller.role, id, &decision).await;
    work.finish(decided.map(|decided| (StatusCode::OK, decided))).await
}
