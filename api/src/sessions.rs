//! `/api/sessions`: live talks.

use axum::{Json, extract::State, http::StatusCode};
use humanchat_domain::{
    id::SessionId,
    sessions::{self, Session, SessionChange, SessionQuery},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        caller::Caller,
        command::{Answer, Command},
        error::ApiError,
        params::{Paging, Params, PathId},
    },
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(find, change))
}

/// A session.
#[derive(Serialize, ToSchema)]
struct SessionBody {
    /// As it is now.
    session: Session,
}

/// A page of sessions.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SessionsBody {
    /// Those agreed last first.
    sessions: Vec<Session>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// The caller's sessions, as host and as guest.
#[utoipa::path(get, operation_id = "list_sessions", path = "/api/sessions", tag = "Sessions", params(SessionQuery, Paging),
    responses((status = 200, body = SessionsBody), (status = 422, description = "`validation_failed` with `details.fields`")))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<SessionQuery>,
    Params(paging): Params<Paging>,
) -> Result<Json<SessionsBody>, ApiError> {
    let page = sessions::list(&app.store, caller.user_id, &query, paging.window()).await?;
    Ok(Json(SessionsBody { sessions: page.items, next_cursor: page.next }))
}

/// One session of the caller's.
#[utoipa::path(get, operation_id = "find_session", path = "/api/sessions/{id}", tag = "Sessions",
    params(("id" = SessionId, Path)),
    responses((status = 200, body = SessionBody)))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
) -> Result<Json<SessionBody>, ApiError> {
    Ok(Json(SessionBody { session: sessions::find(&app.store, caller.user_id, id).await? }))
}

/// Take a step: the host completes a session that is in progress.
#[utoipa::path(patch, operation_id = "change_session", path = "/api/sessions/{id}", tag = "Sessions",
    params(("id" = SessionId, Path)), request_body = SessionChange,
    responses((status = 200, body = SessionBody), (status = 403, description = "`forbidden`: only the host"),
        (status = 409, description = "`invalid_transition`")))]
async fn change(State(app): State<App>, PathId(id): PathId<SessionId>, command: Command<SessionChange>) -> Answer {
    let (mut work, caller, change) = command.begin(&app).await?;
    let session = sessions::change(&mut work.tx, caller.user_id, id, &change).await;
    work.finish(session.map(|session| (StatusCode::OK, SessionBody { session }))).await
}
