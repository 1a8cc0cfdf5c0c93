//! Payment intents: what they are, how they are made, read and changed. [`super::payment`] moves their money.

use serde::Serialize;
use serde_json::{Value, json};

use super::World;
use super::table::Row;
use super::wish::{Wish, take_method_types};
use crate::api::error::{ApiError, Decline};
use crate::api::params::{Params, merge_metadata};

/// Where an intent stands: <https://docs.stripe.com/payments/paymentintents/lifecycle>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    RequiresCapture,
    Succeeded,
    Canceled,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::RequiresCapture => "requires_capture",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

/// A payment intent.
#[derive(Debug, Clone)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) client_secret: String,
    pub(crate) status: Status,
    pub(crate) wish: Wish,
    pub(crate) method: Option<String>,
    pub(crate) latest_charge: Option<String>,
    pub(crate) amount_capturable: i64,
    pub(crate) amount_received: i64,
    pub(crate) canceled: Option<(i64, Option<&'static str>)>,
    pub(crate) last_payment_error: Option<(Decline, Option<String>, Value)>,
    /// Where the customer shows who they are, while that is asked.
    pub(crate) next_action: Option<Value>,
    pub(crate) return_url: Option<String>,
}

impl Row for PaymentIntent {
    const KIND: &'static str = "payment_intent";
    const PARAM: &'static str = "intent";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        let Wish { more, .. } = &self.wish;
        let error = self.last_payment_error.as_ref();
        json!({
            "id": self.id,
            "object": "payment_intent",
            "allowed_payment_method_types": null,
            "amount": self.wish.amount,
            "amount_capturable": self.amount_capturable,
            "amount_details": {"tip": {}},
            "amount_received": self.amount_received,
            "application": null,
            "application_fee_amount": more.application_fee_amount,
            "automatic_payment_methods": {"allow_redirects": "always", "enabled": true},
            "canceled_at": self.canceled.map(|(time, _)| time),
            "cancellation_reason": self.canceled.and_then(|(_, reason)| reason),
            "capture_method": self.wish.capture_method,
            "client_secret": self.client_secret,
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": self.wish.currency,
            "customer": self.wish.customer,
            "description": more.description,
            "excluded_payment_method_types": null,
            "last_payment_error": error.map(|(decline, charge, method)| decline.json(charge.as_deref(), method)),
            "latest_charge": self.latest_charge,
            "livemode": false,
            "metadata": more.metadata,
            "next_action": self.next_action,
            "on_behalf_of": null,
            "payment_method": self.method,
            "payment_method_configuration_details": null,
            "payment_method_options": {"card": {
                "installments": null, "mandate_options": null, "network": null, "request_three_d_secure": "automatic",
            }},
            "payment_method_types": ["card"],
            "processing": null,
            "receipt_email": more.receipt_email,
            "review": null,
            "setup_future_usage": self.wish.setup_future_usage,
            "shipping": null,
            "source": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": self.status,
            "transfer_data": more.transfer_data.as_ref()
                .map(|(destination, amount)| json!({"amount": amount, "destination": destination})),
            "transfer_group": more.transfer_group,
        })
    }
}

impl World {
    /// `POST /v1/payment_intents`
    pub(crate) fn create_intent(&mut self, params: &mut Params) -> Result<Value, ApiError> {
        let wish = self.take_wish(params)?;
        take_method_types(params)?;
        let confirm = params.boolean("confirm")?.unwrap_or(false);
        let off_session = params.boolean("off_session")?.unwrap_or(false);
        if off_session && !confirm {
            return Err(ApiError::invalid("off_session", "off_session can only be set when confirm is true."));
        }
        let return_url = params.text("return_url")?;
        params.boolean("error_on_requires_action")?;
        let method = self.take_method(params)?;
        params.finish()?;

        let id = self.add_intent(wish);
        let intent = self.intents.find_mut(&id)?;
        intent.return_url = return_url;
        if method.is_some() {
            intent.status = Status::RequiresConfirmation;
            intent.method = method;
        }
        self.emit("payment_intent.created", &id);
        if confirm {
            self.confirm(&id, off_session)?;
        }
        Ok(self.intents.find(&id)?.json())
    }

    /// Makes an intent that waits for a payment method.
    pub(crate) fn add_intent(&mut self, wish: Wish) -> String {
        let id = self.id("pi");
        let client_secret = format!("{id}_secret_{}", self.letters(24));
        self.intents.insert(PaymentIntent {
            id: id.clone(),
            created: self.now,
            client_secret,
            status: Status::RequiresPaymentMethod,
            wish,
            method: None,
            latest_charge: None,
            amount_capturable: 0,
            amount_received: 0,
            canceled: None,
            last_payment_error: None,
            next_action: None,
            return_url: None,
        });
        id
    }

    /// `POST /v1/payment_intents/{id}`
    pub(crate) fn update_intent(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        let intent = self.intents.find(id)?;
        let (currency, status) = (intent.wish.currency, intent.status);
        let amount = params.integer("amount")?;
        if let Some(amount) = amount {
            currency.check(amount)?;
        }
        let metadata = params.metadata()?;
        let description = params.text("description")?;
        let receipt_email = params.text("receipt_email")?;
        let customer = self.customers.named(params, "customer")?;
        let method = self.take_method(params)?;
        params.finish()?;
        let open = [Status::RequiresPaymentMethod, Status::RequiresConfirmation, Status::RequiresAction];
        if (amount.is_some() || method.is_some() || customer.is_some()) && !open.contains(&status) {
            return Err(self.unexpected_state(id, "updated in this way", &open));
        }
        let intent = self.intents.find_mut(id)?;
        intent.wish.amount = amount.unwrap_or(intent.wish.amount);
        intent.wish.customer = customer.or(intent.wish.customer.take());
        intent.wish.more.description = description.or(intent.wish.more.description.take());
        intent.wish.more.receipt_email = receipt_email.or(intent.wish.more.receipt_email.take());
        merge_metadata(&mut intent.wish.more.metadata, metadata);
        if method.is_some() {
            intent.method = method;
            intent.status = Status::RequiresConfirmation;
            intent.next_action = None;
        }
        Ok(intent.json())
    }

    /// `GET /v1/payment_intents`
    pub(crate) fn list_intents(&self, params: &mut Params) -> Result<Value, ApiError> {
        let customer = params.text("customer")?;
        self.intents
            .page("/v1/payment_intents", params, |intent| customer.is_none() || intent.wish.customer == customer)
    }

    /// `GET /v1/payment_intents/search`, for a status alone: <https://docs.stripe.com/search>.
    pub(crate) fn search_intents(&self, params: &mut Params) -> Result<Value, ApiError> {
        let query = params.needed_text("query")?;
        let status = query.strip_prefix("status:'").and_then(|rest| rest.strip_suffix('\''));
        let status = status.ok_or_else(|| ApiError::invalid("query", "Only searches for a status are known here."))?;
        self.intents.search("/v1/payment_intents/search", params, |intent| intent.status.word() == status)
    }

    /// The refusal of an operation that the intent's status doesn't allow.
    pub(crate) fn unexpected_state(&self, id: &str, done: &str, allowed: &[Status]) -> ApiError {
        match self.intents.find(id) {
            Err(error) => error,
            Ok(intent) => {
                let allowed: Vec<&str> = allowed.iter().map(|status| status.word()).collect();
                let message = format!(
                    "This PaymentIntent could not be {done} because it has a status of {}. Only a PaymentIntent with \
                     one of the following statuses may be {done}: {}.",
                    intent.status.word(),
                    allowed.join(", ")
                );
                ApiError::intent_state("payment_intent", &message, intent.json())
            }
        }
    }
}
