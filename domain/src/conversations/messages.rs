//! Messages: sent once, numbered without gaps, read newest first.

use garde::{Unvalidated, Valid, Validate};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{ConversationKind, queries};
use crate::{
    Store,
    cursor::{Page, Scope, Window, cut},
    error::{Refusal, Result},
    event::{Channel, Event},
    id::{ConversationId, UserId},
    notifications::{self, Notice, NotificationKind},
    sam,
    text::{rules, text_enum},
    tx::Tx,
};

text_enum! {
    /// Who wrote a message.
    Origin {
        /// A participant.
        Human,
        /// The concierge.
        Sam,
        /// The service.
        System,
    }
    /// What a message is. The last two are the server's alone.
    MessageType {
        /// Words.
        UserText,
        /// Files, with words about them.
        Attachment,
        /// An answer to something Sam proposed.
        SamAction,
        /// What Sam said.
        SamResponse,
        /// What the service says.
        SystemNotice,
    }
}

/// A file somewhere else; the server never fetches it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attachment {
    /// An https URL.
    #[garde(custom(rules::https_url))]
    #[schema(format = "uri", max_length = 2000)]
    pub url: String,
    /// 1–255 characters.
    #[garde(length(chars, min = 1, max = 255), custom(rules::line))]
    #[schema(min_length = 1, max_length = 255)]
    pub name: String,
    /// Such as `image/png`.
    #[garde(custom(media_type))]
    #[schema(max_length = 127, example = "image/png")]
    pub mime_type: String,
    /// 0 to 10 GiB.
    #[garde(range(min = 0, max = 10_737_418_240))]
    #[schema(minimum = 0, maximum = 10_737_418_240_i64)]
    pub size_bytes: i64,
}

/// A message of a conversation.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Its position in the conversation: 1, 2, 3, …
    pub message_id: i64,
    /// Where it is.
    pub conversation_id: ConversationId,
    /// Which participant wrote it; null for Sam and the service.
    #[schema(required)]
    pub sender_id: Option<UserId>,
    /// Who wrote it.
    pub origin: Origin,
    /// What it is.
    pub r#type: MessageType,
    /// Its words.
    pub content: String,
    /// Its files.
    pub attachments: Vec<Attachment>,
    /// What it offers to do.
    #[schema(value_type = Vec<Object>)]
    pub actions: Vec<Value>,
    /// The sender's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

/// A message to send.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMessage {
    /// 1–8000 characters.
    #[garde(length(chars, min = 1, max = 8000), custom(rules::text))]
    #[schema(min_length = 1, max_length = 8000, example = "Hey River, can we reschedule?")]
    pub content: String,
    /// `user_text`, `attachment` or, to Sam, `sam_action`.
    #[garde(custom(clients_type))]
    pub r#type: MessageType,
    /// At most 10; at least one where the type is `attachment`.
    #[garde(length(max = 10), dive, custom(|files: &Vec<Attachment>, (): &()| has_files(self.r#type, files)))]
    #[serde(default)]
    #[schema(max_items = 10)]
    pub attachments: Vec<Attachment>,
    /// At most 10 objects.
    #[garde(length(max = 10), inner(custom(object)))]
    #[serde(default)]
    #[schema(value_type = Vec<Object>, max_items = 10)]
    pub actions: Vec<Value>,
    /// 1–128 printable ASCII characters; sending the same again, even years later, sends nothing
    /// and answers as the first did.
    #[garde(inner(length(min = 1, max = 128), custom(printable)))]
    #[schema(min_length = 1, max_length = 128)]
    pub client_message_id: Option<String>,
}

impl NewMessage {
    /// Plain words.
    pub(crate) fn text(content: String) -> Result<Valid<Self>, garde::Report> {
        let message = Self {
            content,
            r#type: MessageType::UserText,
            attachments: Vec::new(),
            actions: Vec::new(),
            client_message_id: None,
        };
        Unvalidated::new(message).validate()
    }

    fn says_the_same_as(&self, stored: &Message) -> bool {
        self.content == stored.content
            && self.r#type == stored.r#type
            && self.attachments == stored.attachments
            && self.actions == stored.actions
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the validator's signature")]
fn clients_type<C>(kind: &MessageType, _: &C) -> garde::Result {
    match kind {
        MessageType::UserText | MessageType::Attachment | MessageType::SamAction => Ok(()),
        MessageType::SamResponse | MessageType::SystemNotice => {
            Err(garde::Error::new("must be user_text, attachment or sam_action"))
        }
    }
}

fn has_files(kind: MessageType, files: &[Attachment]) -> garde::Result {
    if kind == MessageType::Attachment && files.is_empty() {
        Err(garde::Error::new("must have at least one entry for an attachment"))
    } else {
        Ok(())
    }
}

fn object<C>(value: &Value, _: &C) -> garde::Result {
    if !value.is_object() {
        return Err(garde::Error::new("must be an object"));
    }
    if has_nul(value) { Err(garde::Error::new("must not contain NUL")) } else { Ok(()) }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(map) => map.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn media_type<C>(text: &str, _: &C) -> garde::Result {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    match text.split_once('/') {
        Some((kind, subtype)) if text.len() <= 127 && part(kind) && part(subtype) => Ok(()),
        _ => Err(garde::Error::new("must be a media type such as image/png")),
    }
}

fn printable<C>(text: &str, _: &C) -> garde::Result {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        Ok(())
    } else {
        Err(garde::Error::new("must be printable ASCII"))
    }
}

/// A message that is stored, and whether it had been before.
#[derive(Debug)]
pub struct Sent {
    /// As stored.
    pub message: Message,
    /// It was sent before under the same `clientMessageId`; nothing was done now.
    pub replayed: bool,
    /// Sam is the other side, and has not heard of it.
    is_for_sam: bool,
}

/// Sends a message, once. Words to Sam ask it, and an answer to what it proposed decides that.
///
/// # Errors
/// `NotFound` where the caller is no participant; `Invalid` where a person is sent a `sam_action`;
/// `IdempotencyKeyReused` where its `clientMessageId` belongs to another message; to Sam, those of [`sam::decide`].
pub async fn send_message(tx: &mut Tx, caller: UserId, id: ConversationId, new: Valid<NewMessage>) -> Result<Sent> {
    let sent = store_message(tx, caller, id, new).await?;
    if sent.is_for_sam {
        match sent.message.r#type {
            MessageType::UserText => sam::hear(tx, caller, &sent.message).await?,
            MessageType::SamAction => sam::decide_in_chat(tx, caller, &sent.message).await?,
            MessageType::Attachment | MessageType::SamResponse | MessageType::SystemNotice => {}
        }
    }
    Ok(sent)
}

/// Stores a message, once, and tells of it.
pub(crate) async fn store_message(
    tx: &mut Tx,
    caller: UserId,
    id: ConversationId,
    new: Valid<NewMessage>,
) -> Result<Sent> {
    let new = new.into_inner();
    let now = tx.now();
    // The number is taken before a duplicate shows, and has to be given back.
    let part = if new.client_message_id.is_some() { Some(tx.begin_part().await?) } else { None };
    match queries::insert_message(tx.conn(), id, caller, &new, now).await? {
        queries::Inserted::Stored { message, kind, away } => {
            if message.r#type == MessageType::SamAction && kind != ConversationKind::Sam {
                return Err(Refusal::field("type", "must not be sam_action but in the conversation with Sam").into());
            }
            tx.emit(Channel::Conversation(id), Event::MessageCreated(message.clone()));
            if let Some(away) = away {
                tell_away(tx, id, away).await?;
            }
            Ok(Sent { message, replayed: false, is_for_sam: kind == ConversationKind::Sam })
        }
        queries::Inserted::NoConversation => Err(Refusal::NotFound("conversation").into()),
        queries::Inserted::Duplicate(client_message_id) => {
            if let Some(part) = part {
                tx.undo_part(part).await?;
            }
            let stored = queries::find_by_client_id(tx.conn(), id, caller, &client_message_id).await?;
            match stored {
                Some(message) if new.says_the_same_as(&message) => {
                    Ok(Sent { message, replayed: true, is_for_sam: false })
                }
                _ => Err(Refusal::IdempotencyKeyReused.into()),
            }
        }
    }
}

/// Stores what Sam says to somebody, and tells of it; returns its number.
pub(crate) async fn store_answer(tx: &mut Tx, id: ConversationId, content: String, actions: Vec<Value>) -> Result<i64> {
    let now = tx.now();
    let message = queries::insert_answer(tx.conn(), id, content, actions, now).await?;
    let number = message.message_id;
    tx.emit(Channel::Conversation(id), Event::MessageCreated(message));
    Ok(number)
}

/// Says it to somebody who isn't there: once until they have read further.
async fn tell_away(tx: &mut Tx, id: ConversationId, away: queries::Away) -> Result<()> {
    let notice = Notice {
        user_id: away.user_id,
        kind: NotificationKind::Message,
        key: format!("message:{id}:{}", away.read_through),
        title: format!("{} wrote to you", away.sender_name),
        body: "There is something new in your conversation.".to_owned(),
        data: json!({"conversation_id": id}),
    };
    notifications::notify(tx, notice).await?;
    Ok(())
}

/// A conversation's messages, newest first.
///
/// # Errors
/// `NotFound`, `BadCursor`.
pub async fn list_messages(
    store: &Store,
    caller: UserId,
    id: ConversationId,
    window: Window<'_>,
) -> Result<Page<Message>> {
    let scope = Scope { user_id: caller, route: "messages", filter: id };
    let before: Option<i64> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let mut connection = store.pool.acquire().await?;
    let messages = queries::list_messages(&mut connection, id, caller, before, i64::from(window.limit) + 1).await?;
    if messages.is_empty() && !queries::is_participant(&mut *connection, id, caller).await? {
        return Err(Refusal::NotFound("conversation").into());
    }
    connection.give_back();
    let (items, more) = cut(messages, window.limit);
    let next = items.last().filter(|_| more).map(|message| store.seal(&scope, &message.message_id)).transpose()?;
    Ok(Page { items, next })
}
