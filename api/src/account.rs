//! `/api/users/me`: taking everything along, and leaving.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

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
use humanchat_domain::{erasure, error::Refusal, export, id::UserId};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        caller::Caller,
        command::{Command, Empty},
        error::ApiError,
    },
};

/// How many exports are sent at a time: each has some pages in memory for as long as its reader takes.
const AT_ONCE: usize = 16;
/// When to ask again for an export that isn't begun while another is sent.
const ASK_AGAIN: Duration = Duration::from_secs(10);

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(export_all)).routes(routes!(erase))
}

/// Whose exports are being sent by this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exports(Arc<Mutex<HashSet<UserId>>>);

/// An export's place among them; free again when this is dropped.
struct Place {
    exports: Exports,
    user: UserId,
}

impl Exports {
    fn readers(&self) -> MutexGuard<'_, HashSet<UserId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for an export: one for each user.
    fn begin(&self, user: UserId) -> Result<Place, ApiError> {
        let mut readers = self.readers();
        if readers.contains(&user) {
            return Err(Refusal::RateLimited(ASK_AGAIN).into());
        }
        if readers.len() >= AT_ONCE {
            return Err(ApiError::unavailable("too many exports are under way"));
        }
        readers.insert(user);
        Ok(Place { exports: self.clone(), user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.exports.readers().remove(&self.user);
    }
}

/// Everything of the caller's, as one JSON document.
///
/// `exportedAt`, `user`, `availability`, `logins`, `requestedPeople`, `requestedSkills`, `samRuns` (with their `actions`), `sessions`,
/// `requests`, `invites`, `notificationPreferences`, `notifications`, `payments`, `presences` (of the last two days), `attendance`,
/// `staffDeeds`, and `conversations`, each with its `messages`; everything newest first. It is sent while it is read, so it may be
/// large. While one is being sent, another is 429 `rate_limited`.
#[utoipa::path(get, operation_id = "export_account", path = "/api/users/me/export", tag = "Users",
    responses((status = 200, body = Object, content_type = "application/json")))]
async fn export_all(State(app): State<App>, caller: Caller) -> Result<Response, ApiError> {
    let place = app.exports.begin(caller.user_id)?;
    let parts = export::export(&app.store, caller.user_id).await?;
    // The place is kept until everything was sent, or nobody takes it any more.
    let parts = stream::unfold((parts, place), async |(mut parts, place)| Some((parts.recv().await?, (parts, place))));
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
