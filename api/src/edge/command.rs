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
    Store,
    error::{Error, Refusal},
    idempotency::{self, Begun, Claim, Key, Reply},
    tx::Tx,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use uuid::Uuid;

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
        // Whoever forgot the body must not have everything replaced by defaults.
        let is_change = matches!(parts.method, Method::PUT | Method::PATCH);
        let key = if parts.method == Method::POST { key(&parts.headers)? } else { None };
        let route = format!("{} {}", parts.method, parts.uri.path());
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.0.clone());
        let headers = parts.headers.clone();
        let bytes = body::read(Request::from_parts(parts, stream), app).await?;
        let body = body::parse(&headers, &bytes)?;
        if is_change && bytes.is_empty() {
            return Err(body::missing());
        }
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
        let (tx, claim) = match self.key {
            None => (app.store.begin(self.request_id).await?, None),
            Some(key) => match idempotency::begin(&app.store, self.request_id, key).await? {
                Begun::First(tx, claim) => (tx, Some(claim)),
                Begun::Again(reply) => return Err(Stop::Replay(reply)),
                Begun::Halfway(..) => return Err(Refusal::IdempotencyInFlight.into()),
            },
        };
        Ok((Work { tx, claim }, self.caller, self.body))
    }

    /// Begins a deed in two steps around a call to a provider, or goes on with one whose first step
    /// was done.
    pub(crate) async fn begin_steps(self, app: &App) -> Result<(Steps, Caller, Valid<T>), Stop> {
        let (store, request_id) = (app.store.clone(), self.request_id);
        let steps = match self.key {
            None => Steps::First(Work { tx: store.begin(request_id).await?, claim: None }),
            Some(key) => match idempotency::begin(&store, request_id.clone(), key).await? {
                Begun::First(tx, claim) => Steps::First(Work { tx, claim: Some(claim) }),
                Begun::Halfway(key, id) => Steps::Second(SecondStep { store, request_id, key: Some(key), id }),
                Begun::Again(reply) => return Err(Stop::Replay(reply)),
            },
        };
        Ok((steps, self.caller, self.body))
    }
}

/// Where a deed in two steps is.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub(crate) enum Steps {
    /// At its beginning.
    First(Work),
    /// What the first step made is there.
    Second(SecondStep),
}

/// The second step of a deed, outside any transaction.
pub(crate) struct SecondStep {
    store: Store,
    request_id: Option<String>,
    key: Option<Key>,
    id: Uuid,
}

impl SecondStep {
    /// Does it, and answers. A refusal is remembered; a failure leaves the step to whoever comes
    /// next with the same key.
    pub(crate) async fn finish<T, F>(self, deed: impl FnOnce(Store, Option<String>, Uuid) -> F) -> Answer
    where
        T: Serialize,
        F: Future<Output = Result<(StatusCode, T), Error>>,
    {
        let done = deed(self.store.clone(), self.request_id, self.id).await;
        let (reply, error) = match done {
            Ok((status, body)) => {
                (Reply { status: status.as_u16(), body: serde_json::to_string(&body).map_err(Error::from)? }, None)
            }
            Err(error) => {
                let error = ApiError::from(error);
                (error.reply()?, Some(error))
            }
        };
        if let Some(key) = &self.key {
            if reply.status < 500 {
                idempotency::finish(&self.store, key, &reply).await?;
            } else {
                idempotency::let_go(&self.store, key).await?;
            }
        }
        match error {
            None => Ok(respond(reply)),
            Some(error) => Err(error.into()),
        }
    }
}

/// A unit of work that ends in an answer.
pub(crate) struct Work {
    pub tx: Tx,
    claim: Option<Claim>,
}

impl Work {
    /// Commits the first step of a deed, if it came to something.
    pub(crate) async fn halve(self, made: Result<Uuid, Error>) -> Result<SecondStep, Stop> {
        let (store, request_id) = (self.tx.store().clone(), self.tx.request_id().map(ToOwned::to_owned));
        let id = match made {
            Ok(id) => id,
            Err(error) => return Err(self.refuse(error).await),
        };
        let key = match self.claim {
            None => {
                self.tx.commit().await?;
                None
            }
            Some(claim) => Some(idempotency::halve(self.tx, claim, id).await?),
        };
        Ok(SecondStep { store, request_id, key, id })
    }

    /// Commits what was done, with the answer if the request named itself. A refusal is taken back
    /// and remembered just so.
    pub(crate) async fn finish<T: Serialize>(self, done: Result<(StatusCode, T), Error>) -> Answer {
        match (done, self.claim) {
            (Ok((status, body)), None) => {
                self.tx.commit().await?;
                Ok((status, Json(body)).into_response())
            }
            (Ok((status, body)), Some(claim)) => {
                let body = serde_json::to_string(&body).map_err(Error::from)?;
                let reply = Reply { status: status.as_u16(), body };
                idempotency::remember(self.tx, claim, &reply).await?;
                Ok(respond(reply))
            }
            (Err(error), claim) => Err(Self { tx: self.tx, claim }.refuse(error).await),
        }
    }

    /// Takes back what was done, and remembers the refusal if it is the client's matter.
    async fn refuse(self, error: Error) -> Stop {
        let error = ApiError::from(error);
        if let Some(claim) = self.claim.filter(|_| error.status().is_client_error()) {
            let remembered = match error.reply() {
                Ok(reply) => idempotency::remember_refusal(self.tx, claim, &reply).await,
                Err(error) => Err(error),
            };
            if let Err(error) = remembered {
                return error.into();
            }
        }
        error.into()
    }
}

/// What a command's handler returns.
pub(crate) type Answer = Result<Response, Stop>;

/// 201 for something new, 200 for something found.
pub(crate) fn created_or_ok(created: bool) -> StatusCode {
    if created { StatusCode::CREATED } else { StatusCode::OK }
}

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
