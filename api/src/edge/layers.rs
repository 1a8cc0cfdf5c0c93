//! Layers around every route: request ids, log lines, panics, and requests that outlive their
//! client.

use std::{any::Any, time::Instant};

use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, Response},
    middleware::Next,
    response::IntoResponse,
};
use tracing::Instrument;
use uuid::Uuid;

use super::error::ApiError;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a request is called in logs, jobs and the answer.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub String);

impl RequestId {
    /// The client's, if it is 1–128 characters of `[A-Za-z0-9._-]`, else a new one.
    fn of(request: &Request) -> Self {
        let theirs = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| {
            (1..=128).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        });
        Self(theirs.map_or_else(|| Uuid::now_v7().to_string(), ToOwned::to_owned))
    }
}

/// Names the request, logs how it went, and says its name in the answer.
pub(crate) async fn identify(mut request: Request, next: Next) -> Response<Body> {
    let id = RequestId::of(&request);
    // The path as it was registered: it has no ids in it, and no query, which may hold a token.
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    request.extensions_mut().insert(id.clone());
    let span = tracing::info_span!("request", request_id = id.0, %method, route);
    async move {
        let began = Instant::now();
        let mut response = next.run(request).await;
        if let Ok(value) = HeaderValue::from_str(&id.0) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(status = response.status().as_u16(), millis, "answered");
        response
    }
    .instrument(span)
    .await
}

/// Runs a request that may change something to its end even when its client goes away: a
/// cancelled transaction could leave its connection in an unknown state, and a committed one its
/// bells unrung.
pub(crate) async fn detach(request: Request, next: Next) -> Response<Body> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request).in_current_span()).await {
        Ok(response) => response,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => on_panic(panic),
            Err(_) => ApiError::unavailable("the service is shutting down").into_response(),
        },
    }
}

/// What the client sees of a panic.
#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
pub(crate) fn on_panic(panic: Box<dyn Any + Send>) -> Response<Body> {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    tracing::error!(panic = message, "a handler panicked");
    ApiError::internal().into_response()
}
