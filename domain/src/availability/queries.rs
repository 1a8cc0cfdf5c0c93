//! SQL of availability.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, postgres::types::PgRange, types::Json};

use super::{
    Rules,
    slots::{Agenda, Span},
};
use crate::id::{SessionId, UserId};

pub(super) struct Host {
    pub timezone: String,
    pub rules: Option<Json<Rules>>,
}

/// Somebody's zone and rules; `None` where they don't exist or are suspended.
pub(super) async fn host(conn: &mut PgConnection, id: UserId) -> sqlx::Result<Option<Host>> {
    sqlx::query_as!(
        Host,
        r#"select u.timezone, a.rules as "rules?: Json<Rules>"
           from users u left join availability a on a.user_id = u.id
           where u.id = $1 and u.suspended_at is null"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

pub(super) async fn save(conn: &mut PgConnection, id: UserId, rules: &Rules, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into availability (user_id, rules, updated_at) values ($1, $2, $3)
         on conflict (user_id) do update set rules = excluded.rules, updated_at = excluded.updated_at",
        id.0,
        Json(rules) as _,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How an agenda is looked at.
pub(super) struct Sight {
    /// Whose own offers don't count.
    pub viewer: UserId,
    /// A session that doesn't count.
    pub except: Option<SessionId>,
    /// What has run out by then doesn't count.
    pub now: DateTime<Utc>,
}

/// What a host has agreed to, and what is offered to others, that matters for slots in a span.
pub(super) async fn agenda(conn: &mut PgConnection, host: UserId, span: Span, sight: &Sight) -> sqlx::Result<Agenda> {
    let except = sight.except.map(|id| id.0);
    let busy = sqlx::query_scalar!(
        r#"select during as "during: PgRange<DateTime<Utc>>" from engagements e
           where user_id = $1 and during && tstzrange($2, $3) and ($4::uuid is null or session_id is distinct from $4)
             and not exists (select from sessions s where s.id = e.session_id and s.hold_expires_at <= $5)
             and not exists (select from sam_actions a where a.id = e.offer_id and (a.expires_at <= $5 or a.user_id = $6))"#,
        host.0,
        span.start,
        span.end,
        except,
        sight.now,
        sight.viewer.0,
    )
    .fetch_all(&mut *conn)
    .await?;
    let bookings = sqlx::query_scalar!(
        "select start_time from sessions
         where host_user_id = $1 and start_time >= $2 and start_time < $3 and type = 'scheduled' and status <> 'cancelled'
           and id is distinct from $4 and coalesce(hold_expires_at > $5, true)",
        host.0,
        span.start,
        span.end,
        except,
        sight.now,
    )
    .fetch_all(conn)
    .await?;
    Ok(Agenda { busy: busy.into_iter().filter_map(Span::of_range).collect(), bookings })
}
