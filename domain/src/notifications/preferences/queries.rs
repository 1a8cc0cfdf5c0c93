//! SQL of preferences.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};

use super::{Digest, NotificationKind, Preferences, QuietHours};
use crate::{availability::DayMinute, id::UserId};

/// What somebody wants, and the name of their zone.
pub(in crate::notifications) struct Found {
    pub preferences: Preferences,
    pub timezone: String,
}

/// The columns of somebody's preferences; all empty where they never said anything.
pub(in crate::notifications) struct Columns {
    pub mail: Option<Json<BTreeMap<NotificationKind, bool>>>,
    pub digest: Option<Digest>,
    pub digest_hour: Option<i16>,
    pub quiet_start: Option<i16>,
    pub quiet_end: Option<i16>,
}

impl From<Columns> for Preferences {
    fn from(columns: Columns) -> Self {
        let minute = |minute: Option<i16>| DayMinute::new(minute?.try_into().ok()?);
        let quiet = minute(columns.quiet_start).zip(minute(columns.quiet_end));
        let default = Self::default();
        Self {
            mail: columns.mail.map_or(default.mail, |mail| mail.0),
            digest: columns.digest.unwrap_or(default.digest),
            digest_hour: columns.digest_hour.and_then(|hour| hour.try_into().ok()).unwrap_or(default.digest_hour),
            quiet_hours: quiet.map(|(start, end)| QuietHours { start, end }),
        }
    }
}

pub(super) async fn find(conn: &mut PgConnection, user_id: UserId) -> sqlx::Result<Option<Found>> {
    let row = sqlx::query!(
        r#"select u.timezone, p.mail as "mail?: Json<BTreeMap<NotificationKind, bool>>", p.digest as "digest?: Digest",
                  p.digest_hour as "digest_hour?", p.quiet_start, p.quiet_end
           from users u left join notification_preferences p on p.user_id = u.id where u.id = $1"#,
        user_id.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let (mail, digest, digest_hour) = (row.mail, row.digest, row.digest_hour);
        let columns = Columns { mail, digest, digest_hour, quiet_start: row.quiet_start, quiet_end: row.quiet_end };
        Found { preferences: columns.into(), timezone: row.timezone }
    }))
}

/// The name of somebody's zone, which stays as it is until the unit of work ends.
pub(super) async fn lock_zone(conn: &mut PgConnection, user_id: UserId) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select timezone from users where id = $1 for no key update", user_id.0)
        .fetch_optional(conn)
        .await
}

/// Digests that begin now tell of what comes from now on.
pub(super) async fn save(
    conn: &mut PgConnection,
    user_id: UserId,
    preferences: &Preferences,
    due: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let minute = |minute: DayMinute| i16::try_from(minute.minute()).unwrap_or_default();
    let quiet = preferences.quiet_hours;
    sqlx::query!(
        "insert into notification_preferences as p
           (user_id, mail, digest, digest_hour, quiet_start, quiet_end, next_digest_at, digested_until, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, case when $7::timestamptz is not null then $8::timestamptz end, $8)
         on conflict (user_id) do update
           set mail = excluded.mail, digest = excluded.digest, digest_hour = excluded.digest_hour,
               quiet_start = excluded.quiet_start, quiet_end = excluded.quiet_end,
               next_digest_at = excluded.next_digest_at, updated_at = excluded.updated_at,
               digested_until = case when excluded.next_digest_at is not null
                                     then coalesce(p.digested_until, excluded.digested_until) end",
        user_id.0,
        Json(&preferences.mail) as _,
        preferences.digest as Digest,
        i16::from(preferences.digest_hour),
        quiet.map(|quiet| minute(quiet.start)),
        quiet.map(|quiet| minute(quiet.end)),
        due,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn move_digest(conn: &mut PgConnection, user_id: UserId, due: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "update notification_preferences set next_digest_at = $2 where user_id = $1 and digest <> 'off'",
        user_id.0,
        due,
    )
    .execute(conn)
    .await?;
    Ok(())
}
