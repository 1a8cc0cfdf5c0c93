//! `/api/admin/announcements`: what everybody, or a part of them, is told.

use axum::{Json, extract::State, http::StatusCode};
use humanchat_domain::announcements::{self, Announcement, NewAnnouncement};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        command::{Answer, Command},
        error::ApiError,
        params::{Paging, Params},
        staff::Staff,
    },
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(announce, list_announcements))
}

/// An announcement.
#[derive(Serialize, ToSchema)]
struct AnnouncementBody {
    /// With how far it is.
    announcement: Announcement,
}

/// A page of announcements.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AnnouncementsBody {
    /// Newest first.
    announcements: Vec<Announcement>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Announce something. People get it at `startsAt`, some thousand a second.
#[utoipa::path(post, operation_id = "announce", path = "/api/admin/announcements", tag = "Staff", request_body = NewAnnouncement,
    responses((status = 202, body = AnnouncementBody), (status = 403, description = "`forbidden`: not staff")))]
async fn announce(State(app): State<App>, Staff(caller): Staff, command: Command<NewAnnouncement>) -> Answer {
    let (mut work, _, new) = command.begin(&app).await?;
    let announcement = announcements::create(&mut work.tx, caller.user_id, &new).await;
    work.finish(announcement.map(|announcement| (StatusCode::ACCEPTED, AnnouncementBody { announcement }))).await
}

/// What was announced, and how far each is.
#[utoipa::path(get, operation_id = "list_announcements", path = "/api/admin/announcements", tag = "Staff", params(Paging),
    responses((status = 200, body = AnnouncementsBody), (status = 403, description = "`forbidden`: not staff")))]
async fn list_announcements(
    State(app): State<App>,
    Staff(caller): Staff,
    Params(paging): Params<Paging>,
) -> Result<Json<AnnouncementsBody>, ApiError> {
    let page = announcements::list(&app.store, caller.user_id, paging.window()).await?;
    Ok(Json(AnnouncementsBody { announcements: page.items, next_cursor: page.next }))
}
