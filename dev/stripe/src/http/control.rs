//! `/_sim/…`: how tests and demonstrations steer the simulator.
//!
//! | route | what it does |
//! |---|---|
//! | `GET /_sim/state` | everything: intents with their money, requests seen, faults, webhooks |
//! | `POST /_sim/faults` | arms a rule: `{method?, path?, effect, times?, probability?, seed?, delay_ms?}` |
//! | `DELETE /_sim/faults` | forgets all rules |
//! | `PUT /_sim/webhooks` | `{paused?, duplicate?, shuffle_ms?, delay_ms?, drop?, seed?}`; what is absent is off |
//! | `POST /_sim/webhooks/endpoints` | one more place that gets events: `{url, secrets}` |
//! | `POST /_sim/events/{id}/resend` | sends an event again |
//! | `POST /_sim/clock` | moves the clock: `{advance_secs, everywhere?}`, with the listeners' clocks moved along or not |
//! | `POST /_sim/reset` | forgets everything but the webhook endpoints |

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::faults::Rule;
use crate::outbox::{Endpoint, Knobs};
use crate::simulator::{Shared, Simulator};

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/state", get(state))
        .route("/faults", post(arm).delete(disarm))
        .route("/webhooks", put(turn))
        .route("/webhooks/endpoints", post(add_endpoint))
        .route("/events/{id}/resend", post(resend))
        .route("/clock", post(advance))
        .route("/reset", post(reset))
}

async fn state(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(shared.with(|simulator| simulator.json()))
}

async fn arm(State(shared): State<Arc<Shared>>, Json(rule): Json<Rule>) -> StatusCode {
    shared.with(|simulator| simulator.faults.arm(rule));
    StatusCode::NO_CONTENT
}

async fn disarm(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.with(|simulator| simulator.faults.disarm());
    StatusCode::NO_CONTENT
}

async fn turn(State(shared): State<Arc<Shared>>, Json(knobs): Json<Knobs>) -> StatusCode {
    shared.with(|simulator| simulator.outbox.turn(knobs));
    shared.wake.notify_one();
    StatusCode::NO_CONTENT
}

async fn add_endpoint(State(shared): State<Arc<Shared>>, Json(endpoint): Json<Endpoint>) -> StatusCode {
    shared.with(|simulator| simulator.outbox.add_endpoint(endpoint));
    StatusCode::NO_CONTENT
}

async fn resend(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> StatusCode {
    let found = shared.with(|simulator| {
        let event = simulator.world.events.get(&id);
        event.map(|event| simulator.outbox.post(event)).is_some()
    });
    shared.wake.notify_one();
    if found { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_secs: u32,
    #[serde(default)]
    everywhere: bool,
}

async fn advance(State(shared): State<Arc<Shared>>, Json(body): Json<Advance>) -> Json<Value> {
    Json(shared.with(|simulator| {
        simulator.advance(body.advance_secs, body.everywhere);
        json!({"now": simulator.world.now})
    }))
}

async fn reset(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.with(Simulator::reset);
    StatusCode::NO_CONTENT
}
