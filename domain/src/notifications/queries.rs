//! SQL of notifications.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Notice, NotificationKind};
use crate::id::{NotificationId, UserId};

/// Whether the user wants it mailed; `None` when it was there before.
pub(super) async fn insert(
    conn: &mut PgConnection,
    id: NotificationId,
    notice: &Notice,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<bool>> {
    sqlx::query_scalar!(
        r#"with stored as (
             insert into notifications (id, user_id, kind, key, title, body, data, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (user_id, key) do nothing returning user_id
           )
           select coalesce((p.mail ->> $3)::boolean, $9) as "is_mailed!"
           from stored left join notification_preferences p using (user_id)"#,
        id.0,
        notice.user_id.0,
        notice.kind as NotificationKind,
        notice.key,
        notice.title,
        notice.body,
        notice.data,
        now,
        notice.kind.is_mailed_by_default(),
    )
    .fetch_optional(conn)
    .await
}

/// Which of these were unread.
pub(super) async fn read_by_key(
    conn: &mut PgConnection,
    user_id: UserId,
    keys: &[String],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<NotificationId>> {
    sqlx::query_scalar!(
        r#"update notifications set read_at = $3 where user_id = $1 and key = any($2) and read_at is null
           returning id as "id: NotificationId""#,
        user_id.0,
        keys,
        now,
    )
    .fetch_all(conn)
    .await
}
