//! Making a Checkout session, and what the merchant sees of those there are.

use serde_json::{Value, json};

use super::{CheckoutSession, LineItem};
use crate::api::error::ApiError;
use crate::api::params::Params;
use crate::world::World;
use crate::world::money::Currency;
use crate::world::table::Row as _;
use crate::world::wish::{CAPTURE_METHODS, FUTURE_USAGES, More, Wish, take_method_types};

const DAY: i64 = 86_400;
const SHORTEST: i64 = 1_800;

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
        let future = data.word("setup_future_usage", FUTURE_USAGES)?;
        let more = self.take_more(&mut data, amount)?;
        data.finish()?;
        Ok((capture_method, future, more))
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
