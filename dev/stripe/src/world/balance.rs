//! Balance transactions: what moved on our balance, in its smallest form.

use serde_json::{Value, json};

use super::World;
use super::money::Currency;
use super::table::Row;

/// A movement.
#[derive(Debug, Clone)]
pub(crate) struct BalanceTransaction {
    id: String,
    created: i64,
    amount: i64,
    fee: i64,
    currency: Currency,
    kind: &'static str,
    source: String,
}

#[cfg(test)]
impl BalanceTransaction {
    pub(crate) fn amount(&self) -> i64 {
        self.amount
    }
}

impl Row for BalanceTransaction {
    const KIND: &'static str = "balance transaction";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        let fees = if self.fee == 0 {
            json!([])
        } else {
            json!([{
                "amount": self.fee, "application": null, "currency": self.currency,
                "description": "Stripe processing fees", "type": "stripe_fee",
            }])
        };
        json!({
            "id": self.id,
            "object": "balance_transaction",
            "amount": self.amount,
            "available_on": self.created,
            "balance_type": "payments",
            "created": self.created,
            "currency": self.currency,
            "description": null,
            "exchange_rate": null,
            "fee": self.fee,
            "fee_details": fees,
            "net": self.amount - self.fee,
            "reporting_category": self.kind,
            "source": self.source,
            "status": "available",
            "type": self.kind,
        })
    }
}

impl World {
    /// Books a movement because of the object `source`; charges cost 2.9 % and 30.
    pub(crate) fn book(&mut self, kind: &'static str, amount: i64, currency: Currency, source: &str) -> String {
        let id = self.id("txn");
        let fee = if kind == "charge" { amount * 29 / 1000 + 30 } else { 0 };
        self.balance.insert(BalanceTransaction {
            id: id.clone(),
            created: self.now,
            amount,
            fee,
            currency,
            kind,
            source: source.to_owned(),
        });
        id
    }
}
