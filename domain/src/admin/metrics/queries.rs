//! SQL of the numbers. Each reads an index that is no larger than what it counts.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::{RequestCounts, SessionCounts, Totals};

/// Who is online is asked of the few who may be, by the condition of `user_is_online`.
pub(super) async fn totals(conn: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<Totals> {
    sqlx::query_as!(
        Totals,
        r#"with here as (
             select s.user_id, true as connected from user_sockets s join socket_processes p on p.id = s.process_id
             where p.seen_at > now() - interval '20 seconds'
             union all
             select user_id, false from presences where until > $1
           )
           select (select count(*) from users) - (select count(*) from users where erased_at is not null) as "users!",
             (select count(*) from users where managed) as "managed!",
             (select count(*) from users where role = 'admin' and suspended_at is null) as "admins!",
             (select count(distinct u.id) from here join users u on u.id = here.user_id
              where u.presence_state <> 'offline' and (connected or u.present_until > $1)) as "online!""#,
        now,
    )
    .fetch_one(conn)
    .await
}

pub(super) async fn sessions(conn: &mut PgConnection, today: NaiveDate) -> sqlx::Result<SessionCounts> {
    sqlx::query_as!(
        SessionCounts,
        r#"select (select count(*) from sessions where status = 'in_progress') as "active!",
             (select count(*) from sessions where status = 'pending') as "pending!",
             (select count(*) from sessions
              where status = 'complete' and ended_at >= $1::date::timestamp at time zone 'UTC') as "completed_today!""#,
        today,
    )
    .fetch_one(conn)
    .await
}

pub(super) async fn requests(conn: &mut PgConnection) -> sqlx::Result<RequestCounts> {
    sqlx::query_as!(
        RequestCounts,
        r#"select (select count(*) from requests where status = 'pending') as "pending!",
             (select count(*) from requested_people where status = 'pending') as "requested_people_pending!""#,
    )
    .fetch_one(conn)
    .await
}

/// How many sessions began on each UTC day since `first`; days without any are left out.
pub(super) async fn sessions_by_day(
    conn: &mut PgConnection,
    first: NaiveDate,
) -> sqlx::Result<BTreeMap<NaiveDate, i64>> {
    let rows = sqlx::query!(
        r#"select (started_at at time zone 'UTC')::date as "day!", count(*) as "count!" from sessions
           where started_at >= $1::date::timestamp at time zone 'UTC'
           group by 1"#,
        first,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.day, row.count)).collect())
}

/// How many requests were sent on each UTC day since `first`; days without any are left out.
pub(super) async fn requests_by_day(
    conn: &mut PgConnection,
    first: NaiveDate,
) -> sqlx::Result<BTreeMap<NaiveDate, i64>> {
    let rows = sqlx::query!(
        r#"select (created_at at time zone 'UTC')::date as "day!", count(*) as "count!" from requests
           where created_at >= $1::date::timestamp at time zone 'UTC'
           group by 1"#,
        first,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.day, row.count)).collect())
}
