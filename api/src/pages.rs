//! Pages: where a mailed link and a checkout lead, and, in development, the mailbox it is read in.

use axum::{
    Json, Router,
    extract::State,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use humanchat_domain::{
    config::Settings,
    mail::{self, KeptMail},
};
use serde::{Deserialize, Serialize};

use crate::{
    App,
    edge::{error::ApiError, params::Params},
};

/// Nothing from elsewhere, no inline script, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

pub(crate) fn routes(settings: &Settings) -> Router<App> {
    let routes = Router::new()
        .route("/magic-link", get(|| async { page(include_str!("../assets/magic-link.html")) }))
        .route("/checkout/thanks", get(|| async { page(include_str!("../assets/checkout-thanks.html")) }))
        .route("/checkout/cancelled", get(|| async { page(include_str!("../assets/checkout-cancelled.html")) }))
        .route(
            "/assets/magic-link.js",
            get(|| async { asset("text/javascript", include_str!("../assets/magic-link.js")) }),
        )
        .route("/assets/pages.css", get(|| async { asset("text/css", include_str!("../assets/pages.css")) }));
    if settings.dev_pages {
        routes
            .route("/dev/mailbox", get(|| async { page(include_str!("../assets/mailbox.html")) }))
            .route(
                "/assets/mailbox.js",
                get(|| async { asset("text/javascript", include_str!("../assets/mailbox.js")) }),
            )
            .route("/dev/mailbox.json", get(mailbox))
            .route(
                "/dev/settings.json",
                get(|State(app): State<App>| async move { Json(PageSettings::of(app.store.settings())) }),
            )
    } else {
        routes
    }
}

fn page(html: &'static str) -> impl IntoResponse {
    let headers =
        [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-store")];
    (headers, html)
}

fn asset(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, media_type)], text)
}

#[derive(Deserialize)]
struct MailboxParams {
    to: Option<String>,
}

async fn mailbox(
    State(app): State<App>,
    Params(params): Params<MailboxParams>,
) -> Result<Json<Vec<KeptMail>>, ApiError> {
    Ok(Json(mail::kept(&app.store, params.to.as_deref()).await?))
}

/// What pages for development can't know by themselves.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PageSettings {
    /// Where the simulator of Stripe shows its card pages; with Stripe itself, cards are entered in the client.
    card_pages: Option<String>,
}

impl PageSettings {
    fn of(settings: &Settings) -> Self {
        let base = &settings.stripe_api_base;
        let is_simulated = base.host_str() != Some("api.stripe.com");
        Self { card_pages: is_simulated.then(|| base.to_string()) }
    }
}
