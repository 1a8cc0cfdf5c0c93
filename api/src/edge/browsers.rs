//! What browsers are told: which pages may read answers, and how careful to be with them.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{
        HeaderName, HeaderValue, Method, Response,
        header::{
            ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
            REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
};
use humanchat_domain::config::Settings;
use tower::{Layer, ServiceExt};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{
    command::{IDEMPOTENCY_KEY, REPLAYED},
    layers::REQUEST_ID,
};

/// How long a browser may remember what it was told.
const PREFLIGHT: Duration = Duration::from_hours(1);
/// Answers are data: nothing in them is ever loaded, run or framed. Pages bring a policy of their own.
const DATA_ONLY: &str = "default-src 'none'; frame-ancestors 'none'";

/// What pages of `ALLOWED_ORIGINS` may do. Tokens travel in headers, so cookies stay out.
pub(crate) fn allowances(settings: &Settings) -> CorsLayer {
    let origins = settings.allowed_origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, IDEMPOTENCY_KEY, REQUEST_ID, HeaderName::from_static("prefer")])
        .expose_headers([REQUEST_ID, REPLAYED, RETRY_AFTER])
        .max_age(PREFLIGHT)
}

/// Lets pages of `ALLOWED_ORIGINS` call the api. The library takes every OPTIONS for a browser's
/// question; others get the answer that routes give to methods they don't take.
pub(crate) async fn cors(State(allowances): State<CorsLayer>, request: Request, next: Next) -> Response<Body> {
    if *request.method() == Method::OPTIONS && !request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return next.run(request).await;
    }
    let Ok(response) = allowances.layer(next).oneshot(request).await;
    response
}

/// Whether clients come by https.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Secure(bool);

impl Secure {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self(settings.public_url.scheme() == "https")
    }
}

/// Adds what every answer says to browsers, where its handler didn't say otherwise.
pub(crate) async fn harden(State(is_secure): State<Secure>, request: Request, next: Next) -> Response<Body> {
    let is_private = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut say = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    say(X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(REFERRER_POLICY, "no-referrer");
    say(X_FRAME_OPTIONS, "DENY");
    say(CONTENT_SECURITY_POLICY, DATA_ONLY);
    if is_private {
        say(CACHE_CONTROL, "no-store");
    }
    if is_secure.0 {
        say(STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}
