//! `/v1/…`: the way of a request through keys, faults and the state machine.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::stream;

use super::connection;
use crate::api::error::ApiError;
use crate::api::faults::{Effect, Strike};
use crate::api::idempotency::{Asked, Reply, Verdict};
use crate::api::params::Params;
use crate::api::{self, Request};
use crate::simulator::{Seen, Shared, Simulator};
use crate::world::{API_VERSION, Cause};

const LONGEST_BODY: usize = 1024 * 1024;

/// A request with what its headers say.
#[derive(Debug)]
struct Call {
    request: Request,
    request_id: String,
    /// Of a `POST`; others have no use for one.
    key: Option<String>,
    version: HeaderValue,
}

/// Any request that isn't for the simulator itself.
pub(crate) async fn answer(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
    // In a task of its own: a client that leaves doesn't stop what it asked for.
    match tokio::spawn(process(shared, request)).await {
        Ok(response) => response,
        Err(_) => connection::reset(),
    }
}

async fn process(shared: Arc<Shared>, request: HttpRequest) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST_BODY).await else { return connection::reset() };
    let method = head.method.as_str().to_owned();
    let encoded = if method == "POST" { &body[..] } else { head.uri.query().unwrap_or_default().as_bytes() };
    let key = header_text(&head.headers, "idempotency-key").filter(|_| method == "POST");
    let version = head.headers.get("stripe-version").cloned().unwrap_or(HeaderValue::from_static(API_VERSION));
    let request = Request { method, path: head.uri.path().to_owned(), params: Params::parse(encoded) };
    let request_id = shared.with(|simulator| format!("req_{}", simulator.world.letters(14)));
    let call = Call { request, request_id, key, version };

    if let Err(error) = authorize(&head.headers).and_then(|()| check_type(&head.headers, &body)) {
        return call.response(&call.reply(Err(error)), false);
    }
    let strike = shared.with(|simulator| {
        simulator.note(call.seen());
        simulator.faults.strike(&call.request.method, &call.request.path)
    });
    let (reply, replayed) = call.run(&shared, strike).await;
    if !matches!(strike.effect, Some(Effect::ResetBefore)) {
        shared.with(|simulator| simulator.answered(&call.request_id, reply.status, replayed));
    }
    match strike.effect {
        Some(Effect::ResetBefore | Effect::ResetAfter) => connection::reset(),
        Some(Effect::Truncate) => truncated(call.response(&reply, replayed), &reply.body),
        _ => call.response(&reply, replayed),
    }
}

impl Call {
    /// The answer, and whether it is one from before.
    async fn run(&self, shared: &Shared, strike: Strike) -> (Reply, bool) {
        match strike.effect {
            // It isn't sent.
            Some(Effect::ResetBefore) => return (self.reply(Err(ApiError::internal())), false),
            Some(Effect::RateLimit) => return (self.reply(Err(ApiError::rate_limit())), false),
            _ => {}
        }
        let verdict = match &self.key {
            None => Verdict::Begin,
            Some(key) => shared.with(|simulator| simulator.ledger.begin(key, self.asked(), simulator.world.now)),
        };
        match verdict {
            Verdict::Replay(reply) => return (reply, true),
            Verdict::Refuse(error) => return (self.reply(Err(error)), false),
            Verdict::Begin => {}
        }
        tokio::time::sleep(strike.delay).await;
        let reply = shared.with(|simulator| self.execute(simulator, strike.effect));
        tokio::time::sleep(strike.delay_after).await;
        (reply, false)
    }

    /// Does it and keeps the answer, in one go.
    fn execute(&self, simulator: &mut Simulator, effect: Option<Effect>) -> Reply {
        simulator.world.cause = Cause { request_id: Some(self.request_id.clone()), idempotency_key: self.key.clone() };
        let done = match effect {
            Some(Effect::ErrorBefore) => Err(ApiError::internal()),
            Some(Effect::Refuse) => {
                Err(ApiError::state("testmode_charges_only", "Your account cannot do this right now."))
            }
            Some(Effect::ErrorAfter) => {
                api::call(&mut simulator.world, self.request.clone()).and(Err(ApiError::internal()))
            }
            _ => api::call(&mut simulator.world, self.request.clone()),
        };
        let keep = done.as_ref().err().is_none_or(ApiError::is_remembered);
        let reply = self.reply(done);
        if let Some(key) = &self.key {
            simulator.ledger.finish(key, keep.then(|| reply.clone()));
        }
        reply
    }

    fn asked(&self) -> Asked {
        Asked { path: self.request.path.clone(), params: self.request.params.json() }
    }

    fn seen(&self) -> Seen {
        Seen {
            request_id: self.request_id.clone(),
            method: self.request.method.clone(),
            path: self.request.path.clone(),
            params: self.request.params.json(),
            idempotency_key: self.key.clone(),
            status: None,
            replayed: false,
        }
    }

    fn reply(&self, done: Result<serde_json::Value, ApiError>) -> Reply {
        let (status, json) = match done {
            Ok(json) => (200, json),
            Err(error) => (error.status(), error.json()),
        };
        Reply { status, body: Bytes::from(format!("{json:#}")), request_id: self.request_id.clone() }
    }

    fn response(&self, reply: &Reply, replayed: bool) -> Response {
        let mut response = Response::new(Body::from(reply.body.clone()));
        *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("stripe-version", self.version.clone());
        set(headers, "request-id", &self.request_id);
        if let Some(key) = &self.key {
            set(headers, "idempotency-key", key);
            set(headers, "original-request", &reply.request_id);
        }
        if replayed {
            set(headers, "idempotent-replayed", "true");
        }
        response
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// The same answer, of which only the first half comes.
fn truncated(mut response: Response, body: &Bytes) -> Response {
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = body.slice(..body.len() / 2);
    let parts = stream::unfold(Some(half), |half| async move {
        if let Some(half) = half {
            return Some((Ok(half), None));
        }
        // Lets the first half out before the error ends the connection.
        tokio::task::yield_now().await;
        Some((Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted)), None))
    });
    *response.body_mut() = Body::from_stream(parts);
    response
}

/// Takes any secret or restricted test key, as a bearer or as the name of basic authentication.
fn authorize(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = header_text(headers, "authorization").unwrap_or_default();
    let key = match given.split_once(' ') {
        Some(("Bearer", key)) => key.trim().to_owned(),
        Some(("Basic", encoded)) => {
            let decoded = BASE64_STANDARD.decode(encoded.trim()).unwrap_or_default();
            String::from_utf8_lossy(&decoded).split(':').next().unwrap_or_default().to_owned()
        }
        _ => {
            return Err(ApiError::unauthorized(
                "You did not provide an API key. You need to provide your API key in the Authorization header, using \
                 Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            ));
        }
    };
    if key.starts_with("sk_test_") || key.starts_with("rk_test_") {
        return Ok(());
    }
    Err(ApiError::unauthorized(
        "Invalid API Key provided: the simulator takes keys that begin with sk_test_ or rk_test_",
    ))
}

fn check_type(headers: &HeaderMap, body: &Bytes) -> Result<(), ApiError> {
    let kind = header_text(headers, "content-type").unwrap_or_default();
    if body.is_empty() || kind.starts_with("application/x-www-form-urlencoded") {
        return Ok(());
    }
    Err(ApiError::invalid(
        "body",
        "Invalid request (check that your POST content type is application/x-www-form-urlencoded).",
    ))
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
