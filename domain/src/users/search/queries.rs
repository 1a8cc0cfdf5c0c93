//! SQL of looking for people.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::Search;
use crate::{id::UserId, pool::Pool, users::ConversationType};

/// A found person; also a position in the list.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Hit {
    pub rank: f32,
    pub id: UserId,
    /// The newest person when a walk through matches began: those who come later must not push anybody out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<UserId>,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub after: Option<Hit>,
    pub limit: i64,
}

/// What is looked for.
pub(super) struct Words<'a> {
    /// Each has something to look for in it.
    pub all: Vec<&'a str>,
    /// What stands before the last part of the last word: `anna-` of `anna-ma`.
    pub last_head: &'a str,
    /// That last part as a tsquery of its beginnings: `ma:*`.
    pub last_prefix: String,
}

/// The tsquery that every word matches, the last one as a beginning too. Asked for by itself, so that the planner knows how many
/// match it when it chooses how to look for them.
pub(super) async fn tsquery(conn: &mut PgConnection, words: &Words<'_>) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!(
        r#"with words as (
             select plainto_tsquery('english', word) || plainto_tsquery('simple', word)
                    || case when n = cardinality($1::text[])
                         then plainto_tsquery('simple', $2) && to_tsquery('simple', $3) else '' end as query
             from unnest($1::text[]) with ordinality as word(word, n)
           )
           select string_agg('(' || query::text || ')', ' & ') from words where numnode(query) > 0"#,
        &words.all as &[&str],
        words.last_head,
        words.last_prefix,
    )
    .fetch_one(conn)
    .await
}

/// Of how many people who match the best are looked for: ranking one takes as long as finding it.
const MOST_RANKED: i64 = 5_000;

/// The best of the newest people who match, best first.
pub(super) async fn search_words(
    conn: &mut PgConnection,
    query: &str,
    search: &Search<'_>,
    range: Range,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Hit>> {
    sqlx::query_as!(
        Hit,
        r#"with matches as materialized (
             (select id, search from users
              where $4::boolean is distinct from true and search @@ $1::text::tsquery and suspended_at is null
                and ($3::text is null or conversation_type = $3) and ($8::uuid is null or id <= $8)
                and ($4::boolean is null or not user_is_online(presence_state, present_until, id, $5))
              order by id desc limit $2)
             union all
             (select u.id, u.search
              from (select user_id, has_socket from signs_of_life($5) order by user_id desc) here
              join users u on u.id = here.user_id
              where $4 and u.presence_state <> 'offline' and (here.has_socket or u.present_until > $5)
                and u.search @@ $1::text::tsquery and u.suspended_at is null
                and ($3::text is null or u.conversation_type = $3) and ($8::uuid is null or u.id <= $8)
              order by u.id desc limit $2)
           ), hits as (
             select id, ts_rank(search, $1::text::tsquery) as rank from matches
           )
           select id as "id!: UserId", rank as "rank!",
                  coalesce($8, (select id from users order by id desc limit 1)) as "newest: UserId"
           from hits where $6::real is null or (rank, id) < ($6, $7)
           order by rank desc, id desc limit $9"#,
        query,
        MOST_RANKED,
        search.conversation_type as Option<ConversationType>,
        search.online,
        now,
        range.after.map(|hit| hit.rank),
        range.after.map(|hit| hit.id.0),
        range.after.and_then(|hit| hit.newest).map(|id| id.0),
        range.limit,
    )
    .fetch_all(conn)
    .await
}

/// Who is online, newest first.
pub(super) async fn list_online(
    pool: &Pool,
    conversation_type: Option<ConversationType>,
    range: Range,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Hit>> {
    sqlx::query_as!(
        Hit,
        r#"select u.id as "id: UserId", 0::real as "rank!", null::uuid as "newest: UserId"
           from (select user_id, has_socket from signs_of_life($2)
                 where $3::uuid is null or user_id < $3 order by user_id desc) here
           join users u on u.id = here.user_id
           where u.presence_state <> 'offline' and (here.has_socket or u.present_until > $2)
             and u.suspended_at is null and ($1::text is null or u.conversation_type = $1)
           order by u.id desc limit $4"#,
        conversation_type as Option<ConversationType>,
        now,
        range.after.map(|hit| hit.id.0),
        range.limit,
    )
    .fetch_all(pool)
    .await
}

/// Everybody, or everybody who isn't online, newest first.
pub(super) async fn list(
    pool: &Pool,
    conversation_type: Option<ConversationType>,
    only_offline: bool,
    range: Range,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Hit>> {
    sqlx::query_as!(
        Hit,
        r#"select id as "id: UserId", 0::real as "rank!", null::uuid as "newest: UserId" from users
           where suspended_at is null
             and ($1::text is null or conversation_type = $1)
             and not ($2 and user_is_online(presence_state, present_until, id, $3))
             and ($4::uuid is null or id < $4)
           order by id desc limit $5"#,
        conversation_type as Option<ConversationType>,
        only_offline,
        now,
        range.after.map(|hit| hit.id.0),
        range.limit,
    )
    .fetch_all(pool)
    .await
}
