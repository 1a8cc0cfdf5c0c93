//! Refunds of what was captured.

use serde_json::{Value, json};

use super::World;
use super::cards::Behaviour;
use super::money::Currency;
use super::table::Row;
use crate::api::error::ApiError;
use crate::api::params::{Metadata, Params, merge_metadata};

/// How long refunds to the cards for it take to settle or to fail.
const SETTLES_AFTER: i64 = 60;

const REASONS: &[&str] = &["duplicate", "fraudulent", "requested_by_customer"];

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Pending,
    Succeeded,
    Failed,
}

/// A refund.
#[derive(Debug, Clone)]
pub(crate) struct Refund {
    id: String,
    created: i64,
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) charge: String,
    intent: String,
    status: Status,
    /// What it will be once it has settled.
    settles_as: Option<Status>,
    reason: Option<&'static str>,
    balance_transaction: Option<String>,
    failure_balance_transaction: Option<String>,
    transfer_reversal: Option<String>,
    metadata: Metadata,
}

impl Refund {
    /// Whether the money goes, or went, back.
    pub(crate) fn counts(&self) -> bool {
        self.status != Status::Failed
    }
}

impl Row for Refund {
    const KIND: &'static str = "refund";
    const PARAM: &'static str = "refund";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        let status = match self.status {
            Status::Pending => "pending",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
        };
        let mut json = json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "destination_details": {
                "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
                "type": "card",
            },
            "metadata": self.metadata,
            "payment_intent": self.intent,
            "reason": self.reason,
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": status,
            "transfer_reversal": self.transfer_reversal,
        });
        if self.status == Status::Failed {
            json["failure_reason"] = "expired_or_canceled_card".into();
            json["failure_balance_transaction"] = json!(self.failure_balance_transaction);
        }
        json
    }
}

impl World {
    /// `POST /v1/refunds`
    pub(crate) fn create_refund(&mut self, params: &mut Params) -> Result<Value, ApiError> {
        let charge = self.charge_to_refund(params)?;
        let amount = params.integer("amount")?;
        let reason = params.word("reason", REASONS)?;
        let metadata = params.metadata()?;
        let reverse_transfer = params.boolean("reverse_transfer")?.unwrap_or(false);
        params.ignore(&["refund_application_fee", "instructions_email"]);
        params.finish()?;

        let taken = self.charges.find(&charge)?;
        let (currency, left, behaviour) = (taken.currency, taken.refundable(), taken.card.behaviour);
        let (intent, transfer) = (taken.intent.clone(), taken.transfer.clone());
        if left == 0 {
            let message = format!("Charge {charge} has already been refunded.");
            return Err(ApiError::state("charge_already_refunded", &message));
        }
        let amount = amount.unwrap_or(left);
        if amount < 1 {
            let message = "This value must be greater than or equal to 1.";
            return Err(ApiError::invalid_as("parameter_invalid_integer", "amount", message));
        }
        if amount > left {
            let (asked, left) = (currency.words(amount), currency.words(left));
            let message = format!("Refund amount ({asked}) is greater than unrefunded amount on charge ({left})");
            return Err(ApiError::invalid("amount", &message));
        }
        let transfer_reversal = match transfer.filter(|_| reverse_transfer) {
            Some(transfer) => Some(self.reverse(&transfer, amount, Metadata::new())?),
            None => None,
        };
        let (status, settles_as) = match behaviour {
            Behaviour::RefundPends => (Status::Pending, Some(Status::Succeeded)),
            Behaviour::RefundFails => (Status::Succeeded, Some(Status::Failed)),
            _ => (Status::Succeeded, None),
        };
        let id = self.id("re");
        let balance_transaction = Some(self.book("refund", -amount, currency, &id));
        self.refunds.insert(Refund {
            id: id.clone(),
            created: self.now,
            amount,
            currency,
            charge: charge.clone(),
            intent,
            status,
            settles_as,
            reason,
            balance_transaction,
            failure_balance_transaction: None,
            transfer_reversal,
            metadata,
        });
        self.charges.find_mut(&charge)?.returned += amount;
        self.emit("refund.created", &id);
        self.emit("charge.refunded", &charge);
        Ok(self.refunds.find(&id)?.json())
    }

    /// The captured charge that `payment_intent` or `charge` names.
    fn charge_to_refund(&self, params: &mut Params) -> Result<String, ApiError> {
        let intent = self.intents.named(params, "payment_intent")?;
        let charge = self.charges.named(params, "charge")?;
        let charge = match (intent, charge) {
            (Some(intent), None) => {
                let charge = self.intents.find(&intent)?.latest_charge.clone();
                charge.filter(|charge| self.charges.get(charge).is_some_and(|charge| charge.captured)).ok_or_else(
                    || {
                        let message =
                            format!("This PaymentIntent ({intent}) does not have a successful charge to refund.");
                        ApiError::invalid("payment_intent", &message)
                    },
                )?
            }
            (None, Some(charge)) => charge,
            (Some(_), Some(_)) => {
                let message = "You may only specify one of these parameters: charge, payment_intent.";
                return Err(ApiError::invalid("charge", message));
            }
            (None, None) => {
                let message =
                    "One of the following params should be provided for this request: payment_intent or charge.";
                return Err(ApiError::invalid_as("parameter_missing", "payment_intent", message));
            }
        };
        if !self.charges.find(&charge)?.captured {
            return Err(ApiError::invalid(
                "charge",
                &format!("Charge {charge} has not been captured: cancel its PaymentIntent."),
            ));
        }
        Ok(charge)
    }

    /// `POST /v1/refunds/{id}`
    pub(crate) fn update_refund(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        let refund = self.refunds.find_mut(id)?;
        let metadata = params.metadata()?;
        params.finish()?;
        merge_metadata(&mut refund.metadata, metadata);
        let json = refund.json();
        self.emit("refund.updated", id);
        Ok(json)
    }

    /// `GET /v1/refunds`
    pub(crate) fn list_refunds(&self, params: &mut Params) -> Result<Value, ApiError> {
        let intent = params.text("payment_intent")?;
        let charge = params.text("charge")?;
        self.refunds.page("/v1/refunds", params, |refund| {
            intent.as_ref().is_none_or(|intent| refund.intent == *intent)
                && charge.as_ref().is_none_or(|charge| refund.charge == *charge)
        })
    }

    /// Settles refunds that took their time.
    pub(crate) fn settle_refunds(&mut self) {
        let due: Vec<_> = self
            .refunds
            .iter()
            .filter(|refund| refund.created + SETTLES_AFTER <= self.now)
            .filter_map(|refund| refund.settles_as.map(|status| (refund.id.clone(), status)))
            .collect();
        for (id, status) in due {
            self.settle(&id, status);
        }
    }

    fn settle(&mut self, id: &str, status: Status) {
        let Some(refund) = self.refunds.get_mut(id) else { return };
        refund.status = status;
        refund.settles_as = None;
        if status != Status::Failed {
            self.emit("refund.updated", id);
            return;
        }
        let (amount, currency, charge) = (refund.amount, refund.currency, refund.charge.clone());
        let transaction = self.book("refund_failure", amount, currency, id);
        if let Some(refund) = self.refunds.get_mut(id) {
            refund.failure_balance_transaction = Some(transaction);
        }
        if let Some(charge) = self.charges.get_mut(&charge) {
            charge.returned -= amount;
        }
        self.emit("refund.updated", id);
        self.emit("refund.failed", id);
    }
}
