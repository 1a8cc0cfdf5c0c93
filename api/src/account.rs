//! `/api/users/me`: taking everything along, and leaving.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use humanchat_domain::{erasure, export};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        caller::Caller,
        command::{Command, Empty},
        error::ApiError,
    },
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(export_all)).routes(routes!(erase))
}

/// Everything of the caller's, as one JSON document.
///
/// `exportedAt`, `user`, `availability`, `logins`, `requestedPeople`, `requestedSkills`, `samRuns` (with their `actions`), `sessions`,
/// `requests`, `invites`, `notificationPreferences`, `notifications`, `payments`, `presences` (of the last two days), `attendance`,
/// `staffDeeds`, and `conversations`, each with its `messages`; everything newest first. It is sent while it is read, so it may be
/// large.
#[utoipa::path(get, operation_id = "export_account", path = "/api/users/me/export", tag = "Users",
    responses((status = 200, body = Object, content_type = "application/json")))]
async fn export_all(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    let parts = export::export(&app.store, caller.user_id).await?;
    let parts = stream::unfold(parts, async |mut parts| Some((parts.recv().await?, parts)));
    let body = Body::from_stream(parts.map(|part| {
        part.map(Bytes::from).inspect_err(|error| {
            tracing::error!(error = error as &dyn std::error::Error, "an export could not be read to its end");
        })
    }));
    let attached = HeaderValue::from_static("attachment; filename=\"humanchat.json\"");
    let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json")), (CONTENT_DISPOSITION, attached)];
    Ok((headers, body).into_response())
}

/// Close the caller's account, for good.
///
/// Tokens and sockets end within five seconds, and what is pending is called off: paid sessions as if the caller had cancelled
/// them. What others still need stays, of a "Deleted user". The address can be registered again.
#[utoipa::path(delete, operation_id = "erase_account", path = "/api/users/me", tag = "Users",
    responses((status = 204), (status = 409, description = "`last_admin`")))]
async fn erase(State(app): State<App>, command: Command<Empty>) -> Result<StatusCode, ApiError> {
    let caller = command.caller;
    let mut tx = app.store.begin(command.request_id).await?;
    erasure::erase(&mut tx, caller.user_id).await?;
    tx.commit().await?;
    app.authorities.forget(caller.login_id);
    Ok(StatusCode::NO_CONTENT)
}
