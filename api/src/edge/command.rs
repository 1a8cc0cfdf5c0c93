//! A request of a signed-in user that changes something, and its one way through: begin a unit of
//! work, one domain operation, commit, answer. `Idempotency-Key` is kept on the way.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use garde::{Valid, Validate};
use humanchat_domain::{
    error::Error,
    idempotency::{self, Begun, Key, Reply},
    tx::Tx,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{body, caller::Caller, error::ApiError, layers::RequestId};
use crate::App;

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The body of a request that needs none: absent or `{}`.
#[derive(Debug, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct Empty {}

/// Who asks for what.
pub(crate) struct Command<T> {
    pub caller: Caller,
    pub body: Valid<T>,
    pub request_id: Option<String>,
    key: Option<Key>,
}

impl<T> FromRequest<App> for Command<T>
where
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (mut parts, stream) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, app).await?;
        let key = if parts.method == Method::POST { key(&parts.headers)? } else { None };
        let route = format!("{} {}", parts.method, parts.uri.path());
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone());
        let headers = parts.headers.clone();
        let bytes = body::read(Request::from_parts(parts, stream), app).await?;
        let body = body::parse(&headers, &bytes)?;
        let key = key.map(|key| Key { user_id: caller.user_id, route, key, body_hash: Sha256::digest(&bytes).into() });
        Ok(Self { caller, body, request_id, key })
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) && key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            Ok(Some(key.to_owned()))
        }
        _ => Err(ApiError::malformed("Idempotency-Key must be 1 to 255 printable ASCII characters")),
    }
}

impl<T> Command<T> {
    /// Begins the unit of work, unless the same request was answered before.
    pub(crate) async fn begin(self, app: &App) -> Result<(Work, Caller, Valid<T>), Stop> {
        let (tx, key) = match self.key {
            None => (app.store.begin(self.request_id).await?, None),
            Some(key) => match idempotency::begin(&app.store, self.request_id, &key).await? {
                Begun::First(tx) => (tx, Some(key)),
                Begun::Again(reply) => return Err(Stop::Replay(reply)),
            },
        };
        Ok((Work { tx, key }, self.caller, self.body))
    }
}

/// A unit of work that ends in an answer.
pub(crate) struct Work {
    pub tx: Tx,
    key: Option<Key>,
}

impl Work {
    /// Commits what was done, with the answer if the request named itself. A refusal is taken back
    /// and remembered just so.
    pub(crate) async fn finish<T: Serialize>(self, done: Result<(StatusCode, T), Error>) -> Answer {
        match (done, self.key) {
            (Ok((status, body)), None) => {
                self.tx.commit().await?;
                Ok((status, Json(body)).into_response())
            }
            (Ok((status, body)), Some(key)) => {
                let body = serde_json::to_string(&body).map_err(Error::from)?;
                let reply = Reply { status: status.as_u16(), body };
                idempotency::remember(self.tx, &key, &reply).await?;
                Ok(respond(reply))
            }
            (Err(error), None) => Err(error.into()),
            (Err(error), Some(key)) => {
                let error = ApiError::from(error);
                if error.status().is_client_error() {
                    let body = serde_json::to_string(error.body()).map_err(Error::from)?;
                    let reply = Reply { status: error.status().as_u16(), body };
                    idempotency::remember_refusal(self.tx, &key, &reply).await?;
                }
                Err(error.into())
            }
        }
    }
}

/// What a command's handler returns.
pub(crate) type Answer = Result<Response, Stop>;

/// Why a handler ends early.
pub(crate) enum Stop {
    /// The product or its footing said no.
    No(ApiError),
    /// It was answered before.
    Replay(Reply),
}

impl<E: Into<ApiError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::No(error.into())
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        match self {
            Self::No(error) => error.into_response(),
            Self::Replay(reply) => replayed(respond(reply)),
        }
    }
}

/// Marks an answer as the first one's repetition.
pub(crate) fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn respond(reply: Reply) -> Response {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], reply.body).into_response()
}
