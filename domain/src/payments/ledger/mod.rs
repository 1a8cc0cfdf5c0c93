//! The ledger: who is owed what, in entries that never change.
//!
//! What is taken lies at the provider (debit, positive) and is owed to the payee and the platform
//! (credit, negative). The database refuses entries that don't sum to zero, a second capture of a
//! payment, and any change. It adds up itself what came in, by the day, as it is booked.

mod queries;
mod totals;

pub(crate) use totals::takings;
pub use totals::{DonationTotal, DonationTotals, donation_totals};

use super::{Payment, amounts};
use crate::{error::Result, id::UserId, tx::Tx};

/// How far a payment had been taken and given back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Balance {
    pub captured_minor: i64,
    pub refunded_minor: i64,
}

/// An account and what is booked on it.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    account: &'static str,
    user_id: Option<UserId>,
    amount_minor: i64,
}

/// Books what has changed.
pub(super) async fn book(tx: &mut Tx, payment: &Payment, from: Balance, to: Balance) -> Result<()> {
    let now = tx.now();
    let captured = to.captured_minor - from.captured_minor;
    if captured > 0 {
        let entries = entries(payment, 0, captured);
        queries::insert(tx.conn(), payment, ("capture", captured), &entries, now).await?;
    }
    if to.refunded_minor != from.refunded_minor {
        let kind = if to.refunded_minor > from.refunded_minor { "refund" } else { "refund_failure" };
        let (before, after) = (to.captured_minor - from.refunded_minor, to.captured_minor - to.refunded_minor);
        let entries = entries(payment, before, after);
        queries::insert(tx.conn(), payment, (kind, after - before), &entries, now).await?;
    }
    Ok(())
}

/// Books what was passed on to the payee, or taken back where that is negative.
pub(super) async fn pass_on(tx: &mut Tx, payment: &Payment, amount_minor: i64) -> Result<()> {
    let now = tx.now();
    let kind = if amount_minor > 0 { "transfer" } else { "transfer_reversal" };
    let entries = [
        Entry { account: "provider", user_id: None, amount_minor: -amount_minor },
        Entry { account: "payee", user_id: payment.payee_user_id, amount_minor },
    ];
    // Nothing came in or was given back.
    Ok(queries::insert(tx.conn(), payment, (kind, 0), &entries, now).await?)
}

/// What it takes to move everybody's share from that of one net amount to that of another.
fn entries(payment: &Payment, before: i64, after: i64) -> Vec<Entry> {
    let fee = |net| match payment.payee_user_id {
        Some(_) => amounts::fee(net, payment.fee_percent),
        None => net,
    };
    let (platform, total) = (fee(after) - fee(before), after - before);
    let all = [
        Entry { account: "provider", user_id: None, amount_minor: total },
        Entry { account: "payee", user_id: payment.payee_user_id, amount_minor: platform - total },
        Entry { account: "platform", user_id: None, amount_minor: -platform },
    ];
    all.into_iter().filter(|entry| entry.amount_minor != 0).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payments::tests::payment;

    fn amounts(entries: &[Entry]) -> Vec<(&str, i64)> {
        entries.iter().map(|entry| (entry.account, entry.amount_minor)).collect()
    }

    #[test]
    fn shares_follow_the_net_amount() {
        let paid = payment(Some(UserId::new()), 10);
        assert_eq!(amounts(&entries(&paid, 0, 3000)), [("provider", 3000), ("payee", -2700), ("platform", -300)]);
        assert_eq!(amounts(&entries(&paid, 3000, 2500)), [("provider", -500), ("payee", 450), ("platform", 50)]);
        let charity = payment(Some(UserId::new()), 0);
        assert_eq!(amounts(&entries(&charity, 0, 500)), [("provider", 500), ("payee", -500)]);
        let gift = payment(None, 0);
        assert_eq!(amounts(&entries(&gift, 0, 500)), [("provider", 500), ("platform", -500)]);
    }

    proptest! {
        #[test]
        fn whatever_is_given_back_in_parts_ends_at_zero(
            captured in 1_i64..100_000_000, percent in 0_i16..=100, parts in prop::collection::vec(1_i64..50_000_000, 0..6),
        ) {
            let paid = payment(Some(UserId::new()), percent);
            let mut booked = entries(&paid, 0, captured);
            let mut net = captured;
            for part in parts.into_iter().chain([captured]) {
                let after = (net - part).max(0);
                let step = entries(&paid, net, after);
                prop_assert_eq!(step.iter().map(|entry| entry.amount_minor).sum::<i64>(), 0);
                booked.extend(step);
                net = after;
            }
            for account in ["provider", "payee", "platform"] {
                let sum: i64 = booked.iter().filter(|entry| entry.account == account).map(|entry| entry.amount_minor).sum();
                prop_assert_eq!(sum, 0, "{}", account);
            }
        }
    }
}
