//! Transfers to connected accounts, and their reversals.

use serde_json::{Value, json};

use super::World;
use super::money::Currency;
use super::table::Row;
use crate::api::error::ApiError;
use crate::api::params::{Metadata, Params};

/// A transfer.
#[derive(Debug, Clone)]
pub(crate) struct Transfer {
    pub(crate) id: String,
    created: i64,
    amount: i64,
    currency: Currency,
    destination: String,
    source_transaction: Option<String>,
    group: Option<String>,
    description: Option<String>,
    balance_transaction: String,
    pub(crate) reversals: Vec<Reversal>,
    metadata: Metadata,
}

/// What was taken back of a transfer.
#[derive(Debug, Clone)]
pub(crate) struct Reversal {
    pub(crate) id: String,
    created: i64,
    amount: i64,
    currency: Currency,
    transfer: String,
    balance_transaction: String,
    metadata: Metadata,
}

impl Transfer {
    fn reversed(&self) -> i64 {
        self.reversals.iter().map(|reversal| reversal.amount).sum()
    }
}

impl Reversal {
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "transfer_reversal",
            "amount": self.amount,
            "balance_transaction": self.balance_transaction,
            "created": self.created,
            "currency": self.currency,
            "destination_payment_refund": null,
            "metadata": self.metadata,
            "source_refund": null,
            "transfer": self.transfer,
        })
    }
}

impl Row for Transfer {
    const KIND: &'static str = "transfer";
    const PARAM: &'static str = "transfer";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        let reversals: Vec<Value> = self.reversals.iter().rev().map(Reversal::json).collect();
        json!({
            "id": self.id,
            "object": "transfer",
            "amount": self.amount,
            "amount_reversed": self.reversed(),
            "balance_transaction": self.balance_transaction,
            "created": self.created,
            "currency": self.currency,
            "description": self.description,
            "destination": self.destination,
            "destination_payment": null,
            "livemode": false,
            "metadata": self.metadata,
            "reversals": {
                "object": "list", "data": reversals, "has_more": false,
                "url": format!("/v1/transfers/{}/reversals", self.id),
            },
            "reversed": self.reversed() == self.amount,
            "source_transaction": self.source_transaction,
            "source_type": "card",
            "transfer_group": self.group,
        })
    }
}

impl World {
    /// `POST /v1/transfers`
    pub(crate) fn create_transfer(&mut self, params: &mut Params) -> Result<Value, ApiError> {
        let amount = params.needed_integer("amount")?;
        let currency = Currency::take(params)?;
        if amount < 1 {
            return Err(ApiError::invalid_as(
                "parameter_invalid_integer",
                "amount",
                "This value must be greater than or equal to 1.",
            ));
        }
        let destination =
            self.accounts.named(params, "destination")?.ok_or_else(|| ApiError::missing("destination"))?;
        let source_transaction = self.charges.named(params, "source_transaction")?;
        let group = params.text("transfer_group")?;
        let description = params.text("description")?;
        let metadata = params.metadata()?;
        params.ignore(&["source_type"]);
        params.finish()?;
        if !self.accounts.find(&destination)?.onboarded {
            let message = "Your destination account needs to have at least one of the following capabilities enabled: transfers, crypto_transfers, legacy_payments";
            return Err(ApiError::state("insufficient_capabilities_for_transfer", message));
        }
        if let Some(charge) = &source_transaction {
            let passed_on: i64 = self
                .transfers
                .iter()
                .filter(|transfer| transfer.source_transaction.as_ref() == Some(charge))
                .map(|transfer| transfer.amount - transfer.reversed())
                .sum();
            if amount > self.charges.find(charge)?.amount_captured - passed_on {
                let message = "The transfers from source_transaction would exceed the amount of the charge.";
                return Err(ApiError::invalid("amount", message));
            }
        }
        let id = self.id("tr");
        let balance_transaction = self.book("transfer", -amount, currency, &id);
        let transfer = Transfer {
            id: id.clone(),
            created: self.now,
            amount,
            currency,
            destination,
            source_transaction,
            group,
            description,
            balance_transaction,
            reversals: Vec::new(),
            metadata,
        };
        let json = transfer.json();
        self.transfers.insert(transfer);
        self.emit("transfer.created", &id);
        Ok(json)
    }

    /// Passes captured money on to the account that the intent named, less our fee.
    pub(crate) fn pass_on(&mut self, charge: &str) -> Result<(), ApiError> {
        let taken = self.charges.find(charge)?;
        let Some((destination, part)) = taken.transfer_data.clone() else { return Ok(()) };
        let fee = taken.application_fee_amount.unwrap_or(0);
        let amount = part.unwrap_or(taken.amount_captured - fee).clamp(0, taken.amount_captured);
        let (currency, group) = (taken.currency, taken.transfer_group.clone());
        let id = self.id("tr");
        let balance_transaction = self.book("transfer", -amount, currency, &id);
        self.transfers.insert(Transfer {
            id: id.clone(),
            created: self.now,
            amount,
            currency,
            destination,
            source_transaction: Some(charge.to_owned()),
            group,
            description: None,
            balance_transaction,
            reversals: Vec::new(),
            metadata: Metadata::new(),
        });
        self.charges.find_mut(charge)?.transfer = Some(id.clone());
        self.emit("transfer.created", &id);
        Ok(())
    }

    /// `POST /v1/transfers/{id}/reversals`
    pub(crate) fn create_reversal(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        let transfer = self.transfers.find(id)?;
        let left = transfer.amount - transfer.reversed();
        let amount = params.integer("amount")?.unwrap_or(left);
        let metadata = params.metadata()?;
        params.ignore(&["description", "refund_application_fee"]);
        params.finish()?;
        if !(1..=left).contains(&amount) {
            let message = format!("Transfer reversal amount is greater than unreversed amount on transfer ({left})");
            return Err(ApiError::invalid("amount", &message));
        }
        let reversal = self.reverse(id, amount, metadata)?;
        Ok(self.json(&reversal).unwrap_or_default())
    }

    /// Takes back `amount`, or what is left if that is less.
    pub(crate) fn reverse(&mut self, id: &str, amount: i64, metadata: Metadata) -> Result<String, ApiError> {
        let transfer = self.transfers.find(id)?;
        let (currency, amount) = (transfer.currency, amount.min(transfer.amount - transfer.reversed()));
        let reversal = self.id("trr");
        let balance_transaction = self.book("transfer_refund", amount, currency, &reversal);
        let created = self.now;
        self.transfers.find_mut(id)?.reversals.push(Reversal {
            id: reversal.clone(),
            created,
            amount,
            currency,
            transfer: id.to_owned(),
            balance_transaction,
            metadata,
        });
        self.emit("transfer.reversed", id);
        Ok(reversal)
    }

    /// `GET /v1/transfers`
    pub(crate) fn list_transfers(&self, params: &mut Params) -> Result<Value, ApiError> {
        let destination = params.text("destination")?;
        let group = params.text("transfer_group")?;
        self.transfers.page("/v1/transfers", params, |transfer| {
            destination.as_ref().is_none_or(|destination| transfer.destination == *destination)
                && (group.is_none() || transfer.group == group)
        })
    }

    /// `GET /v1/transfers/{id}/reversals`
    pub(crate) fn list_reversals(&self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        params.ignore(&["limit"]);
        params.finish()?;
        let mut transfer = self.transfers.find(id)?.json();
        Ok(transfer["reversals"].take())
    }
}
