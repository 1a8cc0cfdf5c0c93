//! SQL of differences.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::Difference;
use crate::{
    id::{DifferenceId, PaymentId},
    pool::Pool,
    text::Timestamp,
};

/// False when it was noted before.
pub(super) async fn note(
    conn: &mut PgConnection,
    id: DifferenceId,
    payment: Option<PaymentId>,
    object_id: &str,
    kind: &str,
    details: &Value,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "insert into payment_differences (id, payment_id, object_id, kind, details, found_at)
         values ($1, $2, $3, $4, $5, $6) on conflict (kind, object_id) where resolved_at is null do nothing",
        id.0,
        payment.map(|id| id.0),
        object_id,
        kind,
        details,
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

pub(super) async fn resolve(
    conn: &mut PgConnection,
    object_id: &str,
    kinds: &[&str],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update payment_differences set resolved_at = $3
         where object_id = $1 and kind = any($2) and resolved_at is null",
        object_id,
        kinds as &[&str],
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn resolve_all(
    conn: &mut PgConnection,
    payment: PaymentId,
    kinds: &[&str],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update payment_differences set resolved_at = $3
         where payment_id = $1 and kind = any($2) and resolved_at is null",
        payment.0,
        kinds as &[&str],
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn resolve_others(
    conn: &mut PgConnection,
    kind: &str,
    left: &[String],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update payment_differences set resolved_at = $3
         where kind = $1 and resolved_at is null and object_id <> all ($2)",
        kind,
        left,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn open(pool: &Pool) -> sqlx::Result<Vec<Difference>> {
    sqlx::query_as!(
        Difference,
        r#"select id as "id: DifferenceId", payment_id as "payment_id: PaymentId", object_id, kind, details,
                  found_at as "found_at: Timestamp"
           from payment_differences where resolved_at is null order by id desc limit 100"#,
    )
    .fetch_all(pool)
    .await
}
