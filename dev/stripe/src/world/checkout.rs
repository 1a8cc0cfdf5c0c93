//! Checkout sessions: a page on which somebody pays once.

use serde_json::{Value, json};

use super::World;
use super::cards::Card;
use super::intents::{CAPTURE_METHODS, More, Status as IntentStatus, Wish, take_method_types};
use super::money::Currency;
use super::table::Row;
use crate::api::error::ApiError;
use crate::api::params::{Metadata, Params};

const DAY: i64 = 86_400;
const SHORTEST: i64 = 1_800;

/// What is sold: a line of the bill.
#[derive(Debug, Clone)]
pub(crate) struct LineItem {
    id: String,
    price: String,
    pub(crate) name: String,
    unit_amount: i64,
    quantity: i64,
    currency: Currency,
}

/// A Checkout session.
#[derive(Debug, Clone)]
pub(crate) struct CheckoutSession {
    pub(crate) id: String,
    created: i64,
    expires_at: i64,
    /// `open`, `complete` or `expired`.
    pub(crate) status: &'static str,
    payment_status: &'static str,
    url: String,
    pub(crate) items: Vec<LineItem>,
    wish: Wish,
    pub(crate) intent: Option<String>,
    pub(crate) success_url: String,
    pub(crate) cancel_url: Option<String>,
    client_reference_id: Option<String>,
    customer_email: Option<String>,
    submit_type: Option<&'static str>,
    metadata: Metadata,
}

impl CheckoutSession {
    /// What is to pay, for people.
    pub(crate) fn total(&self) -> String {
        self.wish.currency.words(self.wish.amount)
    }

    /// Where the buyer goes after paying.
    pub(crate) fn success_url(&self) -> String {
        self.success_url.replace("{CHECKOUT_SESSION_ID}", &self.id)
    }
}

impl Row for CheckoutSession {
    const KIND: &'static str = "checkout.session";
    const PARAM: &'static str = "session";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        let open = self.status == "open";
        json!({
            "id": self.id,
            "object": "checkout.session",
            "adaptive_pricing": {"enabled": false},
            "after_expiration": null,
            "allow_promotion_codes": null,
            "amount_subtotal": self.wish.amount,
            "amount_total": self.wish.amount,
            "automatic_tax": {"enabled": false, "liability": null, "provider": null, "status": null},
            "billing_address_collection": null,
            "cancel_url": self.cancel_url,
            "client_reference_id": self.client_reference_id,
            "client_secret": null,
            "collected_information": null,
            "consent": null,
            "consent_collection": null,
            "created": self.created,
            "currency": self.wish.currency,
            "currency_conversion": null,
            "custom_fields": [],
            "custom_text":
                {"after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null},
            "customer": self.wish.customer,
            "customer_creation": "if_required",
            "customer_details": if open { Value::Null } else { json!({
                "address": null, "email": self.customer_email, "name": null, "phone": null, "tax_exempt": "none", "tax_ids": [],
            }) },
            "customer_email": self.customer_email,
            "discounts": [],
            "expires_at": self.expires_at,
            "invoice": null,
            "invoice_creation": null,
            "livemode": false,
            "locale": null,
            "metadata": self.metadata,
            "mode": "payment",
            "origin_context": null,
            "payment_intent": self.intent,
            "payment_link": null,
            "payment_method_collection": "if_required",
            "payment_method_configuration_details": null,
            "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
            "payment_method_types": ["card"],
            "payment_status": self.payment_status,
            "permissions": null,
            "phone_number_collection": {"enabled": false},
            "recovered_from": null,
            "saved_payment_method_options": null,
            "setup_intent": null,
            "shipping_address_collection": null,
            "shipping_cost": null,
            "shipping_options": [],
            "status": self.status,
            "submit_type": self.submit_type,
            "subscription": null,
            "success_url": self.success_url,
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
            "ui_mode": "hosted",
            "url": open.then_some(&self.url),
            "wallet_options": null,
        })
    }
}

impl World {
    /// `POST /v1/checkout/sessions`
    pub(crate) fn create_checkout(&mut self, params: &mut Params) -> Result<Value, ApiError> {
        params.word("mode", &["payment"])?.ok_or_else(|| ApiError::missing("mode"))?;
        let success_url = params.needed_text("success_url")?;
        let cancel_url = params.text("cancel_url")?;
        let items = self.take_items(params)?;
        let Some(currency) = items.first().map(|item| item.currency) else {
            return Err(ApiError::missing("line_items"));
        };
        let amount =
            items.iter().map(|item| item.unit_amount.saturating_mul(item.quantity)).fold(0, i64::saturating_add);
        currency.check(amount)?;
        let customer = self.customers.named(params, "customer")?;
        let (capture_method, setup_future_usage, more) = self.take_intent_data(params, amount)?;
        let expires_at = params.integer("expires_at")?.unwrap_or(self.now + DAY);
        if !(self.now + SHORTEST..=self.now + DAY).contains(&expires_at) {
            let message =
                "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.";
            return Err(ApiError::invalid("expires_at", message));
        }
        let client_reference_id = params.text("client_reference_id")?;
        let customer_email = params.text("customer_email")?;
        let submit_type = params.word("submit_type", &["auto", "book", "donate", "pay", "subscribe"])?;
        let metadata = params.metadata()?;
        take_method_types(params)?;
        params.word("ui_mode", &["hosted", "hosted_page"])?;
        params.ignore(&["customer_creation", "locale", "custom_text", "billing_address_collection"]);
        params.finish()?;

        let id = format!("cs_test_{}", self.letters(58));
        self.checkouts.insert(CheckoutSession {
            id: id.clone(),
            created: self.now,
            expires_at,
            status: "open",
            payment_status: "unpaid",
            url: format!("{}/checkout/{id}", self.base_url),
            items,
            wish: Wish { amount, currency, capture_method, customer, setup_future_usage, more },
            intent: None,
            success_url,
            cancel_url,
            client_reference_id,
            customer_email,
            submit_type,
            metadata,
        });
        Ok(self.checkouts.find(&id)?.json())
    }

    fn take_items(&mut self, params: &mut Params) -> Result<Vec<LineItem>, ApiError> {
        let mut items: Vec<LineItem> = Vec::new();
        for mut item in params.items("line_items")? {
            let quantity = item.integer("quantity")?.unwrap_or(1);
            let mut price = item.nested("price_data")?.ok_or_else(|| ApiError::missing("line_items[price_data]"))?;
            let currency = Currency::take(&mut price)?;
            let unit_amount = price.needed_integer("unit_amount")?;
            let mut product = price.nested("product_data")?.ok_or_else(|| ApiError::missing("product_data"))?;
            let name = product.needed_text("name")?;
            product.ignore(&["description", "images", "metadata", "tax_code"]);
            product.finish()?;
            price.ignore(&["tax_behavior"]);
            price.finish()?;
            item.finish()?;
            if quantity < 1 || unit_amount < 0 {
                return Err(ApiError::invalid("line_items", "Quantities must be positive, amounts not negative."));
            }
            if items.first().is_some_and(|first| first.currency != currency) {
                return Err(ApiError::invalid("line_items", "All line items must have the same currency."));
            }
            items.push(LineItem { id: self.id("li"), price: self.id("price"), name, unit_amount, quantity, currency });
        }
        Ok(items)
    }

    fn take_intent_data(
        &self,
        params: &mut Params,
        amount: i64,
    ) -> Result<(&'static str, Option<&'static str>, More), ApiError> {
        let Some(mut data) = params.nested("payment_intent_data")? else {
            return Ok(("automatic_async", None, More::default()));
        };
        let capture_method = data.word("capture_method", CAPTURE_METHODS)?.unwrap_or("automatic_async");
        let future = data.word("setup_future_usage", &["off_session", "on_session"])?;
        let more = self.take_more(&mut data, amount)?;
        data.finish()?;
        Ok((capture_method, future, more))
    }

    /// Somebody pays on the page. What the card refuses leaves the session open for another try.
    pub(crate) fn pay_checkout(&mut self, id: &str, card: &'static Card) -> Result<(), ApiError> {
        let session = self.open_checkout(id)?;
        let (wish, intent) = (session.wish.clone(), session.intent.clone());
        let intent = match intent {
            Some(intent) => intent,
            None => {
                let intent = self.add_intent(wish);
                self.emit("payment_intent.created", &intent);
                self.checkouts.find_mut(id)?.intent = Some(intent.clone());
                intent
            }
        };
        let method = self.add_method(card);
        let return_url = format!("{}/checkout/{id}", self.base_url);
        self.confirm_with(&intent, Some(method), Some(return_url), false)?;
        self.complete_checkout(id)
    }

    /// The buyer has, or hasn't, shown who they are.
    pub(crate) fn answer_checkout_challenge(&mut self, id: &str, passed: bool) -> Result<(), ApiError> {
        let intent = self.open_checkout(id)?.intent.clone().unwrap_or_default();
        self.answer_challenge(&intent, passed)?;
        self.complete_checkout(id)
    }

    /// Completes a session whose money is held or taken.
    pub(crate) fn complete_checkout(&mut self, id: &str) -> Result<(), ApiError> {
        let session = self.checkouts.find_mut(id)?;
        let status = session.intent.as_deref().and_then(|intent| self.intents.get(intent)).map(|intent| intent.status);
        let payment_status = match status {
            Some(IntentStatus::Succeeded) => "paid",
            Some(IntentStatus::RequiresCapture) => "unpaid",
            _ => return Ok(()),
        };
        session.status = "complete";
        session.payment_status = payment_status;
        self.emit("checkout.session.completed", id);
        Ok(())
    }

    /// The session whose payment this intent is, if it is one's.
    pub(crate) fn checkout_of(&self, intent: &str) -> Option<&CheckoutSession> {
        self.checkouts.iter().find(|session| session.intent.as_deref() == Some(intent))
    }

    fn open_checkout(&self, id: &str) -> Result<&CheckoutSession, ApiError> {
        let session = self.checkouts.find(id)?;
        if session.status == "open" {
            return Ok(session);
        }
        let message = format!("This Session's status is {}: only open Sessions can be changed.", session.status);
        Err(ApiError::invalid("session", &message))
    }

    /// `POST /v1/checkout/sessions/{id}/expire`
    pub(crate) fn expire_checkout(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        params.finish()?;
        self.open_checkout(id)?;
        self.expire(id)?;
        Ok(self.checkouts.find(id)?.json())
    }

    fn expire(&mut self, id: &str) -> Result<(), ApiError> {
        let session = self.checkouts.find_mut(id)?;
        session.status = "expired";
        if let Some(intent) = session.intent.clone() {
            self.cancel(&intent, None)?;
        }
        self.emit("checkout.session.expired", id);
        Ok(())
    }

    /// Ends sessions whose time is over.
    pub(crate) fn expire_checkouts(&mut self) {
        let over = |session: &&CheckoutSession| session.status == "open" && session.expires_at <= self.now;
        let over: Vec<String> = self.checkouts.iter().filter(over).map(|session| session.id.clone()).collect();
        for id in over {
            // Open sessions' intents haven't succeeded, so they can be cancelled.
            let _ = self.expire(&id);
        }
    }

    /// `GET /v1/checkout/sessions`
    pub(crate) fn list_checkouts(&self, params: &mut Params) -> Result<Value, ApiError> {
        let intent = params.text("payment_intent")?;
        let customer = params.text("customer")?;
        let status = params.text("status")?;
        self.checkouts.page("/v1/checkout/sessions", params, |session| {
            (intent.is_none() || session.intent == intent)
                && (customer.is_none() || session.wish.customer == customer)
                && status.as_ref().is_none_or(|status| session.status == status)
        })
    }

    /// `GET /v1/checkout/sessions/{id}/line_items`
    pub(crate) fn list_checkout_items(&self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        let session = self.checkouts.find(id)?;
        params.ignore(&["limit"]);
        params.finish()?;
        let items: Vec<Value> = session.items.iter().map(LineItem::json).collect();
        let url = format!("/v1/checkout/sessions/{id}/line_items");
        Ok(json!({"object": "list", "url": url, "has_more": false, "data": items}))
    }
}

impl LineItem {
    fn json(&self) -> Value {
        let amount = self.unit_amount * self.quantity;
        json!({
            "id": self.id,
            "object": "item",
            "amount_discount": 0,
            "amount_subtotal": amount,
            "amount_tax": 0,
            "amount_total": amount,
            "currency": self.currency,
            "description": self.name,
            "price": {
                "id": self.price, "object": "price", "currency": self.currency, "type": "one_time",
                "unit_amount": self.unit_amount, "unit_amount_decimal": self.unit_amount.to_string(),
            },
            "quantity": self.quantity,
        })
    }
}
