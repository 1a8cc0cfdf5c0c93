//! `/health/*`: for whatever starts, watches and routes to this process.

use axum::{Json, extract::State, http::StatusCode};
use humanchat_domain::queue;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(ready))
}

/// The process answers.
#[derive(Serialize, ToSchema)]
struct Live {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// What the process stands on.
#[derive(Serialize, ToSchema)]
struct Ready {
    /// `ok`; `degraded` where Redis is away, which slows realtime down but loses nothing;
    /// `unavailable` without Postgres.
    #[schema(example = "ok")]
    status: &'static str,
    /// `up` or `down`.
    postgres: &'static str,
    /// `up`, `down`, or `none` where none is configured.
    redis: &'static str,
    /// How long the job that is due the longest has waited, as of less than a second ago.
    #[schema(required)]
    queue_lag_seconds: Option<f64>,
}

/// Is the process alive?
#[utoipa::path(get, path = "/health/live", tag = "Operation", security(()), responses((status = 200, body = Live)))]
async fn live() -> Json<Live> {
    Json(Live { status: "ok" })
}

/// Can it take requests?
#[utoipa::path(get, path = "/health/ready", tag = "Operation", security(()),
    responses((status = 200, body = Ready), (status = 503, description = "Postgres is away", body = Ready)))]
async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let bus = app.store.bus();
    let redis = match (bus.is_shared(), bus.is_connected()) {
        (false, _) => "none",
        (true, true) => "up",
        (true, false) => "down",
    };
    let lag = app.queue_lag.get(async { queue::lag(&app.store).await.ok() });
    if let Some(lag) = lag.await {
        let status = if redis == "down" { "degraded" } else { "ok" };
        (StatusCode::OK, Json(Ready { status, postgres: "up", redis, queue_lag_seconds: Some(lag) }))
    } else {
        let ready = Ready { status: "unavailable", postgres: "down", redis, queue_lag_seconds: None };
        (StatusCode::SERVICE_UNAVAILABLE, Json(ready))
    }
}
