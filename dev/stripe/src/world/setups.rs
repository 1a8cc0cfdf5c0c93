//! Setup intents: cards saved for payments to come.

use serde_json::{Value, json};

use super::World;
use super::cards::{AUTHENTICATION_FAILED, Behaviour};
use super::table::Row;
use super::wish::{FUTURE_USAGES, take_method_types};
use crate::api::error::{ApiError, Decline};
use crate::api::params::{Metadata, Params};

/// A setup intent.
#[derive(Debug, Clone)]
pub(crate) struct SetupIntent {
    pub(crate) id: String,
    created: i64,
    pub(crate) client_secret: String,
    pub(crate) status: &'static str,
    customer: Option<String>,
    method: Option<String>,
    usage: &'static str,
    next_action: Option<Value>,
    last_setup_error: Option<Value>,
    description: Option<String>,
    pub(crate) return_url: Option<String>,
    metadata: Metadata,
}

impl Row for SetupIntent {
    const KIND: &'static str = "setupintent";
    const PARAM: &'static str = "intent";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "setup_intent",
            "allowed_payment_method_types": null,
            "application": null,
            "automatic_payment_methods": {"allow_redirects": "always", "enabled": true},
            "cancellation_reason": null,
            "client_secret": self.client_secret,
            "created": self.created,
            "customer": self.customer,
            "description": self.description,
            "excluded_payment_method_types": null,
            "flow_directions": null,
            "last_setup_error": self.last_setup_error,
            "latest_attempt": null,
            "livemode": false,
            "mandate": null,
            "metadata": self.metadata,
            "next_action": self.next_action,
            "on_behalf_of": null,
            "payment_method": self.method,
            "payment_method_configuration_details": null,
            "payment_method_options": null,
            "payment_method_types": ["card"],
            "single_use_mandate": null,
            "status": self.status,
            "usage": self.usage,
        })
    }
}

impl World {
    /// `POST /v1/setup_intents`
    pub(crate) fn create_setup(&mut self, params: &mut Params) -> Result<Value, ApiError> {
        let customer = self.customers.named(params, "customer")?;
        let usage = params.word("usage", FUTURE_USAGES)?.unwrap_or("off_session");
        take_method_types(params)?;
        let description = params.text("description")?;
        let return_url = params.text("return_url")?;
        let confirm = params.boolean("confirm")?.unwrap_or(false);
        let metadata = params.metadata()?;
        let method = self.take_method(params)?;
        params.finish()?;

        let id = self.id("seti");
        let client_secret = format!("{id}_secret_{}", self.letters(24));
        self.setups.insert(SetupIntent {
            id: id.clone(),
            created: self.now,
            client_secret,
            status: if method.is_some() { "requires_confirmation" } else { "requires_payment_method" },
            customer,
            method,
            usage,
            next_action: None,
            last_setup_error: None,
            description,
            return_url,
            metadata,
        });
        self.emit("setup_intent.created", &id);
        if confirm {
            self.set_up(&id)?;
        }
        Ok(self.setups.find(&id)?.json())
    }

    /// `POST /v1/setup_intents/{id}/confirm`
    pub(crate) fn confirm_setup(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        self.setups.find(id)?;
        let method = self.take_method(params)?;
        let return_url = params.text("return_url")?;
        params.ignore(&["client_secret", "use_stripe_sdk"]);
        params.finish()?;
        self.confirm_setup_with(id, method, return_url)?;
        Ok(self.setups.find(id)?.json())
    }

    /// Confirms, with another payment method and place to return to if given.
    pub(crate) fn confirm_setup_with(
        &mut self,
        id: &str,
        method: Option<String>,
        return_url: Option<String>,
    ) -> Result<(), ApiError> {
        let setup = self.setups.find_mut(id)?;
        if matches!(setup.status, "succeeded" | "canceled") {
            return Err(unexpected_state(setup, "confirmed"));
        }
        setup.method = method.or(setup.method.take());
        setup.return_url = return_url.or(setup.return_url.take());
        self.set_up(id)
    }

    /// The customer has, or hasn't, shown who they are.
    pub(crate) fn answer_setup_challenge(&mut self, id: &str, passed: bool) -> Result<(), ApiError> {
        let setup = self.setups.find(id)?;
        if setup.status != "requires_action" {
            return Err(unexpected_state(setup, "authenticated"));
        }
        if passed { self.finish_setup(id) } else { Err(self.fail_setup(id, AUTHENTICATION_FAILED)) }
    }

    /// `POST /v1/setup_intents/{id}/cancel`
    pub(crate) fn cancel_setup(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        let setup = self.setups.find_mut(id)?;
        params.ignore(&["cancellation_reason"]);
        params.finish()?;
        if matches!(setup.status, "succeeded" | "canceled") {
            return Err(unexpected_state(setup, "canceled"));
        }
        setup.status = "canceled";
        setup.next_action = None;
        let json = setup.json();
        self.emit("setup_intent.canceled", id);
        Ok(json)
    }

    fn set_up(&mut self, id: &str) -> Result<(), ApiError> {
        let base_url = self.base_url.clone();
        let setup = self.setups.find_mut(id)?;
        let Some(method) = setup.method.as_deref().and_then(|method| self.methods.get(method)) else {
            let message = "You cannot confirm this SetupIntent because it's missing a payment method.";
            return Err(ApiError::intent_state("setup_intent", message, setup.json()));
        };
        match method.card.behaviour {
            Behaviour::Declines(decline) => return Err(self.fail_setup(id, decline)),
            Behaviour::Asks | Behaviour::AsksUntilSetUp => {}
            _ => return self.finish_setup(id),
        }
        let redirect =
            json!({"return_url": setup.return_url, "url": format!("{base_url}/pay/{}", setup.client_secret)});
        setup.status = "requires_action";
        setup.next_action = Some(json!({"type": "redirect_to_url", "redirect_to_url": redirect}));
        self.emit("setup_intent.requires_action", id);
        Ok(())
    }

    fn finish_setup(&mut self, id: &str) -> Result<(), ApiError> {
        let setup = self.setups.find_mut(id)?;
        setup.status = "succeeded";
        setup.next_action = None;
        setup.last_setup_error = None;
        let (method, customer) = (setup.method.clone(), setup.customer.clone());
        self.save_method(&method.unwrap_or_default(), customer.as_deref());
        self.emit("setup_intent.succeeded", id);
        Ok(())
    }

    fn fail_setup(&mut self, id: &str, decline: Decline) -> ApiError {
        if let Some(setup) = self.setups.get_mut(id) {
            let method = setup.method.take().and_then(|method| self.methods.get(&method)).map(Row::json);
            setup.status = "requires_payment_method";
            setup.next_action = None;
            setup.last_setup_error = Some(decline.json(None, &method.unwrap_or_default()));
        }
        self.emit("setup_intent.setup_failed", id);
        ApiError::card(&decline, None, "setup_intent", self.json(id).unwrap_or_default())
    }
}

fn unexpected_state(setup: &SetupIntent, done: &str) -> ApiError {
    let message = format!("This SetupIntent could not be {done} because it has a status of {}.", setup.status);
    ApiError::intent_state("setup_intent", &message, setup.json())
}
