//! Events: what happened, with the object as it was then.

use serde_json::{Value, json};

use super::table::Row;
use super::{API_VERSION, Cause, World};
use crate::api::error::ApiError;
use crate::api::params::Params;

/// An event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    id: String,
    created: i64,
    kind: &'static str,
    object: Value,
    cause: Cause,
}

impl Event {
    /// `payment_intent.succeeded` and the like.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }
}

impl Row for Event {
    const KIND: &'static str = "event";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.created,
            "data": {"object": self.object},
            "livemode": false,
            "pending_webhooks": 1,
            "request": {"id": self.cause.request_id, "idempotency_key": self.cause.idempotency_key},
            "type": self.kind,
        })
    }
}

impl World {
    /// Notes that something happened to the object `id`.
    pub(crate) fn emit(&mut self, kind: &'static str, id: &str) {
        let object = self.json(id).unwrap_or_default();
        let event = Event { id: self.id("evt"), created: self.now, kind, object, cause: self.cause.clone() };
        self.events.insert(event);
    }

    /// `GET /v1/events`
    pub(crate) fn list_events(&self, params: &mut Params) -> Result<Value, ApiError> {
        let mut kinds = params.texts("types")?;
        kinds.extend(params.text("type")?);
        params.ignore(&["delivery_success"]);
        let wanted = |kind: &str| {
            kinds.is_empty()
                || kinds.iter().any(|pattern| match pattern.strip_suffix('*') {
                    Some(start) => kind.starts_with(start),
                    None => kind == pattern,
                })
        };
        self.events.page("/v1/events", params, |event| wanted(event.kind))
    }
}
