//! Checkout sessions: a page on which somebody pays once. `create` makes them, `visit` is what happens on the page.

mod create;
mod visit;

use serde_json::{Value, json};

use super::money::Currency;
use super::table::Row;
use super::wish::Wish;
use crate::api::params::Metadata;

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
            "ui_mode": "hosted_page",
            "url": open.then_some(&self.url),
            "wallet_options": null,
        })
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
