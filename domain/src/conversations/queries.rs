//! SQL of conversations and messages. Every statement names the reader it is for.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, types::Json};

use super::{Attachment, Conversation, ConversationKind, Filter, Message, MessageType, NewMessage, Origin, Position};
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

/// False when the mark was there or further already.
pub(super) async fn mark_read(
    conn: &mut PgConnection,
    id: ConversationId,
    reader: UserId,
    seq: i64,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update conversation_participants set read_through = $3
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
             and (not $3 or exists (select from messages m where m.conversation_id = c.id
                                    and m.seq > p.read_through and m.sender_id is distinct from $1))
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
               and (not $4 or exists (select from messages m where m.conversation_id = c.id
                                      and m.seq > p.read_through and m.sender_id is distinct from $1))
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
                  (select count(*) from messages u where u.conversation_id = c.id
                   and u.seq > p.read_through and u.sender_id is distinct from $2) as unread_count
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

pub(super) enum Inserted {
    Stored {
        message: Message,
        /// Who the other side is.
        kind: ConversationKind,
        /// Who doesn't hear of it by themselves.
        away: Option<Away>,
    },
    /// Its client id is taken. A number was used up: undo it.
    Duplicate(String),
    NoConversation,
}

/// A participant to whom a message is new in a way that a socket doesn't tell: they aren't there, or
/// it is the first of a conversation.
pub(super) struct Away {
    pub user_id: UserId,
    /// How far they have read.
    pub read_through: i64,
    /// Who wrote to them.
    pub sender_name: String,
}

/// Takes the next number and stores the message under it, in one statement.
pub(super) async fn insert_message(
    conn: &mut PgConnection,
    id: ConversationId,
    sender: UserId,
    new: &NewMessage,
    now: DateTime<Utc>,
) -> sqlx::Result<Inserted> {
    let row = sqlx::query!(
        r#"with numbered as (
             update conversations c
             set message_count = message_count + 1, last_activity = greatest(last_activity, $3),
                 active_in = pg_current_xact_id()
             where id = $1 and exists (select from conversation_participants p where p.conversation_id = $1 and p.user_id = $2)
             returning message_count, last_activity, type
           ), stored as (
             insert into messages (conversation_id, seq, sender_id, origin, type, content, attachments, actions,
                                   client_message_id, created_at)
             select $1, message_count, $2, 'human', $4, $5, $6, $7, $8, last_activity from numbered
             on conflict (conversation_id, sender_id, client_message_id) where client_message_id is not null do nothing
             returning seq, created_at
           )
           select s.seq as "seq?", s.created_at as "created_at?", away.user_id as "away_id?: UserId",
                  away.read_through as "read_through?", away.sender_name as "sender_name?",
                  n.type as "kind!: ConversationKind"
           from numbered n left join stored s on true
           left join (select p.user_id, p.read_through, u.presence_state, u.present_until,
                             (select name from users where id = $2) as sender_name
                      from conversation_participants p join users u on u.id = p.user_id
                      where p.conversation_id = $1 and p.user_id <> $2) away
             on s.seq = 1 or not user_is_online(away.presence_state, away.present_until, away.user_id, $3)"#,
        id.0,
        sender.0,
        now,
        new.r#type as MessageType,
        new.content,
        Json(&new.attachments) as _,
        Json(&new.actions) as _,
        new.client_message_id,
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(Inserted::NoConversation) };
    let (Some(seq), Some(created_at)) = (row.seq, row.created_at) else {
        return Ok(Inserted::Duplicate(new.client_message_id.clone().unwrap_or_default()));
    };
    let away = row.away_id.zip(row.read_through).zip(row.sender_name);
    let away = away.map(|((user_id, read_through), sender_name)| Away { user_id, read_through, sender_name });
    let message = Message {
        message_id: seq,
        conversation_id: id,
        sender_id: Some(sender),
        origin: Origin::Human,
        r#type: new.r#type,
        content: new.content.clone(),
        attachments: new.attachments.clone(),
        actions: new.actions.clone(),
        client_message_id: new.client_message_id.clone(),
        timestamp: created_at.timestamp_millis(),
    };
    Ok(Inserted::Stored { message, kind: row.kind, away })
}

/// Stores what Sam says under the next number.
pub(super) async fn insert_answer(
    conn: &mut PgConnection,
    id: ConversationId,
    content: String,
    actions: Vec<Value>,
    now: DateTime<Utc>,
) -> sqlx::Result<Message> {
    let row = sqlx::query!(
        "with numbered as (
           update conversations
           set message_count = message_count + 1, last_activity = greatest(last_activity, $2),
               active_in = pg_current_xact_id()
           where id = $1 returning message_count, last_activity
         )
         insert into messages (conversation_id, seq, origin, type, content, actions, created_at)
         select $1, message_count, 'sam', 'sam_response', $3, $4, last_activity from numbered
         returning seq, created_at",
        id.0,
        now,
        content,
        Json(&actions) as _,
    )
    .fetch_one(conn)
    .await?;
    Ok(Message {
        message_id: row.seq,
        conversation_id: id,
        sender_id: None,
        origin: Origin::Sam,
        r#type: MessageType::SamResponse,
        content,
        attachments: Vec::new(),
        actions,
        client_message_id: None,
        timestamp: row.created_at.timestamp_millis(),
    })
}

struct MessageRow {
    seq: i64,
    sender_id: Option<UserId>,
    origin: Origin,
    kind: MessageType,
    content: String,
    attachments: Json<Vec<Attachment>>,
    actions: Json<Vec<Value>>,
    client_message_id: Option<String>,
    created_at: DateTime<Utc>,
}

impl MessageRow {
    fn in_conversation(self, id: ConversationId) -> Message {
        Message {
            message_id: self.seq,
            conversation_id: id,
            sender_id: self.sender_id,
            origin: self.origin,
            r#type: self.kind,
            content: self.content,
            attachments: self.attachments.0,
            actions: self.actions.0,
            client_message_id: self.client_message_id,
            timestamp: self.created_at.timestamp_millis(),
        }
    }
}

pub(super) async fn find_by_client_id(
    conn: &mut PgConnection,
    id: ConversationId,
    sender: UserId,
    client_message_id: &str,
) -> sqlx::Result<Option<Message>> {
    let row = sqlx::query_as!(
        MessageRow,
        r#"select seq, sender_id as "sender_id: UserId", origin as "origin: Origin", type as "kind: MessageType", content,
                  attachments as "attachments: Json<Vec<Attachment>>", actions as "actions: Json<Vec<Value>>",
                  client_message_id, created_at
           from messages where conversation_id = $1 and sender_id = $2 and client_message_id = $3"#,
        id.0,
        sender.0,
        client_message_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.in_conversation(id)))
}

pub(crate) async fn list_messages(
    conn: &mut PgConnection,
    id: ConversationId,
    reader: UserId,
    before: Option<i64>,
    limit: i64,
) -> sqlx::Result<Vec<Message>> {
    let rows = sqlx::query_as!(
        MessageRow,
        r#"select seq, sender_id as "sender_id: UserId", origin as "origin: Origin", type as "kind: MessageType", content,
                  attachments as "attachments: Json<Vec<Attachment>>", actions as "actions: Json<Vec<Value>>",
                  client_message_id, created_at
           from messages
           where conversation_id = $1 and seq < coalesce($3, 9223372036854775807)
             and exists (select from conversation_participants where conversation_id = $1 and user_id = $2)
           order by seq desc limit $4"#,
        id.0,
        reader.0,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.in_conversation(id)).collect())
}
