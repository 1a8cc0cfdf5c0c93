//! `/api/admin/users`, `/api/admin/requests`, `/api/admin/requested-people`: members, and whom they ask
//! for.

use axum::{Json, extract::State, http::StatusCode};
use humanchat_domain::{
    admin::{
        people::{self, MemberChange, PeopleQuery},
        requested_people::{self, RequestedPerson, RequestedPersonChange},
    },
    id::{RequestedPersonId, UserId},
    requests::Request,
    users::Member,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        command::{Answer, Command},
        error::ApiError,
        params::{Paging, Params, PathId},
        staff::Staff,
    },
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_members))
        .routes(routes!(change_member))
        .routes(routes!(list_requests))
        .routes(routes!(change_requested_person))
}

/// A page of members.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MembersBody {
    /// Newest first.
    users: Vec<Member>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A member.
#[derive(Serialize, ToSchema)]
struct MemberBody {
    /// With private fields.
    user: Member,
}

/// Look for members, suspended ones too.
#[utoipa::path(get, operation_id = "list_members", path = "/api/admin/users", tag = "Staff", params(PeopleQuery, Paging),
    responses((status = 200, body = MembersBody), (status = 403, description = "`forbidden`: not staff")))]
async fn list_members(
    State(app): State<App>,
    Staff(caller): Staff,
    Params(query): Params<PeopleQuery>,
    Params(paging): Params<Paging>,
) -> Result<Json<MembersBody>, ApiError> {
    if query.search.as_ref().is_some_and(|text| text.chars().count() > 200) {
        return Err(ApiError::malformed("search must have at most 200 characters"));
    }
    let page = people::list(&app.store, caller.user_id, &query, paging.window()).await?;
    Ok(Json(MembersBody { users: page.items, next_cursor: page.next }))
}

/// Decide about a member.
///
/// Managers decide about who isn't staff, and not about roles. Nobody changes their own role or suspends themselves, and there
/// is always an admin.
#[utoipa::path(patch, operation_id = "change_member", path = "/api/admin/users/{id}", tag = "Staff",
    params(("id" = UserId, Path)), request_body = MemberChange,
    responses((status = 200, body = MemberBody), (status = 403, description = "`forbidden`: not staff, or not for this one"),
        (status = 409, description = "`last_admin`")))]
async fn change_member(
    State(app): State<App>,
    Staff(caller): Staff,
    PathId(id): PathId<UserId>,
    command: Command<MemberChange>,
) -> Answer {
    let (mut work, _, change) = command.begin(&app).await?;
    let user = people::change(&mut work.tx, caller.user_id, id, &change).await;
    work.finish(user.map(|user| (StatusCode::OK, MemberBody { user }))).await
}

/// What waits for staff.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AskedBody {
    /// Requests to managed members that wait for an answer, newest first.
    requests: Vec<Request>,
    /// People who were asked for and aren't members, and skills that nobody has, those first asked for last first.
    requested_people: Vec<RequestedPerson>,
    /// Absent on the last page, which is the last of both lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Requests to managed members, and people and skills that members asked for in vain. One cursor goes through both
/// lists; `limit` is that of each.
#[utoipa::path(get, operation_id = "list_asked", path = "/api/admin/requests", tag = "Staff", params(Paging),
    responses((status = 200, body = AskedBody), (status = 403, description = "`forbidden`: not staff")))]
async fn list_requests(
    State(app): State<App>,
    Staff(caller): Staff,
    Params(paging): Params<Paging>,
) -> Result<Json<AskedBody>, ApiError> {
    let asked = requested_people::list(&app.store, caller.user_id, paging.window()).await?;
    Ok(Json(AskedBody { requests: asked.requests, requested_people: asked.people, next_cursor: asked.next }))
}

/// Somebody who was asked for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RequestedPersonBody {
    /// As it is now.
    requested_person: RequestedPerson,
}

/// Say how far staff are with somebody who was asked for.
#[utoipa::path(patch, operation_id = "change_requested_person", path = "/api/admin/requested-people/{id}", tag = "Staff",
    params(("id" = RequestedPersonId, Path)), request_body = RequestedPersonChange,
    responses((status = 200, body = RequestedPersonBody), (status = 403, description = "`forbidden`: not staff")))]
async fn change_requested_person(
    State(app): State<App>,
    Staff(caller): Staff,
    PathId(id): PathId<RequestedPersonId>,
    command: Command<RequestedPersonChange>,
) -> Answer {
    let (mut work, _, change) = command.begin(&app).await?;
    let person = requested_people::change(&mut work.tx, caller.user_id, id, &change).await;
    work.finish(person.map(|requested_person| (StatusCode::OK, RequestedPersonBody { requested_person }))).await
}
