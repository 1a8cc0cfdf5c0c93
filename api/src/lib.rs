//! HumanChat's HTTP and socket server: parse, one domain call, commit, answer.
//!
//! [`router`] is the whole application; [`server`] puts it on a port.

use std::{ops::Deref, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::DefaultBodyLimit,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use humanchat_domain::Store;
use metrics_exporter_prometheus::PrometheusHandle;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::{OpenApi, openapi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

mod account;
mod admin;
mod auth;
mod availability;
mod batch;
mod conversations;
mod docs;
mod edge;
mod health;
mod invites;
mod metrics;
mod notifications;
mod pages;
mod payments;
mod realtime;
mod recent;
mod requests;
mod sam;
pub mod server;
mod sessions;
mod users;
mod web;

pub use realtime::SocketLimits;
#[cfg(feature = "testing")]
pub use realtime::is_client_frame;

use edge::{
    admission::{self, Admissions},
    browsers,
    caller::Authorities,
    error::ApiError,
    layers,
};
use recent::Recent;

/// What handlers work with. Every layer around a route clones it for each request, so that is cheap.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What an [`App`] consists of.
#[derive(Debug)]
pub struct Parts {
    pub(crate) store: Store,
    pub(crate) hub: realtime::Hub,
    pub(crate) authorities: Authorities,
    pub(crate) recorder: PrometheusHandle,
    pub(crate) admissions: Admissions,
    pub(crate) exports: account::Exports,
    pub(crate) waits: sam::Waits,
    /// For whoever watches this process, which nothing limits.
    pub(crate) queue_lag: Recent<Option<f64>>,
    pub(crate) measured: Recent<bool>,
}

impl App {
    /// An application over `store`, with its background tasks started.
    ///
    /// # Errors
    /// When the bus can't be listened to, or nothing can be measured.
    pub fn start(store: Store) -> anyhow::Result<Self> {
        Self::start_with(store, SocketLimits::default())
    }

    /// The same, with sockets that are held to other limits.
    ///
    /// # Errors
    /// When the bus can't be listened to, or nothing can be measured.
    pub fn start_with(store: Store, limits: SocketLimits) -> anyhow::Result<Self> {
        tokio::task::spawn_blocking(humanchat_domain::auth::warm_up);
        Ok(Self(Arc::new(Parts {
            hub: realtime::Hub::start(store.clone(), limits)?,
            authorities: Authorities::start(store.clone()),
            recorder: metrics::recorder()?,
            admissions: Admissions::new(store.settings().max_requests),
            exports: account::Exports::default(),
            waits: sam::Waits::start(store.clone()),
            queue_lag: Recent::default(),
            measured: Recent::default(),
            store,
        })))
    }

    /// Closes all sockets and tells others that their users are gone.
    pub async fn stop(&self) {
        self.hub.stop().await;
    }
}

/// How many bytes a body may have.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// The routes of the product.
fn features() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(docs::Document::openapi())
        .merge(auth::routes())
        .merge(users::routes())
        .merge(account::routes())
        .merge(conversations::routes())
        .merge(invites::routes())
        .merge(requests::routes())
        .merge(availability::routes())
        .merge(sessions::routes())
        .merge(sam::routes())
        .merge(payments::routes())
        .merge(notifications::routes())
        .merge(admin::routes())
}

/// Routes that don't count among the requests at once: sockets, which have a door of their own, and
/// those for operators.
fn others() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(realtime::routes()).merge(health::routes()).merge(metrics::routes())
}

/// The OpenAPI document of all routes.
pub fn openapi() -> openapi::OpenApi {
    docs::complete(features().merge(others()).into_openapi())
}

/// The same document as YAML, which is what `openapi.yaml` holds.
///
/// # Errors
/// When it can't be written.
pub fn openapi_yaml() -> anyhow::Result<String> {
    docs::yaml(&openapi())
}

/// Swagger UI styles itself inline, and shows pictures from data URLs.
const SWAGGER_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    frame-ancestors 'none'; base-uri 'none'";

/// `/docs`, with errors in the envelope like everywhere else.
fn swagger_ui() -> Router<App> {
    let pages = Router::from(SwaggerUi::new("/docs").config(Config::from("/openapi.json")));
    pages.layer(middleware::map_response(async |mut page: Response| {
        if page.status().is_success() || page.status().is_redirection() {
            page.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(SWAGGER_POLICY));
            page
        } else {
            ApiError::not_found("page").into_response()
        }
    }))
}

/// A document that was written once.
fn written(media_type: &'static str, text: String) -> MethodRouter<App> {
    let text = Bytes::from(text);
    get(move || async move { ([(CONTENT_TYPE, HeaderValue::from_static(media_type))], text) })
}

/// Every route, with every layer.
///
/// # Errors
/// When the OpenAPI document can't be written.
pub fn router(app: App) -> anyhow::Result<Router> {
    let admit = middleware::from_fn_with_state(app.admissions.clone(), admission::admit);
    let (paths, document) = features().layer(admit).merge(others()).split_for_parts();
    let document = docs::complete(document);
    let settings = app.store.settings();
    // Outermost first. As one layer, for each that a router is given is a box of its own, cloned with every request.
    let around = ServiceBuilder::new()
        .layer(middleware::from_fn(layers::identify))
        .layer(middleware::from_fn_with_state(browsers::Secure::new(settings), browsers::harden))
        .layer(middleware::from_fn_with_state(browsers::allowances(settings), browsers::cors))
        .layer(middleware::from_fn(layers::refuse_faulty))
        .layer(CatchPanicLayer::custom(layers::on_panic))
        .layer(middleware::from_fn(layers::detach))
        .layer(DefaultBodyLimit::max(MAX_BODY));
    let routes = paths
        .merge(pages::routes(app.store.settings()))
        .merge(web::routes())
        .route("/openapi.yaml", written("application/yaml", docs::yaml(&document)?))
        .route("/openapi.json", written("application/json", document.to_json()?))
        .merge(swagger_ui())
        .fallback(|| async { ApiError::not_found("route") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this route does not take this method")
                .into_response()
        })
        .layer(around)
        .with_state(app);
    Ok(routes)
}
