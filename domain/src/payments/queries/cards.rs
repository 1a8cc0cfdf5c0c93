//! SQL of saved cards and of holds near their end.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    id::{PaymentId, SessionId},
    pool::Pool,
};

/// Notes what a card is saved with, and the card once it is; true when that is news.
pub(in crate::payments) async fn name_setup(
    conn: &mut PgConnection,
    id: PaymentId,
    setup_id: &str,
    method_id: Option<&str>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let named = sqlx::query_scalar!(
        r#"update payments set setup_id = $2, method_id = coalesce(payments.method_id, $3), checked_at = $4
           from (select method_id from payments where id = $1) as before
           where id = $1 returning before.method_id is null and $3::text is not null as "is_news!""#,
        id.0,
        setup_id,
        method_id,
        now,
    );
    named.fetch_one(conn).await
}

pub(in crate::payments) async fn set_authorize_at(
    conn: &mut PgConnection,
    id: PaymentId,
    at: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!("update payments set authorize_at = $2 where id = $1", id.0, at).execute(conn).await?;
    Ok(())
}

/// Notes that a hold is let go because it would end too soon.
pub(in crate::payments) async fn lapse(conn: &mut PgConnection, id: PaymentId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!("update payments set lapsed_at = $2 where id = $1", id.0, now).execute(conn).await?;
    Ok(())
}

/// Notes that the payee wants nothing of it.
pub(in crate::payments) async fn waive(conn: &mut PgConnection, id: PaymentId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!("update payments set waived_at = $2 where id = $1", id.0, now).execute(conn).await?;
    Ok(())
}

/// All payments that a session has had.
pub(in crate::payments) async fn payments_of(
    conn: &mut PgConnection,
    session: SessionId,
) -> sqlx::Result<Vec<PaymentId>> {
    sqlx::query_scalar!(
        r#"select id as "id: PaymentId" from payments where session_id = $1 and kind = 'session'"#,
        session.0,
    )
    .fetch_all(conn)
    .await
}

/// Holds that end before a time, those that end first.
pub(in crate::payments) async fn holds_ending(
    pool: &Pool,
    before: DateTime<Utc>,
    limit: i64,
) -> sqlx::Result<Vec<PaymentId>> {
    sqlx::query_scalar!(
        r#"select id as "id: PaymentId" from payments
           where status in ('authorized', 'capturing') and capture_before < $1 order by capture_before limit $2"#,
        before,
        limit,
    )
    .fetch_all(pool)
    .await
}

pub(in crate::payments) async fn count_holds_ending(pool: &Pool, before: DateTime<Utc>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from payments
           where status in ('authorized', 'capturing') and capture_before < $1"#,
        before,
    )
    .fetch_one(pool)
    .await
}

/// Who pays and is paid, by name, and where the payer's clocks are.
pub(in crate::payments) struct People {
    pub payer_name: String,
    pub payee_name: Option<String>,
    pub payer_timezone: String,
}

pub(in crate::payments) async fn people(conn: &mut PgConnection, id: PaymentId) -> sqlx::Result<People> {
    sqlx::query_as!(
        People,
        r#"select payer.name as payer_name, payer.timezone as payer_timezone, payee.name as "payee_name?"
           from payments p join users payer on payer.id = p.payer_user_id left join users payee on payee.id = p.payee_user_id
           where p.id = $1"#,
        id.0,
    )
    .fetch_one(conn)
    .await
}
