//! SQL of kept mail.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{KeptMail, Letter};
use crate::{id::MailId, pool::Pool, text::Timestamp};

/// Keeps a mail, unless it was kept before.
pub(super) async fn insert(
    conn: &mut PgConnection,
    id: MailId,
    message_id: &str,
    letter: &Letter,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into mails (id, message_id, to_address, subject, body, calendar, created_at)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (message_id) do nothing",
        id.0,
        message_id,
        letter.to,
        letter.subject,
        letter.body,
        letter.calendar.as_ref().map(crate::calendar::CalendarEvent::to_ics),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn newest(pool: &Pool, to: Option<&str>) -> sqlx::Result<Vec<KeptMail>> {
    sqlx::query_as!(
        KeptMail,
        r#"select id as "id: MailId", to_address as "to", subject, body, calendar, created_at as "created_at: Timestamp"
           from mails where $1::text is null or to_address = $1 order by id desc limit 100"#,
        to,
    )
    .fetch_all(pool)
    .await
}
