//! Payment methods: cards, by their test numbers or their ready-made tokens.

use serde_json::{Value, json};

use super::World;
use super::cards::{Behaviour, Card};
use super::table::Row;
use crate::api::error::ApiError;
use crate::api::params::{Metadata, Params};

/// A card of a customer, or one that was used once.
#[derive(Debug, Clone)]
pub(crate) struct PaymentMethod {
    pub(crate) id: String,
    created: i64,
    pub(crate) card: &'static Card,
    pub(crate) customer: Option<String>,
    /// Its customer has shown who they are, for payments to come.
    pub(crate) set_up: bool,
    metadata: Metadata,
}

impl PaymentMethod {
    /// Whether paying needs the customer to show who they are.
    pub(crate) fn asks(&self) -> bool {
        match self.card.behaviour {
            Behaviour::Asks => true,
            Behaviour::AsksUntilSetUp => !self.set_up,
            _ => false,
        }
    }
}

impl Row for PaymentMethod {
    const KIND: &'static str = "PaymentMethod";
    const PARAM: &'static str = "payment_method";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "payment_method",
            "allow_redisplay": "unspecified",
            "billing_details": billing_details(),
            "card": {
                "brand": self.card.brand,
                "checks": checks(),
                "country": "US",
                "display_brand": self.card.brand,
                "exp_month": EXPIRY.0,
                "exp_year": EXPIRY.1,
                "fingerprint": format!("sim{}", self.card.number),
                "funding": "credit",
                "generated_from": null,
                "last4": self.card.last4(),
                "networks": {"available": [self.card.brand], "preferred": null},
                "regulated_status": "unregulated",
                "three_d_secure_usage": {"supported": true},
                "wallet": null,
            },
            "created": self.created,
            "customer": self.customer,
            "livemode": false,
            "metadata": self.metadata,
            "type": "card",
        })
    }
}

/// Month and year until which the test cards are good.
pub(crate) const EXPIRY: (u8, u16) = (12, 2034);

/// Nothing is known about whoever pays.
pub(crate) fn billing_details() -> Value {
    let address =
        json!({"city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null});
    json!({"address": address, "email": null, "name": null, "phone": null, "tax_id": null})
}

/// What the bank said about address and security code.
pub(crate) fn checks() -> Value {
    json!({"address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass"})
}

impl World {
    /// Notes a card as a payment method.
    pub(crate) fn add_method(&mut self, card: &'static Card) -> String {
        let id = self.id("pm");
        let method = PaymentMethod {
            id: id.clone(),
            created: self.now,
            card,
            customer: None,
            set_up: false,
            metadata: Metadata::new(),
        };
        self.methods.insert(method);
        id
    }

    /// The payment method that a parameter names: one that exists, or a ready-made token, which makes one.
    pub(crate) fn take_method(&mut self, params: &mut Params) -> Result<Option<String>, ApiError> {
        let Some(name) = params.text("payment_method")? else { return Ok(None) };
        if self.methods.get(&name).is_some() {
            return Ok(Some(name));
        }
        let card = Card::by_token(&name)
            .ok_or_else(|| ApiError::no_such_param(PaymentMethod::KIND, "payment_method", &name))?;
        Ok(Some(self.add_method(card)))
    }

    /// Gives a payment method to a customer, after a payment or set-up that asked for it.
    pub(crate) fn save_method(&mut self, id: &str, customer: Option<&str>) {
        if let Some(method) = self.methods.get_mut(id) {
            method.set_up = true;
            if let Some(customer) = customer {
                method.customer = Some(customer.to_owned());
                self.emit("payment_method.attached", id);
            }
        }
    }

    /// Takes its payment methods from a customer.
    pub(crate) fn detach_methods(&mut self, customer: &str) {
        for method in self.methods.iter_mut().filter(|method| method.customer.as_deref() == Some(customer)) {
            method.customer = None;
            method.set_up = false;
        }
    }

    /// `POST /v1/payment_methods`
    pub(crate) fn create_method(&mut self, params: &mut Params) -> Result<Value, ApiError> {
        params.word("type", &["card"])?.ok_or_else(|| ApiError::missing("type"))?;
        let mut details = params.nested("card")?.ok_or_else(|| ApiError::missing("card"))?;
        let card = if let Some(token) = details.text("token")? {
            // `tok_visa` and `pm_card_visa` are the same card.
            Card::by_token(&token.replacen("tok_", "pm_card_", 1))
                .ok_or_else(|| ApiError::no_such_param("token", "card[token]", &token))?
        } else {
            let number = details.needed_text("number")?;
            let _ = (details.integer("exp_month")?, details.integer("exp_year")?, details.text("cvc")?);
            Card::by_number(&number).ok_or_else(|| {
                ApiError::invalid_as("incorrect_number", "card[number]", "Your card number is incorrect.")
            })?
        };
        details.finish()?;
        let metadata = params.metadata()?;
        params.ignore(&["billing_details", "allow_redisplay"]);
        params.finish()?;
        let id = self.add_method(card);
        let method = self.methods.find_mut(&id)?;
        method.metadata = metadata;
        Ok(method.json())
    }

    /// `POST /v1/payment_methods/{id}/attach`
    pub(crate) fn attach_method(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        let customer = self.customers.named(params, "customer")?.ok_or_else(|| ApiError::missing("customer"))?;
        params.finish()?;
        let id = match Card::by_token(id) {
            Some(card) => self.add_method(card),
            None => self.methods.find(id)?.id.clone(),
        };
        self.methods.find_mut(&id)?.customer = Some(customer);
        self.emit("payment_method.attached", &id);
        Ok(self.methods.find(&id)?.json())
    }

    /// `GET /v1/payment_methods?customer=…`
    pub(crate) fn list_methods(&self, params: &mut Params) -> Result<Value, ApiError> {
        let customer = self.customers.named(params, "customer")?;
        params.ignore(&["type"]);
        self.methods
            .page("/v1/payment_methods", params, |method| method.customer.is_some() && method.customer == customer)
    }
}
