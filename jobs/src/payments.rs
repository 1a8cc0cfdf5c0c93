//! Jobs that speak with the payment provider.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Job, OnDuplicate, Queue, WhenSpent,
    id::{PaymentCallId, PaymentId, UserId},
};

/// Makes a call to the provider, or finds out what became of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct MakePaymentCall {
    /// The call, which was written down with its idempotency key.
    pub call_id: PaymentCallId,
}

impl Job for MakePaymentCall {
    const NAME: &'static str = "make_payment_call";
    const QUEUE: Queue = Queue::Payments;
    const ON_DUPLICATE: OnDuplicate = OnDuplicate::ReplaceDueTime;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.call_id.to_string())
    }
}

/// Asks the provider how something stands, and moves our books there.
#[derive(Debug, Serialize, Deserialize)]
pub struct SyncPayment {
    /// The provider's id of a payment intent (`pi_`), a setup intent (`seti_`), a checkout (`cs_`), a transfer (`tr_`) or an
    /// account (`acct_`).
    pub object_id: String,
}

impl Job for SyncPayment {
    const NAME: &'static str = "sync_payment";
    const QUEUE: Queue = Queue::Payments;
    /// What was asked for by hand goes first.
    const PRIORITY: i16 = 10;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.object_id.clone())
    }
}

/// Authorises a card that was saved for a session, once that is near.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuthorizePayment {
    /// The payment.
    pub payment_id: PaymentId,
}

impl Job for AuthorizePayment {
    const NAME: &'static str = "authorize_payment";
    const QUEUE: Queue = Queue::Payments;
    const ON_DUPLICATE: OnDuplicate = OnDuplicate::ReplaceDueTime;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.payment_id.to_string())
    }
}

/// Has the provider forget somebody who closed their account, with their cards.
#[derive(Debug, Serialize, Deserialize)]
pub struct ForgetPayer {
    /// Who.
    pub user_id: UserId,
}

impl Job for ForgetPayer {
    const NAME: &'static str = "forget_payer";
    const QUEUE: Queue = Queue::Payments;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.user_id.to_string())
    }
}

/// Looks after holds that are about to end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct WatchHolds {}

impl Job for WatchHolds {
    const NAME: &'static str = "watch_holds";
    const QUEUE: Queue = Queue::Payments;
    const MAX_ATTEMPTS: i16 = 3;
    const WHEN_SPENT: WhenSpent = WhenSpent::Cancel;
    const GLOBAL_CONCURRENCY: Option<u32> = Some(1);

    fn dedupe_key(&self) -> Option<String> {
        Some("any".to_owned())
    }
}

/// Passes on what hosts earned and is due.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct PayHosts {}

impl Job for PayHosts {
    const NAME: &'static str = "pay_hosts";
    const QUEUE: Queue = Queue::Payments;
    const PRIORITY: i16 = 20;
    const MAX_ATTEMPTS: i16 = 3;
    const WHEN_SPENT: WhenSpent = WhenSpent::Cancel;
    const GLOBAL_CONCURRENCY: Option<u32> = Some(1);

    fn dedupe_key(&self) -> Option<String> {
        Some("any".to_owned())
    }
}

/// Compares our books with the provider's, both ways.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ReconcilePayments {}

impl Job for ReconcilePayments {
    const NAME: &'static str = "reconcile_payments";
    const QUEUE: Queue = Queue::Payments;
    const PRIORITY: i16 = 20;
    /// A list of the provider's may have many pages.
    const TIMEOUT: Duration = Duration::from_mins(5);
    const MAX_ATTEMPTS: i16 = 3;
    const WHEN_SPENT: WhenSpent = WhenSpent::Cancel;
    const GLOBAL_CONCURRENCY: Option<u32> = Some(1);

    fn dedupe_key(&self) -> Option<String> {
        Some("any".to_owned())
    }
}
