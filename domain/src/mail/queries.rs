//! SQL of kept mail.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{KeptMail, Letter};
use crate::{id::MailId, pool::Pool, text::Timestamp};

pub(super) async fn insert(
    conn: &mut PgConnection,
    id: MailId,
    letter: &Letter,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into mails (id, to_address, subject, body, created_at) values ($1, $2, $3, $4, $5)",
        id.0,
        letter.to,
        letter.subject,
        letter.body,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn newest(pool: &Pool, to: Option<&str>) -> sqlx::Result<Vec<KeptMail>> {
    sqlx::query_as!(
        KeptMail,
        r#"select id as "id: MailId", to_address as "to", subject, body, created_at as "created_at: Timestamp"
           from mails where $1::text is null or to_address = $1 order by id desc limit 100"#,
        to,
    )
    .fetch_all(pool)
    .await
}
