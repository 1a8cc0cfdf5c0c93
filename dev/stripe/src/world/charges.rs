//! Charges: what an attempt to pay left behind, and how much of it was taken and given back.

use serde_json::{Value, json};

use super::World;
use super::cards::Card;
use super::methods::{EXPIRY, billing_details, checks};
use super::money::Currency;
use super::table::Row;
use crate::api::error::{ApiError, Decline};
use crate::api::params::{Metadata, Params};

/// A charge.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) intent: String,
    pub(crate) customer: Option<String>,
    pub(crate) method: String,
    pub(crate) card: &'static Card,
    /// Why it failed, if it did.
    pub(crate) failure: Option<Decline>,
    /// Until when a hold can be captured; `None` where the money was taken at once.
    pub(crate) capture_before: Option<i64>,
    pub(crate) captured: bool,
    /// Whether its card's owner ever disputed it.
    pub(crate) disputed: bool,
    /// What was taken.
    pub(crate) amount_captured: i64,
    /// What was held and let go. Stripe counts it as refunded too.
    pub(crate) released: i64,
    /// What was taken and given back.
    pub(crate) returned: i64,
    pub(crate) balance_transaction: Option<String>,
    pub(crate) transfer: Option<String>,
    pub(crate) transfer_group: Option<String>,
    pub(crate) transfer_data: Option<(String, Option<i64>)>,
    pub(crate) application_fee_amount: Option<i64>,
    pub(crate) description: Option<String>,
    pub(crate) receipt_email: Option<String>,
    pub(crate) metadata: Metadata,
}

impl Charge {
    /// What can still be given back.
    pub(crate) fn refundable(&self) -> i64 {
        self.amount_captured - self.returned
    }

    fn outcome(&self) -> Value {
        match self.failure {
            None => json!({
                "advice_code": null, "network_advice_code": null, "network_decline_code": null,
                "network_status": "approved_by_network", "reason": null, "risk_level": "normal", "risk_score": 7,
                "seller_message": "Payment complete.", "type": "authorized",
            }),
            Some(decline) => json!({
                "advice_code": null, "network_advice_code": null, "network_decline_code": null,
                "network_status": "declined_by_network", "reason": decline.reason, "risk_level": "normal",
                "risk_score": 7, "seller_message": "The bank did not return any further details with this decline.",
                "type": "issuer_declined",
            }),
        }
    }

    fn payment_method_details(&self) -> Value {
        let unavailable = json!({"status": "unavailable"});
        let mut card = json!({
            "amount_authorized": if self.failure.is_none() { json!(self.amount) } else { Value::Null },
            "authorization_code": null,
            "brand": self.card.brand,
            "checks": checks(),
            "country": "US",
            "exp_month": EXPIRY.0,
            "exp_year": EXPIRY.1,
            "extended_authorization": {"status": "disabled"},
            "fingerprint": format!("sim{}", self.card.number),
            "funding": "credit",
            "incremental_authorization": unavailable,
            "installments": null,
            "last4": self.card.last4(),
            "mandate": null,
            "multicapture": unavailable,
            "network": self.card.brand,
            "network_token": {"used": false},
            "network_transaction_id": null,
            "overcapture": {"maximum_amount_capturable": self.amount, "status": "unavailable"},
            "regulated_status": "unregulated",
            "three_d_secure": null,
            "wallet": null,
        });
        if let Some(time) = self.capture_before {
            card["capture_before"] = time.into();
        }
        json!({"card": card, "type": "card"})
    }
}

impl Row for Charge {
    const KIND: &'static str = "charge";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        let transfer_data = self.transfer_data.as_ref();
        json!({
            "id": self.id,
            "object": "charge",
            "amount": self.amount,
            "amount_captured": self.amount_captured,
            "amount_refunded": self.released + self.returned,
            "application": null,
            "application_fee": null,
            "application_fee_amount": self.application_fee_amount,
            "balance_transaction": self.balance_transaction,
            "billing_details": billing_details(),
            "calculated_statement_descriptor": "HUMANCHAT",
            "captured": self.captured,
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "description": self.description,
            "disputed": self.disputed,
            "failure_balance_transaction": null,
            "failure_code": self.failure.map(|decline| decline.code),
            "failure_message": self.failure.map(|decline| decline.message),
            "fraud_details": {},
            "livemode": false,
            "metadata": self.metadata,
            "on_behalf_of": null,
            "outcome": self.outcome(),
            "paid": self.failure.is_none(),
            "payment_intent": self.intent,
            "payment_method": self.method,
            "payment_method_details": self.payment_method_details(),
            "presentment_details": null,
            "radar_options": {},
            "receipt_email": self.receipt_email,
            "receipt_number": null,
            "receipt_url": null,
            "refunded": self.released + self.returned == self.amount,
            "review": null,
            "shipping": null,
            "source": null,
            "source_transfer": null,
            "statement_descriptor": null,
            "statement_descriptor_suffix": null,
            "status": if self.failure.is_none() { "succeeded" } else { "failed" },
            "transfer_data": transfer_data.map(|(to, amount)| json!({"amount": amount, "destination": to})),
            "transfer_group": self.transfer_group,
            "transfer": self.transfer,
        })
    }
}

impl World {
    /// `GET /v1/charges`
    pub(crate) fn list_charges(&self, params: &mut Params) -> Result<Value, ApiError> {
        let customer = params.text("customer")?;
        let intent = params.text("payment_intent")?;
        self.charges.page("/v1/charges", params, |charge| {
            (customer.is_none() || charge.customer == customer)
                && intent.as_ref().is_none_or(|intent| charge.intent == *intent)
        })
    }
}
