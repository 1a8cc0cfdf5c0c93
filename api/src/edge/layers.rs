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
use humanchat_domain::traces;
use tracing::Instrument;
use uuid::Uuid;

use super::error::ApiError;
use crate::metrics;
use crate::server::Fault;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

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
    let span = tracing::info_span!(
        "request",
        request_id = id.0,
        %method,
        route,
        otel.kind = traces::only(|| "server"),
        otel.name = traces::only(|| format!("{method} {route}")),
    );
    let parent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    traces::follow(&span, parent);
    async move {
        let began = Instant::now();
        let mut response = next.run(request).await;
        if let Ok(value) = HeaderValue::from_str(&id.0) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        let took = began.elapsed();
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        metrics::answered(&method, &route, response.status(), took);
        tracing::info!(status = response.status().as_u16(), millis, "answered");
        response
    }
    .instrument(span)
    .await
}

/// Answers what stands for a request that could not be read.
pub(crate) async fn refuse_faulty(request: Request, next: Next) -> Response<Body> {
    match request.extensions().get::<Fault>() {
        Some(fault) => ApiError::from(*fault).into_response(),
        None => next.run(request).await,
    }
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

#[cfg(test)]
mod tests {
    use axum::{
        Router, middleware,
        routing::{any, get},
    };
    use reqwest::{Client, Method};
    use serde_json::Value;
    use tokio::{net::TcpListener, sync::mpsc};
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    /// A server with these layers around routes that misbehave.
    async fn serve(routes: Router) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = routes
            .layer(middleware::from_fn(detach))
            .layer(CatchPanicLayer::custom(on_panic))
            .layer(middleware::from_fn(identify));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        url
    }

    fn client() -> Client {
        rustls::crypto::ring::default_provider().install_default().ok();
        Client::new()
    }

    #[tokio::test]
    async fn a_panic_is_answered_with_the_envelope_and_tells_nothing_of_the_inside() {
        async fn text() {
            panic!("a secret of the inside")
        }
        async fn value() {
            std::panic::panic_any(7_u8)
        }
        let routes = Router::new()
            .route("/text", any(text))
            .route("/value", any(value))
            .route("/fine", get(|| async { "fine" }));
        let (url, client) = (serve(routes).await, client());
        for path in ["/text", "/value"] {
            for method in [Method::GET, Method::POST, Method::PATCH] {
                let request = client.request(method, format!("{url}{path}")).header("x-request-id", "mine");
                let answer = request.send().await.unwrap();
                assert_eq!(
                    (answer.status().as_u16(), &answer.headers()["x-request-id"]),
                    (500, &"mine".parse().unwrap())
                );
                assert_eq!(answer.headers()["content-type"], "application/json");
                let text = answer.text().await.unwrap();
                let body: Value = serde_json::from_str(&text).unwrap();
                assert_eq!(body["error"]["code"], "internal_error");
                assert!(!text.contains("secret"), "{text}");
            }
        }
        let answer = client.get(format!("{url}/fine")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "fine");
    }

    /// Tells when a handler is over, however it ends.
    struct Gone(Method, mpsc::UnboundedSender<Method>);

    impl Drop for Gone {
        fn drop(&mut self) {
            self.1.send(self.0.clone()).ok();
        }
    }

    #[tokio::test]
    async fn what_may_change_something_runs_to_its_end_without_its_client() {
        let (begun, mut beginnings) = mpsc::unbounded_channel();
        let (ended, mut ends) = mpsc::unbounded_channel();
        let (gone, mut leavings) = mpsc::unbounded_channel();
        let (go, gate) = tokio::sync::watch::channel(false);
        let slow = move |method: Method| {
            let (begun, ended, mut gate) = (begun.clone(), ended.clone(), gate.clone());
            let gone = Gone(method.clone(), gone.clone());
            async move {
                let _gone = gone;
                begun.send(method.clone()).unwrap();
                gate.wait_for(|open| *open).await.unwrap();
                ended.send(method).unwrap();
            }
        };
        let (url, client) = (serve(Router::new().route("/", any(slow))).await, client());
        for method in [Method::POST, Method::PATCH, Method::PUT, Method::DELETE, Method::GET] {
            let request = client.request(method.clone(), &url).send();
            // The client leaves as soon as the handler has begun.
            tokio::select! {
                _ = request => panic!("it can't have ended"),
                begun = beginnings.recv() => assert_eq!(begun, Some(method)),
            }
        }
        assert_eq!(leavings.recv().await, Some(Method::GET), "what only reads ends with its client");
        go.send(true).unwrap();
        let mut done = Vec::new();
        for _ in 0..4 {
            done.push(ends.recv().await.unwrap());
        }
        done.sort_by_key(ToString::to_string);
        assert_eq!(done, [Method::DELETE, Method::PATCH, Method::POST, Method::PUT]);
    }
}
