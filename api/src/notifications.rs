//! `/api/notifications`: what concerns the caller, and what of it they want by mail.

use axum::{Json, extract::State, http::StatusCode};
use humanchat_domain::notifications::{self, Counts, Marked, Notification, Preferences};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        caller::Caller,
        command::{Answer, Command},
        error::ApiError,
        params::{Paging, Params},
    },
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(mark_read)).routes(routes!(preferences, set_preferences))
}

/// A page of notifications, and what waits.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NotificationsBody {
    /// How much waits for the caller.
    digest: Counts,
    /// Newest first.
    notifications: Vec<Notification>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// What still waits.
#[derive(Serialize, ToSchema)]
struct DigestBody {
    /// How much waits for the caller.
    digest: Counts,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// `true`: only unread ones.
    unread: Option<bool>,
}

/// The caller's notifications, and how much waits for them.
///
/// Sockets hear of each in `notification.created` (`announcement` for announcements), and of each that isn't unread any more in
/// `notification.read`: a badge that begins with `digest.unread` and follows these is exact.
#[utoipa::path(get, operation_id = "list_notifications", path = "/api/notifications", tag = "Notifications",
    params(ListParams, Paging), responses((status = 200, body = NotificationsBody)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<ListParams>,
    Params(paging): Params<Paging>,
) -> Result<Json<NotificationsBody>, ApiError> {
    let unread = params.unread.unwrap_or_default();
    let (digest, page) = notifications::list(&app.store, caller.user_id, unread, paging.window()).await?;
    Ok(Json(NotificationsBody { digest, notifications: page.items, next_cursor: page.next }))
}

/// Mark notifications as read. Announcements are dismissed by this.
#[utoipa::path(post, operation_id = "read_notifications", path = "/api/notifications/read", tag = "Notifications",
    request_body = Marked, responses((status = 200, body = DigestBody)))]
async fn mark_read(State(app): State<App>, command: Command<Marked>) -> Answer {
    let (mut work, caller, marked) = command.begin(&app).await?;
    let counts = notifications::mark_read(&mut work.tx, caller.user_id, &marked).await;
    work.finish(counts.map(|digest| (StatusCode::OK, DigestBody { digest }))).await
}

/// What the caller wants by mail.
#[utoipa::path(get, operation_id = "get_notification_preferences", path = "/api/notifications/preferences",
    tag = "Notifications", responses((status = 200, body = Preferences)))]
async fn preferences(State(app): State<App>, caller: Caller) -> Result<Json<Preferences>, ApiError> {
    Ok(Json(notifications::preferences(&app.store, caller.user_id).await?))
}

/// Replace what the caller wants by mail.
#[utoipa::path(put, operation_id = "set_notification_preferences", path = "/api/notifications/preferences",
    tag = "Notifications", request_body = Preferences, responses((status = 200, body = Preferences)))]
async fn set_preferences(State(app): State<App>, command: Command<Preferences>) -> Answer {
    let (mut work, caller, preferences) = command.begin(&app).await?;
    let preferences = notifications::set_preferences(&mut work.tx, caller.user_id, preferences).await;
    work.finish(preferences.map(|preferences| (StatusCode::OK, preferences))).await
}
