//! The server around the state machine.

pub(crate) mod connection;
mod control;
mod html;
mod pages;
mod v1;
pub(crate) mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::simulator::Shared;

/// All routes.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(pages::index))
        .route("/checkout/{id}", get(pages::checkout).post(pages::answer_checkout))
        .route("/pay/{client_secret}", get(pages::card).post(pages::answer_card))
        .route("/connect/{account}", get(pages::onboarding).post(pages::onboard))
        .nest("/_sim", control::router())
        .fallback(v1::answer)
        .with_state(shared)
}
