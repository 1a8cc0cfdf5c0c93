//! SQL of people who were asked for.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{RequestedKind, RequestedPerson, RequestedPersonStatus};
use crate::{
    id::{RequestedPersonId, UserId},
    pool::Pool,
    text::Timestamp,
};

/// The person, or skill, of this name, new or not.
pub(super) async fn ask_for(
    conn: &mut PgConnection,
    id: RequestedPersonId,
    kind: RequestedKind,
    (name, key): (&str, &str),
    now: DateTime<Utc>,
) -> sqlx::Result<RequestedPersonId> {
    sqlx::query_scalar!(
        r#"insert into requested_people (id, kind, name, name_key, last_requested_at, created_at, updated_at)
           values ($1, $5, $2, $3, $4, $4, $4)
           on conflict (name_key) do update set last_requested_at = greatest(requested_people.last_requested_at, $4)
           returning id as "id: RequestedPersonId""#,
        id.0,
        name,
        key,
        now,
        kind as RequestedKind,
    )
    .fetch_one(conn)
    .await
}

/// Counts somebody who asks, once.
pub(super) async fn count(conn: &mut PgConnection, id: RequestedPersonId, asker: UserId) -> sqlx::Result<()> {
    sqlx::query!(
        "with new as (
           insert into requested_people_askers (person_id, user_id) values ($1, $2) on conflict do nothing returning person_id
         )
         update requested_people set request_count = request_count + 1 where id in (select person_id from new)",
        id.0,
        asker.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// For how many somebody counts.
pub(super) async fn count_by(conn: &mut PgConnection, asker: UserId) -> sqlx::Result<i64> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from requested_people_askers where user_id = $1"#, asker.0,)
        .fetch_one(conn)
        .await
}

pub(super) async fn lock(conn: &mut PgConnection, id: RequestedPersonId) -> sqlx::Result<Option<RequestedPerson>> {
    sqlx::query_as!(
        RequestedPerson,
        r#"select id as "id: RequestedPersonId", kind as "kind: RequestedKind", name, request_count, status as "status: RequestedPersonStatus",
                  last_requested_at as "last_requested_at: Timestamp", created_at as "created_at: Timestamp",
                  updated_at as "updated_at: Timestamp"
           from requested_people where id = $1 for update"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

pub(super) async fn list(
    conn: &mut PgConnection,
    before: Option<RequestedPersonId>,
    limit: i64,
) -> sqlx::Result<Vec<RequestedPerson>> {
    sqlx::query_as!(
        RequestedPerson,
        r#"select id as "id: RequestedPersonId", kind as "kind: RequestedKind", name, request_count, status as "status: RequestedPersonStatus",
                  last_requested_at as "last_requested_at: Timestamp", created_at as "created_at: Timestamp",
                  updated_at as "updated_at: Timestamp"
           from requested_people where $1::uuid is null or id < $1 order by id desc limit $2"#,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

pub(super) async fn set_status(
    conn: &mut PgConnection,
    id: RequestedPersonId,
    status: RequestedPersonStatus,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update requested_people set status = $2, updated_at = $3 where id = $1",
        id.0,
        status as RequestedPersonStatus,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn names_by(pool: &Pool, asker: UserId, kind: RequestedKind) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        "select name from requested_people p join requested_people_askers a on a.person_id = p.id
         where a.user_id = $1 and p.kind = $2 order by p.id",
        asker.0,
        kind as RequestedKind,
    )
    .fetch_all(pool)
    .await
}
