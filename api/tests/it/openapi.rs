//! The OpenAPI document: committed, complete, and honest about errors.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::support::api;

/// Every code this api answers with.
pub const CODES: [&str; 37] = [
    "malformed_request",
    "unauthenticated",
    "invalid_credentials",
    "token_expired",
    "forbidden",
    "resource_not_found",
    "invite_resolved",
    "request_resolved",
    "host_offline",
    "host_busy",
    "requester_busy",
    "request_required",
    "slot_unavailable",
    "price_changed",
    "payment_required",
    "invalid_transition",
    "last_admin",
    "upstream_failed",
    "upstream_timeout",
    "email_taken",
    "action_resolved",
    "action_stale",
    "action_expired",
    "idempotency_in_flight",
    "invite_expired",
    "link_expired",
    "payload_too_large",
    "unsupported_media_type",
    "validation_failed",
    "idempotency_key_reused",
    "service_unavailable",
    "internal_error",
    "method_not_allowed",
    "rate_limited",
    "request_timeout",
    "uri_too_long",
    "headers_too_large",
];

/// Every operation whose answer is kept for an `Idempotency-Key`.
const KEYED: [&str; 21] = [
    "post /api/admin/announcements",
    "post /api/admin/jobs/{id}/cancel",
    "post /api/admin/jobs/{id}/retry",
    "post /api/admin/queues/{name}/pause",
    "post /api/admin/queues/{name}/resume",
    "post /api/conversations",
    "post /api/conversations/connect",
    "post /api/conversations/invites/{id}/accept",
    "post /api/conversations/invites/{id}/cancel",
    "post /api/conversations/invites/{id}/convert",
    "post /api/conversations/invites/{id}/decline",
    "post /api/conversations/{id}/messages",
    "post /api/conversations/{id}/read",
    "post /api/notifications/read",
    "post /api/payments/donation",
    "post /api/payments/session",
    "post /api/payments/{id}/refund",
    "post /api/requests",
    "post /api/sam",
    "post /api/sam/actions",
    "post /api/sessions",
];

/// An operation of the document.
pub struct Operation {
    pub method: String,
    pub path: String,
    pub body: Value,
}

impl Operation {
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub fn responses(&self) -> &Map<String, Value> {
        self.body["responses"].as_object().unwrap()
    }

    /// Whether a refusal of this status and code is documented.
    pub fn may_refuse(&self, status: u16, code: &str) -> bool {
        let described = self.responses().get(&status.to_string()).and_then(|answer| answer["description"].as_str());
        described.is_some_and(|text| text.contains(&format!("`{code}`")))
    }

    /// Whether it can be named by an `Idempotency-Key`.
    pub fn takes_key(&self) -> bool {
        let parameters = self.body["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|parameter| parameter["name"] == "Idempotency-Key"))
    }

    pub fn needs_login(&self) -> bool {
        self.body.get("security").is_none()
    }
}

pub fn document() -> Value {
    serde_json::to_value(humanchat_api::openapi()).unwrap()
}

pub fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let operations = item.as_object().unwrap().clone().into_iter();
        operations.map(|(method, body)| Operation { method, path: path.clone(), body }).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[tokio::test]
async fn the_committed_document_is_the_one_the_routes_make() {
    let committed = include_str!("../../../openapi.yaml");
    let made = humanchat_api::openapi_yaml().unwrap();
    assert!(committed == made, "run: cargo run -p humanchat-api -- openapi > openapi.yaml");
    let api = api().await;
    let served = api.anonymous(reqwest::Method::GET, "/openapi.yaml", None).await;
    assert!(served.text == made, "the one that is served differs");
    assert_eq!(api.anonymous(reqwest::Method::GET, "/openapi.json", None).await.ok(200), document());
}

#[test]
fn no_word_is_a_truth_value_to_older_readers_of_yaml() {
    let yaml = humanchat_api::openapi_yaml().unwrap();
    let value = |line: &str| line.trim_start_matches([' ', '-']).rsplit(": ").next().map(str::to_lowercase);
    let wrong = yaml
        .lines()
        .find(|line| value(line).is_some_and(|word| ["on", "off", "yes", "no", "y", "n"].contains(&&*word)));
    assert_eq!(wrong, None);
}

#[test]
fn sockets_are_documented_whole() {
    fn names(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                let of_type = fields.get("properties").and_then(|fields| fields["type"]["enum"][0].as_str());
                found.extend(of_type.map(ToOwned::to_owned));
                fields.values().for_each(|value| names(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| names(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut all = BTreeSet::new();
    for schema in ["ClientFrame", "ServerFrame", "Event"] {
        names(&document["components"]["schemas"][schema], &mut all);
    }
    assert!(all.contains("subscribe") && all.contains("pong") && all.contains("notification.read"), "{all:?}");
    assert!(all.len() >= 25, "{all:?}");
    let page = include_str!("../../../docs/sockets.md");
    for name in all {
        assert!(
            page.contains(&format!("`{name}`")) || page.contains(&format!("\"{name}\"")),
            "docs/sockets.md lacks {name}"
        );
    }
}

#[test]
fn words_out_of_a_few_are_explained() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut explained = 0;
    for (name, schema) in schemas.iter().filter(|(_, schema)| schema.get("enum").is_some()) {
        let description = schema["description"].as_str().unwrap_or_default();
        for word in schema["enum"].as_array().unwrap() {
            assert!(
                description.contains(&format!("- `{}`: ", word.as_str().unwrap())),
                "{name} doesn't explain {word}"
            );
        }
        explained += 1;
    }
    assert!(explained > 20, "{explained}");
}

#[test]
fn every_operation_says_what_it_does_and_how_it_fails() {
    let document = document();
    let operations = operations(&document);
    assert!(operations.len() > 25, "{}", operations.len());
    let tags: BTreeSet<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].clone().to_string()).collect();
    let mut ids = BTreeSet::new();
    for operation in &operations {
        let name = operation.name();
        let body = &operation.body;
        assert!(body["summary"].as_str().is_some_and(|text| text.len() > 5), "{name} has no summary");
        assert!(
            body["tags"].as_array().is_some_and(|list| list.iter().all(|tag| tags.contains(&tag.to_string()))),
            "{name}"
        );
        assert!(ids.insert(body["operationId"].to_string()), "{name} shares its id");
        let responses = operation.responses();
        assert!(responses.keys().any(|status| status.starts_with(['1', '2'])), "{name} never succeeds");
        assert!(operation.may_refuse(500, "internal_error"), "{name}");
        if operation.needs_login() {
            for code in ["unauthenticated", "token_expired"] {
                assert!(operation.may_refuse(401, code), "{name} {code}");
            }
        }
        if operation.path.contains('{') && operation.needs_login() {
            assert!(operation.may_refuse(404, "resource_not_found"), "{name}");
        }
        if ["post", "put", "patch"].contains(&operation.method.as_str()) {
            for (status, code) in [(400, "malformed_request"), (413, "payload_too_large")] {
                assert!(operation.may_refuse(status, code), "{name} {code}");
            }
            // What the payment provider sends is bytes that were signed.
            let is_ours = body["tags"][0] != "Webhooks";
            for (status, code) in [(415, "unsupported_media_type"), (422, "validation_failed")] {
                assert_eq!(operation.may_refuse(status, code), is_ours, "{name} {code}");
            }
        }
        // Of what operators ask for, readiness alone needs anything.
        let needs_nothing = body["tags"][0] == "Operation" && operation.path != "/health/ready";
        assert_eq!(responses.contains_key("503"), !needs_nothing, "{name}");
        for (status, response) in responses {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} {status}");
            // Without Postgres, /health/ready answers as it always does.
            if status.starts_with(['4', '5']) && operation.path != "/health/ready" {
                let schema = &response["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(*schema, "#/components/schemas/ErrorBody", "{name} {status}");
            }
        }
    }
}

#[test]
fn every_code_is_documented_where_it_can_happen() {
    let document = document();
    let operations = operations(&document);
    let described: String =
        operations.iter().flat_map(|operation| operation.responses().values()).map(Value::to_string).collect();
    let general = document["info"]["description"].as_str().unwrap();
    // Not of an operation but of there being none; limits are counted elsewhere.
    for code in CODES.iter().filter(|code| !["rate_limited"].contains(code)) {
        assert!(
            described.contains(&format!("`{code}`")) || general.contains(&format!("`{code}`")),
            "{code} is nowhere"
        );
    }
}

#[test]
fn exactly_the_operations_that_keep_their_answer_take_a_key() {
    let operations = operations(&document());
    let mut keyed = Vec::new();
    for operation in &operations {
        let mut parameters = operation.body["parameters"].as_array().into_iter().flatten();
        let takes_key = parameters.any(|parameter| parameter["name"] == "Idempotency-Key");
        for (status, code) in [(409, "idempotency_in_flight"), (422, "idempotency_key_reused")] {
            assert_eq!(operation.may_refuse(status, code), takes_key, "{} {code}", operation.name());
        }
        if takes_key {
            keyed.push(operation.name());
        }
    }
    keyed.sort();
    assert_eq!(keyed, KEYED);
}

#[test]
fn every_reference_leads_somewhere() {
    fn visit(value: &Value, document: &Value, seen: &mut usize) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    let pointer = target.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
                    *seen += 1;
                }
                map.values().for_each(|value| visit(value, document, seen));
            }
            Value::Array(values) => values.iter().for_each(|value| visit(value, document, seen)),
            _ => {}
        }
    }
    let document = document();
    let mut seen = 0;
    visit(&document, &document, &mut seen);
    assert!(seen > 100, "{seen}");
}
