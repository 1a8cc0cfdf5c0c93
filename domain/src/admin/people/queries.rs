//! SQL of members as staff see them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::Standing;
use crate::{auth::Role, id::UserId, users::DisplayMode};

pub(super) struct Filter {
    pub role: Option<Role>,
    pub managed: Option<bool>,
    pub before: Option<UserId>,
    pub limit: i64,
}

/// A text to look for, in each way it may be meant.
pub(super) struct Search {
    pub id: Option<UserId>,
    pub prefix: String,
    /// Words, as a tsquery.
    pub words: Option<String>,
}

/// Each way of finding has an index, and none reads more of it than it takes. Words that many have are
/// soon found among the newest members; of words that few have, the index knows everybody.
pub(super) async fn search(conn: &mut PgConnection, search: &Search, filter: &Filter) -> sqlx::Result<Vec<UserId>> {
    sqlx::query_scalar!(
        r#"with members as not materialized (
             select id, lower(name) collate "C" as name, email collate "C" as email, search from users
             where erased_at is null and ($3::text is null or role = $3) and ($4::boolean is null or managed = $4)
               and ($5::uuid is null or id < $5)
           ), newest as materialized (
             select id from (select id, search from members order by id desc limit 1000) latest
             where search @@ $2::text::tsquery order by id desc limit $7
           ), others as materialized (
             select id from members where search @@ $2::text::tsquery and (select count(*) from newest) < $7
           ), found as (
             select id from members where id = $6
             union (select id from members where name >= $1 and name < $1 || U&'\+10FFFF' order by id desc limit $7)
             union (select id from members where email >= $1 and email < $1 || U&'\+10FFFF' order by id desc limit $7)
             union select id from newest
             union select id from others
           )
           select id as "id!: UserId" from found order by id desc limit $7"#,
        search.prefix,
        search.words,
        filter.role as Option<Role>,
        filter.managed,
        filter.before.map(|id| id.0),
        search.id.map(|id| id.0),
        filter.limit,
    )
    .fetch_all(conn)
    .await
}

pub(super) async fn list(conn: &mut PgConnection, filter: &Filter) -> sqlx::Result<Vec<UserId>> {
    sqlx::query_scalar!(
        r#"select id as "id: UserId" from users
           where erased_at is null and ($1::text is null or role = $1) and ($2::boolean is null or managed = $2)
             and ($3::uuid is null or id < $3)
           order by id desc limit $4"#,
        filter.role as Option<Role>,
        filter.managed,
        filter.before.map(|id| id.0),
        filter.limit,
    )
    .fetch_all(conn)
    .await
}

/// Locks these people, in id order, and says how they stand. Who has left is left out.
pub(super) async fn lock(conn: &mut PgConnection, ids: &[UserId]) -> sqlx::Result<Vec<Standing>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    sqlx::query_as!(
        Standing,
        r#"select id as "id: UserId", role as "role: Role", managed, manager_id as "manager_id: UserId",
                  display_mode as "display_mode: DisplayMode", confidential_rate, suspended_at is not null as "suspended!"
           from users where erased_at is null and id = any($1)
           order by id for no key update"#,
        &ids,
    )
    .fetch_all(conn)
    .await
}

pub(super) async fn update(conn: &mut PgConnection, standing: &Standing, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "update users set role = $2, managed = $3, manager_id = $4, display_mode = $5, confidential_rate = $6,
           suspended_at = case when $7 then coalesce(suspended_at, $8) end, updated_at = $8
         where id = $1",
        standing.id.0,
        standing.role as Role,
        standing.managed,
        standing.manager_id.map(|id| id.0),
        standing.display_mode as DisplayMode,
        standing.confidential_rate,
        standing.suspended,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
