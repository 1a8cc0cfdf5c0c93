//! SQL of messages. Every statement names the reader it is for.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};

use crate::{
    conversations::{Attachment, ConversationKind, Message, MessageType, NewMessage, Origin},
    id::{ConversationId, UserId},
};

pub(in crate::conversations) enum Inserted {
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
pub(in crate::conversations) struct Away {
    pub user_id: UserId,
    /// How far they have read.
    pub read_through: i64,
    /// Who wrote to them.
    pub sender_name: String,
}

/// Takes the next number and stores the message under it, in one statement.
pub(in crate::conversations) async fn insert_message(
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
                 active_in = pg_current_xact_id(), counted = counted + (counted = message_count)::integer,
                 first_sent = first_sent + (first_user_id = $2)::integer,
                 second_sent = second_sent + (second_user_id is not distinct from $2)::integer
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
pub(in crate::conversations) async fn insert_answer(
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
               active_in = pg_current_xact_id(), counted = counted + (counted = message_count)::integer
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

pub(in crate::conversations) async fn find_by_client_id(
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
