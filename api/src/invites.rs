//! `/api/conversations/connect` and `/api/conversations/invites`: talking at once.

use axum::{Json, extract::State, http::StatusCode};
use humanchat_domain::{
    id::InviteId,
    invites::{self, Accepted, Connect, Connected, Conversion, Converted, Invite},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        caller::Caller,
        command::{Answer, Command, Empty, created_or_ok},
        error::ApiError,
        params::PathId,
    },
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(connect))
        .routes(routes!(pending))
        .routes(routes!(accept))
        .routes(routes!(decline))
        .routes(routes!(cancel))
        .routes(routes!(convert))
}

/// An invite.
#[derive(Serialize, ToSchema)]
struct InviteBody {
    /// As it is now.
    invite: Invite,
}

/// Invites.
#[derive(Serialize, ToSchema)]
struct InvitesBody {
    /// Newest first, at most 100.
    invites: Vec<Invite>,
}

/// Ask somebody to talk now.
///
/// A live invite or session of the pair is returned again, with 200.
#[utoipa::path(post, path = "/api/conversations/connect", tag = "Invites", request_body = Connect,
    responses((status = 201, body = Connected), (status = 200, description = "The pair had a live one", body = Connected),
        (status = 404, description = "`resource_not_found`: no such user"),
        (status = 409, description = "`host_busy`, `requester_busy`, `request_required`"),
        (status = 503, description = "`service_unavailable`: a paid or charity host, where payments are not set up")))]
async fn connect(State(app): State<App>, command: Command<Connect>) -> Answer {
    let (mut work, caller, connect) = command.begin(&app).await?;
    let connected = invites::connect(&mut work.tx, caller.user_id, &connect).await;
    work.finish(connected.map(|(connected, created)| (created_or_ok(created), connected))).await
}

/// The invites that wait for the caller, or that the caller waits for.
#[utoipa::path(get, operation_id = "list_pending_invites", path = "/api/conversations/invites/pending", tag = "Invites",
    responses((status = 200, body = InvitesBody)))]
async fn pending(State(app): State<App>, caller: Caller) -> Result<Json<InvitesBody>, ApiError> {
    Ok(Json(InvitesBody { invites: invites::pending(&app.store, caller.user_id).await? }))
}

/// Take an invite: a session begins. The host's own repeat gets the same answer.
#[utoipa::path(post, operation_id = "accept_invite", path = "/api/conversations/invites/{id}/accept", tag = "Invites",
    params(("id" = InviteId, Path)),
    responses((status = 200, body = Accepted), (status = 403, description = "`forbidden`: only the host"),
        (status = 409, description = "`invite_resolved`, `host_busy`, `requester_busy`"), (status = 410, description = "`invite_expired`")))]
async fn accept(State(app): State<App>, PathId(id): PathId<InviteId>, command: Command<Empty>) -> Answer {
    let (mut work, caller, _) = command.begin(&app).await?;
    let accepted = invites::accept(&mut work.tx, caller.user_id, id).await;
    work.finish(accepted.map(|accepted| (StatusCode::OK, accepted))).await
}

/// Say no to an invite. The host's own repeat gets the same answer.
#[utoipa::path(post, operation_id = "decline_invite", path = "/api/conversations/invites/{id}/decline", tag = "Invites",
    params(("id" = InviteId, Path)),
    responses((status = 200, body = InviteBody), (status = 403, description = "`forbidden`: only the host"),
        (status = 409, description = "`invite_resolved`"), (status = 410, description = "`invite_expired`")))]
async fn decline(State(app): State<App>, PathId(id): PathId<InviteId>, command: Command<Empty>) -> Answer {
    let (mut work, caller, _) = command.begin(&app).await?;
    let invite = invites::decline(&mut work.tx, caller.user_id, id).await;
    work.finish(invite.map(|invite| (StatusCode::OK, InviteBody { invite }))).await
}

/// Take one's own invite back. The requester's own repeat gets the same answer.
#[utoipa::path(post, operation_id = "cancel_invite", path = "/api/conversations/invites/{id}/cancel", tag = "Invites",
    params(("id" = InviteId, Path)),
    responses((status = 200, body = InviteBody), (status = 403, description = "`forbidden`: only the requester"),
        (status = 409, description = "`invite_resolved`"), (status = 410, description = "`invite_expired`")))]
async fn cancel(State(app): State<App>, PathId(id): PathId<InviteId>, command: Command<Empty>) -> Answer {
    let (mut work, caller, _) = command.begin(&app).await?;
    let invite = invites::cancel(&mut work.tx, caller.user_id, id).await;
    work.finish(invite.map(|invite| (StatusCode::OK, InviteBody { invite }))).await
}

/// Make something of one's own invite that wasn't accepted: a request, which its host finds when they are back, or a
/// booking.
///
/// An invite that still waits is cancelled with it. An invite becomes something once: asking again finds what it became.
#[utoipa::path(post, operation_id = "convert_invite", path = "/api/conversations/invites/{id}/convert", tag = "Invites",
    params(("id" = InviteId, Path)), request_body = Conversion,
    responses((status = 201, body = Converted), (status = 200, description = "It was, or a request was waiting", body = Converted),
        (status = 403, description = "`forbidden`: only the requester"),
        (status = 409, description = "`invite_resolved`; for a booking `slot_unavailable`, `price_changed`, `request_required`, `payment_required`")))]
async fn convert(State(app): State<App>, PathId(id): PathId<InviteId>, command: Command<Conversion>) -> Answer {
    let (mut work, caller, conversion) = command.begin(&app).await?;
    let converted = invites::convert(&mut work.tx, caller.user_id, id, conversion).await;
    work.finish(converted.map(|(converted, created)| (created_or_ok(created), converted))).await
}
