//! What Stripe's answers come down to.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::Value;
use stripe::StripeError;
use stripe_shared::{
    ApiErrors, ApiErrorsType, Charge, CheckoutSession, CheckoutSessionStatus, PaymentIntent, PaymentIntentStatus,
    SetupIntent, SetupIntentStatus,
};
use stripe_types::Expandable;

use super::PAYMENT_ID;
use crate::id::PaymentId;

/// Why a call did not end in what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Stripe said no: it did not happen, and the same call never will.
    Refused {
        /// Stripe's code, or the kind of error where it has none.
        code: String,
        /// For people.
        message: String,
    },
    /// It may have happened. `answered` says that Stripe is done with the request, badly.
    Unknown { answered: bool },
}

impl Failure {
    /// How operators call it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Unknown { .. } => "unknown",
        }
    }
}

impl From<StripeError> for Failure {
    fn from(error: StripeError) -> Self {
        let StripeError::Stripe(error, status) = error else { return Self::Unknown { answered: false } };
        // 409: another request of the same key is under way. 429: come again later. 401 and 403: our key is
        // wrong, and what it was used for is as good as ever once that is mended.
        if [401, 403, 409, 429].contains(&status) {
            return Self::Unknown { answered: false };
        }
        if status >= 500 {
            return Self::Unknown { answered: true };
        }
        Self::Refused { code: code(&error), message: error.message.unwrap_or_default() }
    }
}

/// Stripe's code of an error, or its kind where it has none.
fn code(error: &ApiErrors) -> String {
    let kind = match error.type_ {
        ApiErrorsType::CardError => "card_error",
        ApiErrorsType::IdempotencyError => "idempotency_error",
        _ => "invalid_request",
    };
    error.code.as_ref().map_or_else(|| kind.to_owned(), |code| code.as_str().to_owned())
}

/// How far an intent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Nobody has paid.
    Nothing,
    /// The card is authorised.
    All,
    /// The money was taken.
    Taken,
    /// It was let go.
    Released,
}

/// An intent as it stands at Stripe.
#[derive(Debug)]
pub(crate) struct Intent {
    pub id: String,
    pub payment_id: Option<PaymentId>,
    pub held: Held,
    pub amount_minor: i64,
    pub captured_minor: i64,
    pub refunded_minor: i64,
    pub currency: String,
    pub capture_before: Option<DateTime<Utc>>,
    pub client_secret: Option<SecretString>,
    /// Whether the charge that says what was refunded came with it.
    pub has_charge: bool,
    /// The charge that holds or took the money.
    pub charge_id: Option<String>,
    /// Whether its payer's bank was ever told that it is not theirs.
    pub is_disputed: bool,
    /// Why a card was declined for it at last.
    pub declined: Option<String>,
}

impl From<PaymentIntent> for Intent {
    fn from(intent: PaymentIntent) -> Self {
        let charge = intent.latest_charge.as_ref().and_then(Expandable::as_object);
        Self {
            held: match intent.status {
                PaymentIntentStatus::RequiresCapture => Held::All,
                PaymentIntentStatus::Succeeded => Held::Taken,
                PaymentIntentStatus::Canceled => Held::Released,
                _ => Held::Nothing,
            },
            payment_id: payment_id(&intent.metadata),
            amount_minor: intent.amount,
            captured_minor: intent.amount_received,
            refunded_minor: charge.map_or(0, returned),
            currency: intent.currency.to_string(),
            capture_before: charge.and_then(capture_before),
            has_charge: charge.is_some(),
            is_disputed: charge.is_some_and(|charge| charge.disputed),
            charge_id: intent.latest_charge.as_ref().map(|charge| charge.id().to_string()),
            declined: intent.last_payment_error.map(|error| code(&error)),
            client_secret: intent.client_secret.map(Into::into),
            id: intent.id.to_string(),
        }
    }
}

/// What was given back of what was taken. Stripe counts what a capture left over among it.
fn returned(charge: &Charge) -> i64 {
    let left_over = if charge.captured { charge.amount - charge.amount_captured } else { charge.amount_refunded };
    (charge.amount_refunded - left_over).max(0)
}

fn capture_before(charge: &Charge) -> Option<DateTime<Utc>> {
    let seconds = charge.payment_method_details.as_ref()?.card.as_ref()?.capture_before?;
    DateTime::from_timestamp(seconds, 0)
}

fn payment_id(metadata: &HashMap<String, String>) -> Option<PaymentId> {
    metadata.get(PAYMENT_ID)?.parse().ok()
}

/// A checkout as it stands at Stripe.
#[derive(Debug)]
pub(crate) struct Checkout {
    pub id: String,
    pub payment_id: Option<PaymentId>,
    /// Where to pay; none once it is over.
    pub url: Option<String>,
    pub expired: bool,
    /// The intent behind it, once there is one.
    pub intent_id: Option<String>,
}

impl From<CheckoutSession> for Checkout {
    fn from(checkout: CheckoutSession) -> Self {
        Self {
            id: checkout.id.to_string(),
            payment_id: checkout.metadata.as_ref().and_then(payment_id),
            url: checkout.url,
            expired: matches!(checkout.status, Some(CheckoutSessionStatus::Expired)),
            intent_id: checkout.payment_intent.map(|intent| intent.id().to_string()),
        }
    }
}

/// A setup intent as it stands at Stripe.
#[derive(Debug)]
pub(crate) struct Setup {
    pub id: String,
    pub payment_id: Option<PaymentId>,
    /// The card, once it is saved.
    pub method_id: Option<String>,
    pub client_secret: Option<SecretString>,
}

impl From<SetupIntent> for Setup {
    fn from(setup: SetupIntent) -> Self {
        let is_saved = setup.status == SetupIntentStatus::Succeeded;
        Self {
            id: setup.id.to_string(),
            payment_id: setup.metadata.as_ref().and_then(payment_id),
            method_id: setup.payment_method.filter(|_| is_saved).map(|method| method.id().to_string()),
            client_secret: setup.client_secret.map(Into::into),
        }
    }
}

/// What an event says, of which we only need whom to ask about.
#[derive(Debug)]
pub(crate) struct Notice {
    pub id: String,
    pub r#type: String,
    pub api_version: Option<String>,
    pub created: Option<DateTime<Utc>>,
    /// The intent, setup, checkout, transfer or account that it is about, if it is about one.
    pub object_id: Option<String>,
}

impl Notice {
    /// Reads an event of whatever version: only id and type must be there.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        Self::of(&serde_json::from_slice(body).ok()?)
    }

    pub(super) fn of(event: &Value) -> Option<Self> {
        let text = |name: &str| event[name].as_str().filter(|text| !text.contains('\0')).map(ToOwned::to_owned);
        Some(Self {
            id: text("id").filter(|id| is_id(id))?,
            r#type: text("type")?,
            api_version: text("api_version"),
            created: event["created"].as_i64().and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
            object_id: subject(&event["data"]["object"]).filter(|id| is_id(id)).map(ToOwned::to_owned),
        })
    }
}

/// What an object is or belongs to, if that is something we may know: an intent, setup, checkout, transfer or account.
fn subject(object: &Value) -> Option<&str> {
    match object["object"].as_str()? {
        "payment_intent" | "setup_intent" | "checkout.session" | "transfer" | "account" => object["id"].as_str(),
        // Its id, or all of it.
        "charge" | "refund" | "dispute" => {
            let intent = &object["payment_intent"];
            intent.as_str().or(intent["id"].as_str())
        }
        _ => None,
    }
}

fn is_id(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.contains('\0')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_an_event_only_id_and_type_must_be_there() {
        let intent = json!({"object": "payment_intent", "id": "pi_1"});
        for (event, object_id) in [
            (json!({"id": "evt_1", "type": "x"}), None),
            (json!({"id": "evt_1", "type": "x", "data": {"object": intent}}), Some("pi_1")),
            (
                json!({"id": "evt_1", "type": "x", "data": {"object": {"object": "charge", "payment_intent": "pi_1"}}}),
                Some("pi_1"),
            ),
            (
                json!({"id": "evt_1", "type": "x", "data": {"object": {"object": "refund", "payment_intent": intent}}}),
                Some("pi_1"),
            ),
            (
                json!({"id": "evt_1", "type": "x", "data": {"object": {"object": "charge", "payment_intent": null}}}),
                None,
            ),
            (json!({"id": "evt_1", "type": "x", "data": {"object": {"object": "payment_intent", "id": 1}}}), None),
            (json!({"id": "evt_1", "type": "x", "data": {"object": {"object": "payment_intent", "id": "\0"}}}), None),
            (
                json!({"id": "evt_1", "type": "x", "data": [], "created": "2099-01-01T00:00:00Z", "api_version": 2}),
                None,
            ),
            (json!({"id": "evt_1", "type": "x", "api_version": "\0", "created": i64::MAX}), None),
        ] {
            let notice = Notice::read(event.to_string().as_bytes()).unwrap();
            assert_eq!(notice.object_id.as_deref(), object_id, "{event}");
            assert_eq!((notice.created, notice.api_version), (None, None));
        }
        for event in
            [json!({}), json!([]), json!(null), json!({"id": "", "type": "x"}), json!({"id": "evt", "type": 1})]
        {
            assert!(Notice::read(event.to_string().as_bytes()).is_none(), "{event}");
        }
        let dated = json!({"id": "evt_1", "type": "x", "created": 7, "api_version": "v"});
        let notice = Notice::of(&dated).unwrap();
        assert_eq!((notice.created, notice.api_version), (DateTime::from_timestamp(7, 0), Some("v".to_owned())));
    }
}
