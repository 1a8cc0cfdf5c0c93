//! The error envelope: which refusal has which status and code.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use humanchat_domain::{
    error::{Error, Refusal},
    idempotency::Reply,
    money::Price,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{batch::Unreadable, server::Fault};

/// What a client is told when something did not happen.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// The one error.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ErrorDetail {
    /// Stable: one per cause.
    #[schema(value_type = String, example = "resource_not_found")]
    pub code: Cow<'static, str>,
    /// For people; may change.
    #[schema(example = "conversation not found")]
    pub message: String,
    /// More by code: `fields` (field to reason) for `validation_failed`, `status` for
    /// `invite_resolved`, `request_resolved` and `action_resolved`, `price` and `currency` for
    /// `price_changed`, `changes` (fact to `{proposed, now}`) for `action_stale`.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
}

/// An answer that says no.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    body: ErrorBody,
    retry_after_secs: Option<u32>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let error = ErrorDetail { code: Cow::Borrowed(code), message: message.into(), details: Map::new() };
        Self { status, body: ErrorBody { error }, retry_after_secs: None }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", message)
    }

    pub(crate) fn timed_out(message: &str) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    }

    pub(crate) fn unauthenticated() -> Self {
        Refusal::Unauthenticated.into()
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(crate) fn not_found(what: &'static str) -> Self {
        Refusal::NotFound(what).into()
    }

    pub(crate) fn invalid(fields: BTreeMap<String, String>) -> Self {
        Refusal::Invalid(fields).into()
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "something went wrong on our side")
    }

    pub(crate) fn unavailable(message: &str) -> Self {
        Self::unavailable_for(message, 1)
    }

    pub(crate) fn unavailable_for(message: &str, retry_after_secs: u32) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", message);
        error.retry_after_secs = Some(retry_after_secs);
        error
    }

    fn rate_limited(wait: Duration) -> Self {
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests: try again later");
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        error.retry_after_secs = Some(u32::try_from(seconds).unwrap_or(u32::MAX).max(1));
        error
    }

    fn with_detail(mut self, name: &str, value: Value) -> Self {
        self.body.error.details.insert(name.to_owned(), value);
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn code(&self) -> &str {
        &self.body.error.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.body.error.message
    }

    /// How long to wait before another try, where one may help.
    pub(crate) fn retry_after_secs(&self) -> Option<u32> {
        self.retry_after_secs
    }

    /// What a repetition of the request is answered with.
    pub(crate) fn reply(&self) -> Result<Reply, Error> {
        Ok(Reply { status: self.status.as_u16(), body: serde_json::to_string(&self.body)? })
    }

    pub(crate) fn body(&self) -> &ErrorBody {
        &self.body
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(seconds) = self.retry_after_secs {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        use StatusCode as S;
        let (status, code) = match &refusal {
            Refusal::NotFound(_) => (S::NOT_FOUND, "resource_not_found"),
            Refusal::Forbidden(_) => (S::FORBIDDEN, "forbidden"),
            Refusal::Invalid(_) => (S::UNPROCESSABLE_ENTITY, "validation_failed"),
            Refusal::BadCursor => (S::BAD_REQUEST, "malformed_request"),
            Refusal::EmailTaken => (S::CONFLICT, "email_taken"),
            Refusal::InvalidCredentials => (S::UNAUTHORIZED, "invalid_credentials"),
            Refusal::Unauthenticated => (S::UNAUTHORIZED, "unauthenticated"),
            Refusal::TokenExpired => (S::UNAUTHORIZED, "token_expired"),
            Refusal::LinkExpired => (S::GONE, "link_expired"),
            Refusal::InviteResolved(_) => (S::CONFLICT, "invite_resolved"),
            Refusal::InviteExpired => (S::GONE, "invite_expired"),
            Refusal::RequestResolved(_) => (S::CONFLICT, "request_resolved"),
            Refusal::HostOffline => (S::CONFLICT, "host_offline"),
            Refusal::HostBusy => (S::CONFLICT, "host_busy"),
            Refusal::RequesterBusy => (S::CONFLICT, "requester_busy"),
            Refusal::RequestRequired => (S::CONFLICT, "request_required"),
            Refusal::SlotUnavailable(_) => (S::CONFLICT, "slot_unavailable"),
            Refusal::PriceChanged { .. } => (S::CONFLICT, "price_changed"),
            Refusal::PaymentRequired(_) => (S::CONFLICT, "payment_required"),
            Refusal::LastAdmin => (S::CONFLICT, "last_admin"),
            Refusal::InvalidTransition(_) => (S::CONFLICT, "invalid_transition"),
            Refusal::ActionResolved(_) => (S::CONFLICT, "action_resolved"),
            Refusal::ActionStale(_) => (S::CONFLICT, "action_stale"),
            Refusal::ActionExpired => (S::GONE, "action_expired"),
            Refusal::IdempotencyKeyReused => (S::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            Refusal::IdempotencyInFlight => (S::CONFLICT, "idempotency_in_flight"),
            Refusal::UpstreamFailed(_) => (S::BAD_GATEWAY, "upstream_failed"),
            Refusal::UpstreamTimeout(_) => (S::GATEWAY_TIMEOUT, "upstream_timeout"),
            Refusal::Malformed(_) => (S::BAD_REQUEST, "malformed_request"),
            Refusal::RateLimited(wait) => return Self::rate_limited(*wait),
            Refusal::Unavailable(_) => return Self::unavailable(&refusal.to_string()),
        };
        let error = Self::new(status, code, refusal.to_string());
        match refusal {
            Refusal::Invalid(fields) => error.with_detail("fields", json!(fields)),
            Refusal::InviteResolved(status) | Refusal::RequestResolved(status) | Refusal::ActionResolved(status) => {
                error.with_detail("status", json!(status))
            }
            Refusal::ActionStale(changes) => error.with_detail("changes", json!(changes)),
            Refusal::PriceChanged { price_minor, currency } => error
                .with_detail("price", json!(Price::from_minor(price_minor, &currency)))
                .with_detail("currency", json!(currency)),
            _ => error,
        }
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        use StatusCode as S;
        match fault {
            Fault::Malformed(what) => Self::malformed(what),
            Fault::UriTooLong => Self::new(S::URI_TOO_LONG, "uri_too_long", "the request's target is too long"),
            Fault::HeadTooLarge => Self::new(
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                "the headers are more than 100, or larger than 32 KiB",
            ),
            Fault::TimedOut => Self::timed_out("the request's headers did not come in time"),
        }
    }
}

impl From<Error> for ApiError {
    /// The boundary where a failure is logged, once, with its whole chain; the client learns
    /// nothing of the inside.
    fn from(error: Error) -> Self {
        if let Error::Refused(refusal) = error {
            return refusal.into();
        }
        if error.is_bad_text() {
            return Self::invalid(BTreeMap::from([(
                "body".to_owned(),
                "contains text that can't be stored".to_owned(),
            )]));
        }
        let chain = chain(&error);
        if error.is_unavailable() {
            tracing::warn!(error = chain, "the database is not available");
            return Self::unavailable("the service is not available right now");
        }
        tracing::error!(error = chain, "a request failed");
        Self::internal()
    }
}

impl From<Unreadable> for ApiError {
    fn from(_: Unreadable) -> Self {
        Self::unavailable("the service is not available right now")
    }
}

/// An error with everything that led to it, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
