//! SQL of the ledger.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::Entry;
use crate::payments::Payment;

pub(super) async fn insert(
    conn: &mut PgConnection,
    payment: &Payment,
    kind: &str,
    entries: &[Entry],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let accounts: Vec<_> = entries.iter().map(|entry| entry.account.to_owned()).collect();
    let users: Vec<_> = entries.iter().map(|entry| entry.user_id.map(|id| id.0)).collect();
    let amounts: Vec<_> = entries.iter().map(|entry| entry.amount_minor).collect();
    sqlx::query!(
        "with booked as (
           insert into ledger_transactions (id, payment_id, kind, currency, created_at) values ($1, $2, $3, $4, $5)
         )
         insert into ledger_entries (transaction_id, account, user_id, amount_minor)
         select $1, * from unnest($6::text[], $7::uuid[], $8::bigint[])",
        Uuid::now_v7(),
        payment.id.0,
        kind,
        payment.currency,
        now,
        &accounts,
        &users as &[Option<Uuid>],
        &amounts,
    )
    .execute(conn)
    .await?;
    Ok(())
}
