//! SQL of conversations. Every statement names the reader it is for.

mod messages;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, types::Json};

pub(crate) use messages::list_messages;
pub(super) use messages::{Away, Inserted, find_by_client_id, insert_answer, insert_message};

use super::{Attachment, Conversation, ConversationKind, Filter, Message, MessageType, Origin, Position};
use crate::{
    id::{ConversationId, SessionId, UserId},
    text::Timestamp,
};

fn ordered(a: UserId, b: UserId) -> (UserId, UserId) {
    if a < b { (a, b) } else { (b, a) }
}

pub(crate) async fn find_pair(conn: &mut PgConnection, a: UserId, b: UserId) -> sqlx::Result<Option<ConversationId>> {
    let (first, second) = ordered(a, b);
    sqlx::query_scalar!(
        r#"select id as "id: ConversationId" from conversations
           where type = 'human' and first_user_id = $1 and second_user_id = $2"#,
        first.0,
        second.0,
    )
    .fetch_optional(conn)
    .await
}

/// False when the pair has one already, or one of them isn't there.
pub(super) async fn insert_pair(
    conn: &mut PgConnection,
    id: ConversationId,
    a: UserId,
    b: UserId,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let (first, second) = ordered(a, b);
    let result = sqlx::query!(
        "with conversation as (
           insert into conversations (id, type, first_user_id, second_user_id, last_activity, created_at)
           select $1, 'human', $2, $3, $4, $4
           where (select count(*) from users where id in ($2, $3) and suspended_at is null) = 2
           on conflict (first_user_id, second_user_id) where type = 'human' do nothing
           returning id, first_user_id, second_user_id
         )
         insert into conversation_participants (conversation_id, user_id)
         select id, user_id from conversation, unnest(array[first_user_id, second_user_id]) as user_id",
        id.0,
        first.0,
        second.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

pub(crate) async fn is_participant(
    conn: impl PgExecutor<'_>,
    id: ConversationId,
    user_id: UserId,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from conversation_participants where conversation_id = $1 and user_id = $2) as "is!""#,
        id.0,
        user_id.0,
    )
    .fetch_one(conn)
    .await
}

pub(super) async fn message_count(
    conn: &mut PgConnection,
    id: ConversationId,
    reader: UserId,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "select c.message_count from conversations c
         join conversation_participants p on p.conversation_id = c.id and p.user_id = $2
         where c.id = $1",
        id.0,
        reader.0,
    )
    .fetch_optional(conn)
    .await
}

/// False when the mark was there or further already. What lies between is counted once.
pub(super) async fn mark_read(
    conn: &mut PgConnection,
    id: ConversationId,
    reader: UserId,
    seq: i64,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update conversation_participants p
         set read_through = $3, heard_through = $3,
             heard = case when heard_through = read_through then heard else 0 end
                   + (select count(*) from messages m where m.conversation_id = $1 and m.seq <= $3
                      and m.seq > case when p.heard_through = p.read_through then p.read_through else 0 end
                      and m.sender_id is distinct from $2)
         where conversation_id = $1 and user_id = $2 and read_through < $3",
        id.0,
        reader.0,
        seq,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

pub(crate) async fn link_session(
    conn: &mut PgConnection,
    id: ConversationId,
    session_id: SessionId,
) -> sqlx::Result<()> {
    sqlx::query!("update conversations set linked_session_id = $2 where id = $1", id.0, session_id.0)
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) struct Listed {
    pub id: ConversationId,
    pub activity: DateTime<Utc>,
    /// What was committed when the walk began.
    pub began: String,
}

/// Where a walk begins: what is committed now.
pub(super) async fn list_first(
    conn: &mut PgConnection,
    reader: UserId,
    filter: Filter,
    limit: i64,
) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as!(
        Listed,
        r#"select c.id as "id: ConversationId", c.last_activity as activity, pg_current_snapshot()::text as "began!"
           from conversation_participants p join conversations c on c.id = p.conversation_id
           where p.user_id = $1 and ($2::text is null or c.type = $2)
             and (not $3 or case
               when c.counted = c.message_count and p.heard_through = p.read_through
               then c.message_count - case c.first_user_id when $1 then c.first_sent else c.second_sent end > p.heard
               else exists (select from messages m where m.conversation_id = c.id
                            and m.seq > p.read_through and m.sender_id is distinct from $1) end)
           order by c.last_activity desc, c.id desc limit $4"#,
        reader.0,
        filter.kind as Option<ConversationKind>,
        filter.unread,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// How a walk goes on: what was committed after it began does not exist for it, neither
/// conversations nor the messages that would move one up.
pub(super) async fn list_next(
    conn: &mut PgConnection,
    reader: UserId,
    filter: Filter,
    after: &Position,
    limit: i64,
) -> sqlx::Result<Vec<Listed>> {
    sqlx::query_as!(
        Listed,
        r#"with walk as materialized (
             select $2::text::pg_snapshot as began
           ), mine as (
             select c.id, began,
                    case when pg_visible_in_snapshot(c.active_in, began) then c.last_activity
                         else coalesce((select m.created_at from messages m
                                        where m.conversation_id = c.id and pg_visible_in_snapshot(m.stored_in, began)
                                        order by m.seq desc limit 1), c.created_at)
                    end as activity
             from walk, conversation_participants p join conversations c on c.id = p.conversation_id
             where p.user_id = $1 and pg_visible_in_snapshot(c.created_in, began)
               and ($3::text is null or c.type = $3)
               and (not $4 or case
                 when c.counted = c.message_count and p.heard_through = p.read_through
                 then c.message_count - case c.first_user_id when $1 then c.first_sent else c.second_sent end > p.heard
                 else exists (select from messages m where m.conversation_id = c.id
                              and m.seq > p.read_through and m.sender_id is distinct from $1) end)
           )
           select id as "id: ConversationId", activity as "activity!", began::text as "began!" from mine
           where (activity, id) < ($5, $6)
           order by activity desc, id desc limit $7"#,
        reader.0,
        after.began,
        filter.kind as Option<ConversationKind>,
        filter.unread,
        after.activity,
        after.id.0,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Those of the conversations that `reader` takes part in, as they see them.
pub(super) async fn load(
    conn: &mut PgConnection,
    ids: &[ConversationId],
    reader: UserId,
) -> sqlx::Result<Vec<Conversation>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select c.id as "id!: ConversationId", c.type as "kind!: ConversationKind",
                  c.linked_session_id as "linked_session_id: SessionId", c.last_activity as "last_activity!: Timestamp",
                  c.created_at as "created_at!: Timestamp", c.message_count as "message_count!",
                  a.id as "first_id!: UserId", a.name as "first_name!",
                  b.id as "second_id?: UserId", b.name as "second_name?",
                  m.sender_id as "sender_id?: UserId", m.origin as "origin?: Origin", m.type as "message_type?: MessageType",
                  m.content as "content?", m.attachments as "attachments?: Json<Vec<Attachment>>",
                  m.actions as "actions?: Json<Vec<Value>>", m.client_message_id, m.created_at as "sent_at?: DateTime<Utc>",
                  case when c.counted = c.message_count and p.heard_through = p.read_through
                       then c.message_count - case c.first_user_id when $2 then c.first_sent else c.second_sent end - p.heard
                       else (select count(*) from messages u where u.conversation_id = c.id
                             and u.seq > p.read_through and u.sender_id is distinct from $2) end as unread_count
           from unnest($1::uuid[]) as wanted(id)
           join conversation_participants p on p.conversation_id = wanted.id and p.user_id = $2
           join conversations c on c.id = p.conversation_id
           join users a on a.id = c.first_user_id
           left join users b on b.id = c.second_user_id
           left join messages m on m.conversation_id = c.id and m.seq = c.message_count"#,
        &ids,
        reader.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let people: Vec<_> = [Some((row.first_id, row.first_name)), row.second_id.zip(row.second_name)]
                .into_iter()
                .flatten()
                .collect();
            let last_message = match (row.origin, row.message_type, row.content, row.sent_at) {
                (Some(origin), Some(kind), Some(content), Some(sent_at)) => Some(Message {
                    message_id: row.message_count,
                    conversation_id: row.id,
                    sender_id: row.sender_id,
                    origin,
                    r#type: kind,
                    content,
                    attachments: row.attachments.map(|json| json.0).unwrap_or_default(),
                    actions: row.actions.map(|json| json.0).unwrap_or_default(),
                    client_message_id: row.client_message_id,
                    timestamp: sent_at.timestamp_millis(),
                }),
                _ => None,
            };
            Conversation {
                id: row.id,
                r#type: row.kind,
                participants: people.iter().map(|(id, _)| *id).collect(),
                participant_display_map: people.into_iter().collect::<BTreeMap<_, _>>(),
                linked_session_id: row.linked_session_id,
                last_activity: row.last_activity,
                last_message,
                unread_count: row.unread_count,
                created_at: row.created_at,
            }
        })
        .collect())
}
