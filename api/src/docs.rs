//! The OpenAPI document: drawn from the routes, completed with what is true of all of them.

use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, ContentBuilder, ObjectBuilder, RefOr, Required, Response, ResponseBuilder,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        schema::Type,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::{
    edge::error::{ErrorBody, ErrorDetail},
    realtime::{ClientFrame, EventFrame, ServerFrame},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "HumanChat API",
        description = "People find people to talk with: free, paid or for charity.\n\n\
            Ids are opaque strings. Times are RFC 3339 in UTC with milliseconds; `timestamp` is milliseconds since the epoch. \
            Prices and rates are decimal numbers in major units of `currency`, `amount…` are integers in minor units.\n\n\
            **Signing in** gives a token for `Authorization: Bearer`, which is good for 15 minutes, and a refresh token, which is good for one use. \
            **Limits**: 10 requests a minute and address to sign in or up, 60 a minute for each user and address, 30 a minute for staff on \
            their routes; beyond, 429 with `Retry-After`. \
            **Lists** come in pages of `limit` (1 to 100, by default 20); `nextCursor` is the next page's `cursor`, and absent on the last. \
            **Sockets** tell of what happens: the frames are `ClientFrame`, `ServerFrame` and `EventFrame`.\n\n\
            Errors come as `{\"error\": {\"code\", \"message\", \"details\"}}`; codes are stable. Bodies are closed: an unknown field is 422. \
            Every answer has `X-Request-Id`. POSTs of who is signed in take `Idempotency-Key`: the first reply again, for 24 hours. \
            A path that isn't here is 404 `resource_not_found`, a method that its path doesn't take 405 `method_not_allowed`. \
            A target or headers over 32 KiB are 414 `uri_too_long` and 431 `headers_too_large`, a request that doesn't come \
            in time is 408 `request_timeout`, and what isn't HTTP is 400 `malformed_request`.",
        license(name = "MIT", identifier = "MIT")
    ),
    components(schemas(ErrorBody, ErrorDetail, ClientFrame, ServerFrame, EventFrame)),
    security(("bearer" = [])),
    modifiers(&Bearer),
    tags(
        (name = "Authentication", description = "Signing up, signing in, staying signed in"),
        (name = "Users", description = "Profiles, search, presence"),
        (name = "Conversations", description = "Conversations and their messages"),
        (name = "Invites", description = "Talking at once"),
        (name = "Requests", description = "Asking to talk"),
        (name = "Availability", description = "When hosts can be booked"),
        (name = "Sessions", description = "Talks, at once or booked"),
        (name = "Sam", description = "The concierge: finds people and proposes; what it proposes happens when it is confirmed. While it \
            writes, `sam.delta` tells listeners of its conversation what it has so far; `message.created` tells what counts"),
        (name = "Payments", description = "Held before, taken after. Amounts are integers in minor units; who pays and who is \
            paid hear `payment.updated` on `sessions:{userId}`"),
        (name = "Webhooks", description = "For the payment provider"),
        (name = "Notifications", description = "What concerns the caller, and what of it is mailed"),
        (name = "Staff", description = "For managers and admins: members, numbers, the audit log, jobs and queues"),
        (name = "Sockets", description = "Realtime: frames are `ClientFrame`, `ServerFrame` and `EventFrame`. `subscribe` to `conversation:{id}`, `sessions:{userId}`, `status:{userId}`, \
            `notifications:{userId}`. On `status:{userId}` the first `status.changed` says how things stand. A client may say 200 \
            frames at once and 50 a second after that; beyond, it is read more slowly. While too many sockets are being \
            opened, a request waits up to ten seconds, then it is 503 with `Retry-After`. Closed with: 1002 (protocol), 1007 \
            (not UTF-8), 1009 (over 64 KiB), 1012 (restarting: open another), 4001 (the tab has a newer socket), 4003 (the \
            login ended), 4004 (the role changed: open another), 4008 (1 MiB waits for a client that doesn't read), 4009 \
            (nothing heard for a minute)"),
        (name = "Operation", description = "Health"),
    )
)]
pub(crate) struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let mut http = Http::new(HttpAuthScheme::Bearer);
        http.bearer_format = Some("JWT".to_owned());
        components.add_security_scheme("bearer", SecurityScheme::Http(http));
    }
}

/// The document as YAML that readers of YAML 1.1 understand as well: to them a bare `off` means false.
pub(crate) fn yaml(document: &openapi::OpenApi) -> anyhow::Result<String> {
    Ok(document.to_yaml()?.replace("- off\n", "- 'off'\n"))
}

/// Adds to every operation the errors it can end in because of what it is: signed in, with a body,
/// with an id in its path.
pub(crate) fn complete(mut document: openapi::OpenApi) -> openapi::OpenApi {
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.delete].into_iter().flatten() {
            complete_operation(operation, false);
        }
        for operation in [&mut item.post, &mut item.put, &mut item.patch].into_iter().flatten() {
            complete_operation(operation, true);
        }
        if let Some(operation) = item.post.as_mut().filter(|operation| takes_key(operation)) {
            complete_keyed(operation);
        }
    }
    document
}

/// Whether the operation stands for no login at all.
fn is_open(operation: &Operation) -> bool {
    operation.security.as_ref().is_some_and(|security| security.len() == 1)
}

/// Those that do the same when they are repeated, or whose answer isn't kept because it is secret.
const NOT_KEYED: [&str; 3] = ["logout", "issue_socket_ticket", "open_payout_account"];

/// Whether a POST can be named: all that need a login, but for a few.
fn takes_key(operation: &Operation) -> bool {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    !is_open(operation) && !NOT_KEYED.contains(&id)
}

fn idempotency_key() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "1–255 printable ASCII characters. The same key and body again: the first reply, with \
             `Idempotency-Replayed: true`; another body: 422 `idempotency_key_reused`; while the first still runs: \
             409 `idempotency_in_flight`. Kept for 24 hours; replies of 500 and above are not.",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255))))
        .build()
}

fn complete_keyed(operation: &mut Operation) {
    operation.parameters.get_or_insert_default().push(RefOr::T(idempotency_key()));
    for (status, code) in [("409", "`idempotency_in_flight`"), ("422", "`idempotency_key_reused`")] {
        let entry = operation.responses.responses.entry(status.to_owned());
        let RefOr::T(response) = entry.or_insert_with(|| RefOr::T(Response::default())) else { continue };
        if response.description.is_empty() {
            code.clone_into(&mut response.description);
        } else {
            response.description = format!("{}; {code}", response.description);
        }
        complete_response(status, response);
    }
}

fn complete_operation(operation: &mut Operation, has_body: bool) {
    let is_open = is_open(operation);
    let is_tagged = |name: &str| operation.tags.iter().flatten().any(|tag| tag == name);
    let (is_webhook, is_operators) = (is_tagged("Webhooks"), is_tagged("Operation"));
    // What it says is read as bytes.
    let is_ours = has_body && !is_webhook;
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    let has = |place: ParameterIn| {
        parameters.iter().any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == place))
    };
    let (has_query, has_id) = (has(ParameterIn::Query), has(ParameterIn::Path));
    let common = [
        (has_body || has_query, "400", "`malformed_request`"),
        (!is_open, "401", "`unauthenticated`, `token_expired`"),
        (has_id, "404", "`resource_not_found`: missing, or not the caller's"),
        (has_body, "408", "`request_timeout`: the body did not come in time"),
        (has_body, "413", "`payload_too_large`: over 64 KiB"),
        (is_ours, "415", "`unsupported_media_type`"),
        (is_ours, "422", "`validation_failed` with `details.fields`"),
        (!is_webhook && !is_operators, "429", "`rate_limited`, with `Retry-After` in seconds"),
        (true, "500", "`internal_error`"),
        (!is_operators, "503", "`service_unavailable`, with `Retry-After`"),
    ];
    let responses = &mut operation.responses.responses;
    for (_, status, description) in common.into_iter().filter(|(applies, ..)| *applies) {
        let described = || ResponseBuilder::new().description(description).build();
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(described()));
    }
    for (status, response) in responses.iter_mut() {
        if let RefOr::T(response) = response {
            complete_response(status, response);
        }
    }
}

fn complete_response(status: &str, response: &mut Response) {
    if response.description.is_empty() {
        status_text(status).clone_into(&mut response.description);
    }
    if status.starts_with(['4', '5']) && response.content.is_empty() {
        let schema = openapi::Ref::from_schema_name("ErrorBody");
        let content = ContentBuilder::new().schema(Some(RefOr::Ref(schema))).build();
        response.content.insert("application/json".to_owned(), RefOr::T(content));
    }
}

fn status_text(status: &str) -> &'static str {
    status
        .parse::<u16>()
        .ok()
        .and_then(|status| axum::http::StatusCode::from_u16(status).ok())
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Answer")
}
