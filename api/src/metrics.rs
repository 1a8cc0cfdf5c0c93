//! `/metrics`: what Prometheus reads. Requests are counted as they are answered, states are read
//! when they are asked for.

use std::time::Duration;

use axum::{
    extract::State,
    http::{Method, StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
};
use humanchat_domain::{Store, measurements, payments, queue};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::App;

const REQUESTS: &str = "humanchat_http_requests_total";
const DURATION: &str = "humanchat_http_request_duration_seconds";
const SOCKETS: &str = "humanchat_sockets";
const CHANNELS: &str = "humanchat_socket_channels";
const CONNECTIONS: &str = "humanchat_database_connections";
const DATABASE_UP: &str = "humanchat_database_up";
const BUS_UP: &str = "humanchat_bus_up";
const JOBS: &str = "humanchat_jobs";
const OLDEST: &str = "humanchat_jobs_oldest_seconds";
const PAUSED: &str = "humanchat_queue_paused";
const HOLDS: &str = "humanchat_payment_holds_expiring";

/// Format and version: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// The process' recorder, which knows by now what is measured here.
pub(crate) fn recorder() -> anyhow::Result<PrometheusHandle> {
    let handle = measurements::recorder()?;
    describe_counter!(REQUESTS, "Requests answered, by method, route and status");
    describe_histogram!(DURATION, "How long requests took, by method and route");
    describe_gauge!(SOCKETS, "Open sockets");
    describe_gauge!(CHANNELS, "Channels that sockets of this process listen to");
    describe_gauge!(CONNECTIONS, "Connections to Postgres, by state (idle, used)");
    describe_gauge!(DATABASE_UP, "Whether Postgres answers");
    describe_gauge!(BUS_UP, "Whether Redis is connected; 1 where none is configured");
    describe_gauge!(JOBS, "Jobs by queue and state (waiting, scheduled, running, parked), the same in every process");
    describe_gauge!(OLDEST, "How long the job of a queue that is due the longest has waited; 0 while it is paused");
    describe_gauge!(PAUSED, "Whether an operator paused a queue");
    describe_gauge!(HOLDS, "Cards held for payments that end within a day, the same in every process");
    Ok(handle)
}

/// Counts a request. `route` is the path as it was registered: one label for all ids.
pub(crate) fn answered(method: &Method, route: &str, status: StatusCode, took: Duration) {
    // Clients may invent methods, and each label is kept for ever.
    let method = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    counter!(REQUESTS, "method" => method, "route" => route.to_owned(), "status" => status.as_u16().to_string())
        .increment(1);
    histogram!(DURATION, "method" => method, "route" => route.to_owned()).record(took);
}

/// Measurements for Prometheus, in its text format.
#[utoipa::path(get, path = "/metrics", tag = "Operation", security(()),
    responses((status = 200, description = "Prometheus' text format", content_type = "text/plain", body = String)))]
async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let store = &app.store;
    let (sockets, channels) = app.hub.size();
    gauge!(SOCKETS).set(count(sockets));
    gauge!(CHANNELS).set(count(channels));
    let connections = store.connections();
    gauge!(CONNECTIONS, "state" => "idle").set(count(connections.idle));
    gauge!(CONNECTIONS, "state" => "used").set(count(connections.used));
    gauge!(BUS_UP).set(f64::from(store.bus().is_connected()));
    gauge!(DATABASE_UP).set(f64::from(app.measured.get(measure_stored(store)).await));
    ([(CONTENT_TYPE, MEDIA_TYPE)], app.recorder.render())
}

/// Reads what stands in the queues and which holds end; false when Postgres doesn't say.
async fn measure_stored(store: &Store) -> bool {
    let Ok(backlogs) = queue::backlogs(store).await else { return false };
    for backlog in backlogs {
        let states = [
            ("waiting", backlog.waiting),
            ("scheduled", backlog.scheduled),
            ("running", backlog.running),
            ("parked", backlog.parked),
        ];
        for (state, jobs) in states {
            gauge!(JOBS, "queue" => backlog.queue.clone(), "state" => state).set(count(jobs));
        }
        // What an operator holds up isn't late.
        let oldest = if backlog.paused_at.is_none() { backlog.oldest_seconds } else { 0.0 };
        gauge!(OLDEST, "queue" => backlog.queue.clone()).set(oldest);
        gauge!(PAUSED, "queue" => backlog.queue).set(f64::from(backlog.paused_at.is_some()));
    }
    let Ok(holds) = payments::holds_expiring(store).await else { return false };
    gauge!(HOLDS).set(count(holds));
    true
}

/// A number of things as the float that Prometheus wants.
fn count(things: impl TryInto<u32>) -> f64 {
    things.try_into().unwrap_or(u32::MAX).into()
}
