//! What is owed, asked of the provider, and booked.

use chrono::{DateTime, Utc};

use crate::{
    Store,
    id::{PaymentId, SessionId, UserId},
};

/// What a guest owes of a session that is over, in minor units.
///
/// # Panics
/// When the database fails, or the session isn't over.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn owed(store: &Store, session: SessionId) -> i64 {
    let owed = sqlx::query_scalar("select owed_minor from sessions where id = $1").bind(session.0);
    owed.fetch_one(store.pool()).await.expect("the session is over")
}

/// What is booked for a payment: account and amount, oldest first.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn booked(store: &Store, payment: PaymentId) -> Vec<(String, i64)> {
    sqlx::query_as(
        "select account, e.amount_minor from ledger_entries e join ledger_transactions t on t.id = e.transaction_id
         where t.payment_id = $1 order by t.id, account desc",
    )
    .bind(payment)
    .fetch_all(store.pool())
    .await
    .expect("the ledger can be read")
}

/// How many calls to the payment provider are not settled.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn open_calls(store: &Store) -> i64 {
    sqlx::query_scalar("select count(*) from payment_calls where state = 'open'")
        .fetch_one(store.pool())
        .await
        .expect("calls can be counted")
}

/// What was asked of the payment provider for a payment, and done, in all.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn done_calls(store: &Store, payment: PaymentId, kind: &str) -> i64 {
    sqlx::query_scalar(
        "select coalesce(sum(amount_minor), 0)::bigint from payment_calls
         where payment_id = $1 and kind = $2 and state = 'done'",
    )
    .bind(payment)
    .bind(kind)
    .fetch_one(store.pool())
    .await
    .expect("calls can be added up")
}

/// How webhook events stand: type and state, in the order they came.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn heard(store: &Store) -> Vec<(String, String)> {
    sqlx::query_as("select type, state from webhook_events order by received_at, id")
        .fetch_all(store.pool())
        .await
        .expect("events can be read")
}

/// Has a payment's hold end at another time than the provider's, as a bank may say.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn set_capture_before(store: &Store, payment: PaymentId, at: DateTime<Utc>) {
    sqlx::query("update payments set capture_before = $2 where id = $1")
        .bind(payment.0)
        .bind(at)
        .execute(store.pool())
        .await
        .expect("a hold can be shortened");
}

/// What the platform owes somebody by its books, in minor units.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn owed_to(store: &Store, user: UserId) -> i64 {
    sqlx::query_scalar("select coalesce(-sum(amount_minor), 0)::bigint from ledger_entries where user_id = $1")
        .bind(user.0)
        .fetch_one(store.pool())
        .await
        .expect("the ledger can be read")
}
