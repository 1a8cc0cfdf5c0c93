//! Refusals in Stripe's words: `{"error": {type, code, message, param, …}}` and their statuses.
//!
//! Names of types and codes: <https://docs.stripe.com/api/errors>, <https://docs.stripe.com/error-codes>.

use serde_json::{Map, Value, json};

/// A refusal.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: u16,
    body: Map<String, Value>,
    /// Whether an idempotency key remembers it. Requests refused for their parameters haven't begun, and
    /// what hasn't begun isn't remembered.
    remembered: bool,
}

impl ApiError {
    fn new(status: u16, kind: &str, code: Option<&str>, message: &str) -> Self {
        let mut body = Map::new();
        body.insert("type".to_owned(), kind.into());
        if let Some(code) = code {
            body.insert("code".to_owned(), code.into());
            body.insert(
                "doc_url".to_owned(),
                format!("https://docs.stripe.com/error-codes#{}", code.replace('_', "-")).into(),
            );
        }
        body.insert("message".to_owned(), message.into());
        Self { status, body, remembered: false }
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.body.insert(key.to_owned(), value.into());
        self
    }

    fn remembered(mut self) -> Self {
        self.remembered = true;
        self
    }

    fn request(code: Option<&str>, message: &str) -> Self {
        Self::new(400, "invalid_request_error", code, message)
    }

    /// A parameter has a wrong value.
    pub(crate) fn invalid(param: &str, message: &str) -> Self {
        Self::request(None, message).with("param", param)
    }

    /// A parameter has a wrong value, and Stripe has a code for how.
    pub(crate) fn invalid_as(code: &str, param: &str, message: &str) -> Self {
        Self::request(Some(code), message).with("param", param)
    }

    /// A parameter is missing.
    pub(crate) fn missing(param: &str) -> Self {
        Self::invalid_as("parameter_missing", param, &format!("Missing required param: {param}."))
    }

    /// A parameter is an empty text.
    pub(crate) fn empty(param: &str) -> Self {
        let message = format!(
            "You passed an empty string for '{param}'. We assume empty values are an attempt to unset a parameter; \
             however '{param}' cannot be unset."
        );
        Self::invalid_as("parameter_invalid_empty", param, &message)
    }

    /// A parameter isn't a whole number.
    pub(crate) fn not_an_integer(param: &str, text: &str) -> Self {
        Self::invalid_as("parameter_invalid_integer", param, &format!("Invalid integer: {text}"))
    }

    /// There is no such parameter.
    pub(crate) fn unknown_param(param: &str) -> Self {
        Self::invalid_as("parameter_unknown", param, &format!("Received unknown parameter: {param}"))
    }

    /// A property that isn't the id of an object can't be expanded. This is found out when all is done.
    pub(crate) fn not_expandable(path: &str) -> Self {
        Self::request(None, &format!("This property cannot be expanded ({path}).")).remembered()
    }

    /// The object in the address doesn't exist.
    pub(crate) fn no_such(kind: &str, param: &str, id: &str) -> Self {
        let mut error = Self::no_such_param(kind, param, id);
        error.status = 404;
        error
    }

    /// The object that a parameter names doesn't exist.
    pub(crate) fn no_such_param(kind: &str, param: &str, id: &str) -> Self {
        Self::invalid_as("resource_missing", param, &format!("No such {kind}: '{id}'"))
    }

    /// The address leads nowhere.
    pub(crate) fn no_route(method: &str, path: &str) -> Self {
        Self::new(404, "invalid_request_error", None, &format!("Unrecognized request URL ({method}: {path})."))
    }

    /// No key, or a wrong one.
    pub(crate) fn unauthorized(message: &str) -> Self {
        Self::new(401, "invalid_request_error", None, message)
    }

    /// The object's state doesn't allow this.
    pub(crate) fn state(code: &str, message: &str) -> Self {
        Self::request(Some(code), message).remembered()
    }

    /// The intent's state doesn't allow this. `intent` is the intent as JSON, under its name in the error.
    pub(crate) fn intent_state(kind: &str, message: &str, intent: Value) -> Self {
        Self::state(&format!("{kind}_unexpected_state"), message).with(kind, intent)
    }

    /// The card was declined.
    pub(crate) fn card(decline: &Decline, charge: Option<&str>, kind: &str, intent: Value) -> Self {
        let mut error = Self::new(402, "card_error", Some(decline.code), decline.message).with(kind, intent);
        if let Some(code) = decline.reason {
            error = error.with("decline_code", code);
        }
        if let Some(charge) = charge {
            error = error.with("charge", charge);
        }
        error.remembered()
    }

    /// A key was used with other parameters, or for another address, before.
    pub(crate) fn idempotency(message: &str) -> Self {
        Self::new(400, "idempotency_error", None, message)
    }

    /// The first request under this key is still under way.
    pub(crate) fn key_in_use(key: &str) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Idempotent Key (that probably means you \
             submitted twice, and the other request is still going through): {key}. Please try again later."
        );
        Self::new(409, "idempotency_error", Some("idempotency_key_in_use"), &message)
    }

    /// Too many requests.
    pub(crate) fn rate_limit() -> Self {
        Self::new(429, "invalid_request_error", Some("rate_limit"), "Request rate limit exceeded.")
    }

    /// Stripe's own mistake.
    pub(crate) fn internal() -> Self {
        Self::new(500, "api_error", None, "An unknown error occurred").remembered()
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// Whether an idempotency key remembers it.
    pub(crate) fn is_remembered(&self) -> bool {
        self.remembered
    }

    /// What it says to people.
    pub(crate) fn message(&self) -> &str {
        self.body.get("message").and_then(Value::as_str).unwrap_or_default()
    }

    /// The body of the answer.
    pub(crate) fn json(&self) -> Value {
        json!({"error": self.body})
    }

    #[cfg(test)]
    pub(crate) fn param(&self) -> Option<&str> {
        self.body.get("param").and_then(Value::as_str)
    }

    /// What the machine-readable name of the refusal is.
    #[cfg(test)]
    pub(crate) fn code(&self) -> Option<&str> {
        self.body.get("code").and_then(Value::as_str)
    }
}

/// Why a card was declined: <https://docs.stripe.com/declines/codes>.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decline {
    pub(crate) code: &'static str,
    /// Stripe's `decline_code`.
    pub(crate) reason: Option<&'static str>,
    pub(crate) message: &'static str,
}

impl Decline {
    /// As it stands in an intent's `last_payment_error`.
    pub(crate) fn json(&self, charge: Option<&str>, payment_method: &Value) -> Value {
        let mut error = json!({
            "type": if self.code == "payment_intent_authentication_failure" { "invalid_request_error" } else { "card_error" },
            "code": self.code,
            "message": self.message,
            "doc_url": format!("https://docs.stripe.com/error-codes#{}", self.code.replace('_', "-")),
            "payment_method": payment_method,
        });
        if let Some(code) = self.reason {
            error["decline_code"] = code.into();
        }
        if let Some(charge) = charge {
            error["charge"] = charge.into();
        }
        error
    }
}
