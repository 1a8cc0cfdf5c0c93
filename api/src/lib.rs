//! HumanChat's HTTP and socket server: parse, one domain call, commit, answer.
//!
//! [`router`] is the whole application; `main.rs` puts it on a port.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use humanchat_domain::Store;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::{OpenApi, openapi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

mod auth;
mod batch;
mod conversations;
mod docs;
mod edge;
mod health;
mod invites;
mod pages;
mod realtime;
mod sessions;
mod users;

pub use realtime::SocketLimits;

use edge::{caller::Authorities, error::ApiError, layers};

/// What handlers work with.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) store: Store,
    pub(crate) hub: realtime::Hub,
    pub(crate) authorities: Authorities,
}

impl App {
    /// An application over `store`, with its background tasks started.
    ///
    /// # Errors
    /// When the bus can't be listened to.
    pub fn start(store: Store) -> anyhow::Result<Self> {
        Self::start_with(store, SocketLimits::default())
    }

    /// The same, with sockets that are held to other limits.
    ///
    /// # Errors
    /// When the bus can't be listened to.
    pub fn start_with(store: Store, limits: SocketLimits) -> anyhow::Result<Self> {
        tokio::task::spawn_blocking(humanchat_domain::auth::warm_up);
        let hub = realtime::Hub::start(store.clone(), limits)?;
        Ok(Self { hub, authorities: Authorities::start(store.clone()), store })
    }

    /// Closes all sockets and tells others that their users are gone.
    pub async fn stop(&self) {
        self.hub.stop().await;
    }
}

/// How many bytes a body may have.
pub(crate) const MAX_BODY: usize = 64 * 1024;

fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(docs::Document::openapi())
        .merge(auth::routes())
        .merge(users::routes())
        .merge(conversations::routes())
        .merge(invites::routes())
        .merge(sessions::routes())
        .merge(realtime::routes())
        .merge(health::routes())
}

/// The OpenAPI document of all routes.
pub fn openapi() -> openapi::OpenApi {
    docs::complete(documented().into_openapi())
}

/// `/docs`, with errors in the envelope like everywhere else.
fn swagger_ui(document: openapi::OpenApi) -> Router<App> {
    let pages = Router::from(SwaggerUi::new("/docs").url("/openapi.json", document));
    pages.layer(middleware::map_response(async |page: Response| {
        if page.status().is_success() || page.status().is_redirection() {
            page
        } else {
            ApiError::not_found("page").into_response()
        }
    }))
}

/// Every route, with every layer.
///
/// # Errors
/// When the OpenAPI document can't be written.
pub fn router(app: App) -> anyhow::Result<Router> {
    let (paths, document) = documented().split_for_parts();
    let document = docs::complete(document);
    let yaml: Arc<str> = document.to_yaml()?.into();
    let routes = paths
        .merge(pages::routes(app.store.settings().dev_pages))
        .route("/openapi.yaml", get(move || async move { ([("content-type", "application/yaml")], yaml.to_string()) }))
        .merge(swagger_ui(document))
        .fallback(|| async { ApiError::not_found("route") })
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this route does not take this method")
                .into_response()
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(layers::detach))
        .layer(CatchPanicLayer::custom(layers::on_panic))
        .layer(middleware::from_fn(layers::identify))
        .with_state(app);
    Ok(routes)
}
