//! `/api/auth/*`: signing up, signing in, staying signed in.

use axum::{Json, extract::State, http::StatusCode};
use humanchat_domain::{
    auth::{self, AskMagicLink, Auth, Credentials, Refresh, Registration, Ticket, UseMagicLink},
    users::{self, OwnUser},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        body::{Body, ReturningBody},
        caller::Caller,
        command::{Command, Empty},
        error::ApiError,
        layers::RequestId,
    },
};

type Reply<T> = Result<(StatusCode, Json<T>), ApiError>;
type Id = axum::Extension<RequestId>;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(ask_magic_link))
        .routes(routes!(use_magic_link))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(me))
        .routes(routes!(ticket))
}

/// Make an account and sign in.
#[utoipa::path(post, path = "/api/auth/register", tag = "Authentication", security(()), request_body = Registration,
    responses((status = 201, body = Auth), (status = 409, description = "`email_taken`")))]
async fn register(State(app): State<App>, id: Id, Body(registration): Body<Registration>) -> Reply<Auth> {
    let auth = auth::register(&app.store, Some(id.0.0), registration).await?;
    Ok((StatusCode::CREATED, Json(auth)))
}

/// Sign in with a password.
#[utoipa::path(post, path = "/api/auth/login", tag = "Authentication", security(()), request_body = Credentials,
    responses((status = 200, body = Auth), (status = 401, description = "`invalid_credentials`, whether or not the address is known")))]
async fn login(State(app): State<App>, id: Id, Body(credentials): Body<Credentials>) -> Reply<Auth> {
    let auth = auth::login(&app.store, Some(id.0.0), credentials).await?;
    Ok((StatusCode::OK, Json(auth)))
}

/// What became of a sign-in link.
#[derive(Serialize, ToSchema)]
struct LinkSent {
    /// Always `sent`, whether or not the address is known.
    #[schema(example = "sent")]
    status: &'static str,
}

/// Have a sign-in link mailed.
///
/// The newest is good for 15 minutes. An address gets at most five in that time; the fifth then stays good.
#[utoipa::path(post, path = "/api/auth/magic-link", tag = "Authentication", security(()), request_body = AskMagicLink,
    responses((status = 202, body = LinkSent)))]
async fn ask_magic_link(State(app): State<App>, id: Id, Body(ask): Body<AskMagicLink>) -> Reply<LinkSent> {
    let mut tx = app.store.begin(Some(id.0.0)).await?;
    auth::ask_magic_link(&mut tx, &ask).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(LinkSent { status: "sent" })))
}

/// Sign in with a mailed link, once, within 15 minutes. Only the newest link of an address works.
/// The first proof of an address voids a password and logins from before it.
#[utoipa::path(post, path = "/api/auth/magic-link/verify", tag = "Authentication", security(()), request_body = UseMagicLink,
    responses((status = 200, body = Auth), (status = 401, description = "`invalid_credentials`: the account is suspended"),
        (status = 410, description = "`link_expired`: used, replaced, too old or never issued")))]
async fn use_magic_link(State(app): State<App>, id: Id, Body(link): Body<UseMagicLink>) -> Reply<Auth> {
    let auth = auth::use_magic_link(&app.store, Some(id.0.0), link).await?;
    Ok((StatusCode::OK, Json(auth)))
}

/// Trade a refresh token for new tokens. Using one a second time ends the login.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "Authentication", security(()), request_body = Refresh,
    responses((status = 200, body = Auth), (status = 401, description = "`unauthenticated`: sign in again")))]
async fn refresh(State(app): State<App>, id: Id, ReturningBody(refresh): ReturningBody<Refresh>) -> Reply<Auth> {
    let mut tx = app.store.begin(Some(id.0.0)).await?;
    let auth = auth::refresh(&mut tx, refresh).await?;
    tx.commit().await?;
    Ok((StatusCode::OK, Json(auth.ok_or_else(ApiError::unauthenticated)?)))
}

/// End this login: its tokens and sockets end within five seconds.
#[utoipa::path(post, path = "/api/auth/logout", tag = "Authentication", responses((status = 204)))]
async fn logout(State(app): State<App>, command: Command<Empty>) -> Result<StatusCode, ApiError> {
    let login_id = command.caller.login_id;
    let mut tx = app.store.begin(None).await?;
    auth::logout(&mut tx, login_id).await?;
    tx.commit().await?;
    app.authorities.forget(login_id);
    Ok(StatusCode::NO_CONTENT)
}

/// The signed-in user.
#[derive(Serialize, ToSchema)]
pub(crate) struct OwnUserBody {
    /// With private fields.
    pub user: OwnUser,
}

/// Who am I?
#[utoipa::path(get, path = "/api/auth/me", tag = "Authentication", responses((status = 200, body = OwnUserBody)))]
async fn me(State(app): State<App>, caller: Caller) -> Result<Json<OwnUserBody>, ApiError> {
    Ok(Json(OwnUserBody { user: users::me(&app.store, caller.user_id).await? }))
}

/// A single-use key for opening a socket within a minute, for clients that don't want their token
/// in a URL.
#[utoipa::path(post, operation_id = "issue_socket_ticket", path = "/api/ws/ticket", tag = "Sockets",
    responses((status = 201, body = Ticket)))]
async fn ticket(State(app): State<App>, command: Command<Empty>) -> Reply<Ticket> {
    // Not kept for an Idempotency-Key: secrets are stored as hashes only.
    let mut tx = app.store.begin(None).await?;
    let ticket = auth::issue_ticket(&mut tx, command.caller.user_id, command.caller.login_id).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(ticket)))
}
