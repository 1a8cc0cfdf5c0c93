//! Conversations: who talks with whom, and where they stopped reading.

mod messages;
pub(crate) mod queries;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use garde::{Valid, Validate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use messages::{Attachment, Message, MessageType, NewMessage, Origin, Sent, list_messages, send_message};
pub(crate) use messages::{store_answer, store_message};

use crate::{
    Store,
    cursor::{Page, Scope, Window, cut},
    error::{Error, Refusal, Result},
    event::{Channel, Event},
    id::{ConversationId, SessionId, UserId},
    notifications,
    text::{Lookup, Timestamp, rules, text_enum},
    tx::Tx,
    users::{self, User},
};

text_enum! {
    /// Who the other side is.
    ConversationKind {
        /// The concierge.
        Sam,
        /// A person.
        Human,
    }
}

/// A conversation, as one of its participants sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Conversation {
    /// Id.
    pub id: ConversationId,
    /// Who the other side is.
    pub r#type: ConversationKind,
    /// The people in it.
    pub participants: Vec<UserId>,
    /// Their names by id.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub participant_display_map: BTreeMap<UserId, String>,
    /// The session that was last started from it.
    #[schema(required)]
    pub linked_session_id: Option<SessionId>,
    /// When the last message was sent, or it began.
    pub last_activity: Timestamp,
    /// The newest message.
    #[schema(required)]
    pub last_message: Option<Message>,
    /// Others' messages past the caller's read mark; absent in events, which all participants share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread_count: Option<i64>,
    /// When it began.
    pub created_at: Timestamp,
}

/// Whom to talk with.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewConversation {
    /// The other person.
    #[garde(skip)]
    #[schema(value_type = UserId)]
    pub participant_id: Lookup<UserId>,
    /// A first message, 1–8000 characters.
    #[garde(inner(length(chars, min = 1, max = 8000), custom(rules::text)))]
    #[schema(min_length = 1, max_length = 8000)]
    pub message: Option<String>,
}

/// Up to where the caller has read.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadMark {
    /// A message of the conversation.
    #[garde(range(min = 1))]
    #[schema(minimum = 1)]
    pub message_id: i64,
}

/// Which conversations to list.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Filter {
    /// Only with Sam, or only with people.
    pub kind: Option<ConversationKind>,
    /// Only those with something unread.
    pub unread: bool,
}

/// Where a walk through the list stands: it sees what was committed when it began (a Postgres
/// snapshot), so that what moves up meanwhile is neither skipped nor shown twice.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Position {
    began: String,
    activity: DateTime<Utc>,
    id: ConversationId,
}

/// The caller's conversations, most recently active first.
///
/// # Errors
/// `BadCursor`.
pub async fn list(store: &Store, caller: UserId, filter: Filter, window: Window<'_>) -> Result<Page<Conversation>> {
    let scope = Scope { user_id: caller, route: "conversations", filter };
    let after: Option<Position> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let mut connection = store.pool.acquire().await?;
    let limit = i64::from(window.limit) + 1;
    let rows = match &after {
        None => queries::list_first(&mut connection, caller, filter, limit).await?,
        Some(after) => queries::list_next(&mut connection, caller, filter, after, limit).await?,
    };
    let (rows, more) = cut(rows, window.limit);
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let last = rows.into_iter().next_back().filter(|_| more);
    let last = last.map(|row| Position { began: row.began, activity: row.activity, id: row.id });
    let next = last.map(|position| store.seal(&scope, &position)).transpose()?;
    let mut items = queries::load(&mut connection, &ids, caller).await?;
    connection.give_back();
    items.sort_by_key(|item| ids.iter().position(|id| *id == item.id));
    Ok(Page { items, next })
}

/// One conversation of the caller's, and the people in it.
///
/// # Errors
/// `NotFound`.
pub async fn find(store: &Store, caller: UserId, id: ConversationId) -> Result<(Conversation, Vec<User>)> {
    let mut connection = store.pool.acquire().await?;
    let conversation = queries::load(&mut connection, &[id], caller).await?.pop();
    connection.give_back();
    let conversation = conversation.ok_or(Refusal::NotFound("conversation"))?;
    let participants = users::find_many(store, &conversation.participants).await?;
    Ok((conversation, participants))
}

/// Starts a conversation with somebody, or finds the one there is; says which.
///
/// # Errors
/// `NotFound`, or `Invalid` for oneself.
pub async fn start(tx: &mut Tx, caller: UserId, new: Valid<NewConversation>) -> Result<(Conversation, bool)> {
    let new = new.into_inner();
    let other = new.participant_id.get("user")?;
    if other == caller {
        return Err(Refusal::field("participantId", "must be somebody else").into());
    }
    let (id, created) = between(tx, caller, other).await?.ok_or(Refusal::NotFound("user"))?;
    if let Some(text) = new.message {
        let message = NewMessage::text(text).map_err(|_| Refusal::field("message", "is not a valid message"))?;
        send_message(tx, caller, id, message).await?;
    }
    Ok((view(tx, id, caller).await?, created))
}

/// The pair's conversation and whether it is new; `None` when the other isn't there to talk with.
pub(crate) async fn between(tx: &mut Tx, caller: UserId, other: UserId) -> Result<Option<(ConversationId, bool)>> {
    let now = tx.now();
    if let Some(id) = queries::find_pair(tx.conn(), caller, other).await? {
        return Ok(Some((id, false)));
    }
    let id = ConversationId::new();
    if queries::insert_pair(tx.conn(), id, caller, other, now).await? {
        return Ok(Some((id, true)));
    }
    // Somebody was quicker, or there is nobody to talk with.
    Ok(queries::find_pair(tx.conn(), caller, other).await?.map(|id| (id, false)))
}

/// Moves the caller's read mark forward, never back.
///
/// # Errors
/// `NotFound`, or `Invalid` for a message that isn't there yet.
pub async fn mark_read(
    tx: &mut Tx,
    caller: UserId,
    id: ConversationId,
    mark: &Valid<ReadMark>,
) -> Result<Conversation> {
    let count = queries::message_count(tx.conn(), id, caller).await?.ok_or(Refusal::NotFound("conversation"))?;
    if mark.message_id > count {
        return Err(Refusal::field("messageId", "is not a message of this conversation").into());
    }
    if queries::mark_read(tx.conn(), id, caller, mark.message_id).await? {
        tx.emit(
            Channel::Conversation(id),
            Event::ConversationRead { conversation_id: id, user_id: caller, message_id: mark.message_id },
        );
        notifications::settle_messages(tx, caller, id).await?;
    }
    view(tx, id, caller).await
}

/// Whether somebody takes part in a conversation.
///
/// # Errors
/// The database's.
pub async fn is_participant(store: &Store, user_id: UserId, id: ConversationId) -> Result<bool> {
    Ok(queries::is_participant(&store.pool, id, user_id).await?)
}

/// Tells whoever else listens to the conversation that a participant is writing.
///
/// # Errors
/// When it can't be written as JSON.
pub fn tell_typing(store: &Store, participant: UserId, id: ConversationId) -> Result<()> {
    let event = Event::Typing { conversation_id: id, user_id: participant };
    store.ring(Channel::Conversation(id), &event, Some(participant))
}

/// A conversation as all participants see it, read as one of them.
pub(crate) async fn shared_view(tx: &mut Tx, id: ConversationId, participant: UserId) -> Result<Conversation> {
    Ok(Conversation { unread_count: None, ..view(tx, id, participant).await? })
}

/// A conversation as one of its participants sees it.
pub(crate) async fn view(tx: &mut Tx, id: ConversationId, reader: UserId) -> Result<Conversation> {
    let conversation = queries::load(tx.conn(), &[id], reader).await?.pop();
    conversation.ok_or(Error::Internal("a conversation vanished"))
}
