//! The socket doors: `/`, `/ws` and `/notifications/{userId}`.

use axum::{
    Json,
    extract::{FromRequestParts, State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    http::{
        HeaderMap,
        header::{HOST, ORIGIN, UPGRADE},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use humanchat_domain::{
    auth::{self, AccessToken, IssuedTicket},
    event::Channel,
    id::UserId,
    rate_limits::Subject,
};
use serde::Deserialize;
use serde_json::json;
use url::Url;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    gate::Admission,
    socket::{self, Opening},
};
use crate::{
    App,
    edge::{
        caller::{Caller, bearer},
        error::ApiError,
        params::{Named, Params, PathId},
    },
    web,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(root)).routes(routes!(all_channels)).routes(routes!(notifications))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DoorParams {
    /// An access token or a socket ticket; or send `Authorization`.
    token: Option<String>,
    /// Names a browser tab: a second socket of the same user and tab closes the first with 4001.
    tab: Option<String>,
}

/// A request to open a socket, from a caller who may.
struct Door {
    upgrade: WebSocketUpgrade,
    admission: Admission,
    caller: Caller,
    tab: Option<String>,
}

/// What opens a door.
enum Key {
    /// A good access token.
    Login(AccessToken),
    /// A ticket of ours, which may have been used.
    Ticket(IssuedTicket),
}

impl FromRequestParts<App> for Door {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        check_origin(&parts.headers, app)?;
        let Params(params) = Params::<DoorParams>::from_request_parts(parts, app).await?;
        // What can be refused at once doesn't wait in line.
        let key = Key::of(app, params.token.as_deref().or_else(|| bearer(&parts.headers)));
        let subject = key.as_ref().map_or(Subject::Stranger, |key| Subject::User(key.user_id()));
        app.count(parts, subject).await?;
        let key = key?;
        if params.tab.as_ref().is_some_and(|tab| tab.len() > 128) {
            return Err(ApiError::malformed("tab must have at most 128 bytes"));
        }
        let upgrade = WebSocketUpgrade::from_request_parts(parts, app)
            .await
            .map_err(|error: WebSocketUpgradeRejection| ApiError::malformed(error.body_text()))?;
        let admission = app.hub.gate().admit().await?;
        let login_id = match key {
            Key::Login(token) => token.login_id,
            Key::Ticket(ticket) => {
                let _turn = app.hub.gate().turn().await;
                auth::use_ticket(&app.store, &ticket).await?.ok_or_else(ApiError::unauthenticated)?
            }
        };
        let caller = app.caller_of(login_id).await?;
        parts.extensions.insert(caller);
        Ok(Self { upgrade, admission, caller, tab: params.tab })
    }
}

impl Key {
    fn of(app: &App, token: Option<&str>) -> Result<Self, ApiError> {
        let token = token.ok_or_else(ApiError::unauthenticated)?;
        if token.contains('.') {
            Ok(Self::Login(app.store.verify_token(token)?))
        } else {
            Ok(Self::Ticket(app.store.check_ticket(token)?))
        }
    }

    /// Whose it is.
    fn user_id(&self) -> UserId {
        match self {
            Self::Login(token) => token.user_id,
            Self::Ticket(ticket) => ticket.user_id,
        }
    }
}

/// Browsers say where a page came from; pages from elsewhere are refused. Other clients say nothing.
fn check_origin(headers: &HeaderMap, app: &App) -> Result<(), ApiError> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let known = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok()).is_some_and(|origin| {
        let settings = app.store.settings();
        let text = origin.origin().ascii_serialization();
        let authority = text.split_once("://").map(|(_, authority)| authority);
        settings.public_url.origin() == origin.origin()
            || settings.allowed_origins.contains(&text)
            || headers.get(HOST).and_then(|host| host.to_str().ok()).is_some_and(|host| Some(host) == authority)
    });
    if known { Ok(()) } else { Err(ApiError::forbidden("this origin may not open sockets")) }
}

impl Door {
    fn open(self, app: &App, channel: Option<Channel>) -> Response {
        let Self { upgrade, admission, caller, tab } = self;
        let hub = app.hub.clone();
        let opening = Opening { admission, caller, tab, channel };
        socket::bounded(upgrade)
            .on_upgrade(move |stream| hub.tasks().clone().track_future(socket::serve(stream, hub, opening)))
    }
}

/// A socket on the bare address; without an upgrade, a word of welcome.
///
/// Where development pages are served, browsers get the page to try it on.
#[utoipa::path(get, path = "/", tag = "Sockets", params(DoorParams), security((), ("bearer" = [])),
    responses((status = 101, description = "A socket; listen by `subscribe` frames"), (status = 200, description = "No socket was asked for"),
        (status = 403, description = "`forbidden`: foreign `Origin`")))]
async fn root(State(app): State<App>, mut parts: Parts) -> Result<Response, ApiError> {
    if parts.headers.contains_key(UPGRADE) {
        return Ok(Door::from_request_parts(&mut parts, &app).await?.open(&app, None));
    }
    if app.store.settings().dev_pages && web::wants_page(&parts.headers) {
        return Ok(web::try_page(&parts.headers));
    }
    Ok(Json(json!({"name": "HumanChat", "documentation": "/docs", "health": "/health/ready"})).into_response())
}

/// A socket.
#[utoipa::path(get, path = "/ws", tag = "Sockets", params(DoorParams), security((), ("bearer" = [])),
    responses((status = 101, description = "A socket; listen by `subscribe` frames"), (status = 403, description = "`forbidden`: foreign `Origin`")))]
async fn all_channels(State(app): State<App>, door: Door) -> Response {
    door.open(&app, None)
}

/// A socket that listens to its user's notifications from the start.
#[utoipa::path(get, path = "/notifications/{userId}", tag = "Sockets", params(("userId" = UserId, Path), DoorParams), security((), ("bearer" = [])),
    responses((status = 101, description = "A socket that listens to `notifications:{userId}`"),
        (status = 403, description = "`forbidden`: foreign `Origin`")))]
async fn notifications(
    State(app): State<App>,
    door: Door,
    PathId(user_id): PathId<UserId>,
) -> Result<Response, ApiError> {
    if door.caller.user_id != user_id {
        // As if there were nobody of that name.
        return Err(ApiError::not_found(UserId::WHAT));
    }
    Ok(door.open(&app, Some(Channel::Notifications(user_id))))
}
