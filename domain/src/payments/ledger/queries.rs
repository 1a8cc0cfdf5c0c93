//! SQL of the ledger.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{DonationTotal, Entry};
use crate::{
    id::UserId,
    payments::{Payment, PaymentKind},
};

/// Books entries; with them, what this brought in all: negative where it was given back.
pub(super) async fn insert(
    conn: &mut PgConnection,
    payment: &Payment,
    (kind, amount_minor): (&str, i64),
    entries: &[Entry],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let accounts: Vec<_> = entries.iter().map(|entry| entry.account.to_owned()).collect();
    let users: Vec<_> = entries.iter().map(|entry| entry.user_id.map(|id| id.0)).collect();
    let amounts: Vec<_> = entries.iter().map(|entry| entry.amount_minor).collect();
    sqlx::query!(
        "with booked as (
           insert into ledger_transactions (id, payment_id, kind, currency, created_at, amount_minor, is_gift, payee_user_id)
           values ($1, $2, $3, $4, $5, $9, $10, $11)
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
        amount_minor,
        payment.kind == PaymentKind::Donation,
        payment.payee_user_id.map(|id| id.0),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What came in on a UTC day, by donations or by sessions.
#[derive(Debug)]
pub(crate) struct Taking {
    pub day: NaiveDate,
    pub is_gift: bool,
    pub amount_minor: i64,
}

/// What was taken less what was given back, since the beginning of `first`.
pub(super) async fn takings(conn: &mut PgConnection, currency: &str, first: NaiveDate) -> sqlx::Result<Vec<Taking>> {
    sqlx::query_as!(
        Taking,
        r#"select day, is_gift, sum(amount_minor)::bigint as "amount_minor!" from ledger_days
           where currency = $1 and day >= $2 group by day, is_gift"#,
        currency,
        first,
    )
    .fetch_all(conn)
    .await
}

/// What was given in each currency.
pub(super) async fn gifts(conn: &mut PgConnection) -> sqlx::Result<Vec<DonationTotal>> {
    sqlx::query_as!(
        DonationTotal,
        r#"select currency, sum(amount_minor)::bigint as "amount!",
                  coalesce(sum(amount_minor) filter (where is_platforms), 0)::bigint as "amount_to_platform!"
           from ledger_days where is_gift group by currency order by currency"#,
    )
    .fetch_all(conn)
    .await
}

/// What was given to one person, in each currency.
pub(super) async fn gifts_to(conn: &mut PgConnection, payee: UserId) -> sqlx::Result<Vec<DonationTotal>> {
    sqlx::query_as!(
        DonationTotal,
        r#"select currency, sum(amount_minor)::bigint as "amount!", 0::bigint as "amount_to_platform!"
           from ledger_transactions where is_gift and payee_user_id = $1 group by currency order by currency"#,
        payee.0,
    )
    .fetch_all(conn)
    .await
}
