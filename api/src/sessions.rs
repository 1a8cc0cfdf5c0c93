//! `/api/sessions`: talks, at once or booked.

use axum::{
    Json,
    extract::State,
    http::{
        StatusCode,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::IntoResponse,
};
use humanchat_domain::{
    id::SessionId,
    sessions::{self, Booked, Booking, Session, SessionChange, SessionQuery},
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
    OpenApiRouter::new().routes(routes!(list, book)).routes(routes!(find, change)).routes(routes!(calendar))
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

/// Book a slot that the host offers.
///
/// What costs nothing is agreed at once. A slot that has to be paid for is held, `pending`, until
/// `hold_expires_at`; the payment makes it sure. Send an `Idempotency-Key` to be able to repeat the request.
#[utoipa::path(post, operation_id = "book_session", path = "/api/sessions", tag = "Sessions", request_body = Booking,
    responses((status = 201, body = Booked), (status = 404, description = "`resource_not_found`: there is no such host"),
        (status = 409, description = "`slot_unavailable`: not offered, or taken meanwhile; `price_changed`, with the right `price` and `currency` in `details`; `request_required`; `payment_required`: the caller holds many slots without having paid for them"),
        (status = 422, description = "`validation_failed` with `details.fields`")))]
async fn book(State(app): State<App>, command: Command<Booking>) -> Answer {
    let (mut work, caller, booking) = command.begin(&app).await?;
    let booked = sessions::book(&mut work.tx, caller.user_id, &booking).await;
    work.finish(booked.map(|booked| (StatusCode::CREATED, booked))).await
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

/// The session as a calendar file.
#[utoipa::path(get, operation_id = "session_calendar", path = "/api/sessions/{id}/calendar.ics", tag = "Sessions",
    params(("id" = SessionId, Path)),
    responses((status = 200, description = "RFC 5545", body = String, content_type = "text/calendar")))]
async fn calendar(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<SessionId>,
) -> Result<impl IntoResponse, ApiError> {
    let file = sessions::calendar_file(&app.store, caller.user_id, id).await?;
    let headers =
        [(CONTENT_TYPE, "text/calendar; charset=utf-8"), (CONTENT_DISPOSITION, "attachment; filename=\"session.ics\"")];
    Ok((headers, file))
}

/// Take a step, or move it.
///
/// `in_progress` and `complete` are the host's. A booked session can be begun from 15 minutes before its start, and earlier
/// where the guest has written in the conversation within 15 minutes; at the latest 15 minutes after its start, and not after
/// its end. One at once can be begun for as long as an invite waits. `cancelled` is for either side, and what a guest then owes
/// follows from the `cancellation_policy`: nothing once the start has passed and the host has not come. With `startTime` a booked session moves to another slot that the host offers; both are told. A guest can
/// move it as long as calling it off would cost nothing; once the host has moved it, the guest can call it off at no cost up to
/// the start.
#[utoipa::path(patch, operation_id = "change_session", path = "/api/sessions/{id}", tag = "Sessions",
    params(("id" = SessionId, Path)), request_body = SessionChange,
    responses((status = 200, body = SessionBody), (status = 403, description = "`forbidden`: only the host"),
        (status = 409, description = "`invalid_transition`; `payment_required`, `host_busy`, `requester_busy` where it is begun; `slot_unavailable` where it is moved")))]
async fn change(State(app): State<App>, PathId(id): PathId<SessionId>, command: Command<SessionChange>) -> Answer {
    let (mut work, caller, change) = command.begin(&app).await?;
    let session = sessions::change(&mut work.tx, caller.user_id, id, &change).await;
    work.finish(session.map(|session| (StatusCode::OK, SessionBody { session }))).await
}
