//! Where the money is: each intent with what is held, captured and refunded. For tests that add it up.

use serde_json::{Value, json};

use super::World;
use super::table::Row;

impl World {
    /// Every intent's money, oldest first. `refunded` is what went back of what was captured; `captures` counts
    /// the charges that took money.
    pub(crate) fn totals(&self) -> Vec<Value> {
        let intents = self.intents.iter().map(|intent| {
            let charges: Vec<_> =
                self.charges.iter().filter(|charge| charge.intent == intent.id && charge.captured).collect();
            let refunds = self
                .refunds
                .iter()
                .filter(|refund| refund.counts() && charges.iter().any(|charge| charge.id == refund.charge));
            json!({
                "id": intent.id,
                "status": intent.status,
                "currency": intent.wish.currency,
                "amount": intent.wish.amount,
                "held": intent.amount_capturable,
                "captured": charges.iter().map(|charge| charge.amount_captured).sum::<i64>(),
                "captures": charges.len(),
                "refunded": refunds.map(|refund| refund.amount).sum::<i64>(),
                "metadata": intent.wish.more.metadata,
            })
        });
        intents.collect()
    }

    /// Everything, as JSON.
    pub(crate) fn state(&self) -> Value {
        fn all<T: Row>(rows: &super::table::Table<T>) -> Vec<Value> {
            rows.iter().map(Row::json).collect()
        }
        json!({
            "now": self.now,
            "intents": self.totals(),
            "accounts": all(&self.accounts),
            "charges": all(&self.charges),
            "checkout_sessions": all(&self.checkouts),
            "customers": all(&self.customers),
            "disputes": all(&self.disputes),
            "refunds": all(&self.refunds),
            "setup_intents": all(&self.setups),
            "transfers": all(&self.transfers),
        })
    }
}
