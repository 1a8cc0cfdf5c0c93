//! `/api/users`: profiles, search, presence.

use axum::{Json, extract::State, http::StatusCode};
use humanchat_domain::{
    id::UserId,
    users::{self, ConversationType, PresenceChange, ProfileChange, Search, User},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    auth::OwnUserBody,
    edge::{
        caller::Caller,
        command::{Answer, Command},
        error::ApiError,
        params::{Paging, Params, PathId},
    },
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(search))
        .routes(routes!(find))
        .routes(routes!(change_profile))
        .routes(routes!(set_presence))
}

/// A user, as others see them.
#[derive(Serialize, ToSchema)]
struct UserBody {
    /// Without private fields.
    user: User,
}

/// A page of people.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UsersBody {
    /// Best match first, or newest first where nothing was searched for.
    users: Vec<User>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct SearchParams {
    /// Words in name, headline, skills or bio; the last may be a beginning. At most 200 characters. Of words that more than
    /// 5,000 people have, the best of the newest 5,000 are found.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Only who is online, or only who isn't.
    online: Option<bool>,
    /// Only hosts of this kind.
    conversation_type: Option<ConversationType>,
}

/// Look for people.
#[utoipa::path(get, operation_id = "search_users", path = "/api/users", tag = "Users",
    params(SearchParams, Paging), responses((status = 200, body = UsersBody)))]
async fn search(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<SearchParams>,
    Params(paging): Params<Paging>,
) -> Result<Json<UsersBody>, ApiError> {
    let words = params.q.as_deref().map(str::trim).filter(|words| !words.is_empty());
    let search = Search { words, online: params.online, conversation_type: params.conversation_type };
    let page = users::search(&app.store, caller.user_id, &search, paging.window()).await?;
    Ok(Json(UsersBody { users: page.items, next_cursor: page.next }))
}

/// One person.
#[utoipa::path(get, operation_id = "find_user", path = "/api/users/{id}", tag = "Users",
    params(("id" = UserId, Path)), responses((status = 200, body = UserBody)))]
async fn find(State(app): State<App>, _: Caller, PathId(id): PathId<UserId>) -> Result<Json<UserBody>, ApiError> {
    Ok(Json(UserBody { user: users::find(&app.store, id).await? }))
}

/// Change one's own profile.
#[utoipa::path(patch, path = "/api/users/me", tag = "Users", request_body = ProfileChange, responses((status = 200, body = OwnUserBody)))]
async fn change_profile(State(app): State<App>, command: Command<ProfileChange>) -> Answer {
    let (mut work, caller, change) = command.begin(&app).await?;
    let user = users::change_profile(&mut work.tx, caller.user_id, change).await;
    work.finish(user.map(|user| (StatusCode::OK, OwnUserBody { user }))).await
}

/// Say "I'm here" for 45 seconds, or hide.
#[utoipa::path(put, path = "/api/users/me/presence", tag = "Users", request_body = PresenceChange,
    responses((status = 200, body = OwnUserBody)))]
async fn set_presence(State(app): State<App>, command: Command<PresenceChange>) -> Answer {
    let (mut work, caller, change) = command.begin(&app).await?;
    let user = users::set_presence(&mut work.tx, caller.user_id, &change).await;
    work.finish(user.map(|user| (StatusCode::OK, OwnUserBody { user }))).await
}
