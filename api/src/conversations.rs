//! `/api/conversations`: conversations and their messages.

use axum::{Json, extract::State, http::StatusCode};
use humanchat_domain::{
    conversations::{self, Conversation, ConversationKind, Filter, Message, NewConversation, NewMessage, ReadMark},
    id::ConversationId,
    users::User,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        caller::Caller,
        command::{Answer, Command, replayed},
        error::ApiError,
        params::{Paging, Params, PathId},
    },
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, start))
        .routes(routes!(find))
        .routes(routes!(list_messages, send_message))
        .routes(routes!(mark_read))
}

/// A page of conversations.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ConversationsBody {
    /// Most recently active first.
    conversations: Vec<Conversation>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A conversation.
#[derive(Serialize, ToSchema)]
struct ConversationBody {
    /// As the caller sees it.
    conversation: Conversation,
}

/// A conversation and its people.
#[derive(Serialize, ToSchema)]
struct ConversationWithPeople {
    /// As the caller sees it.
    conversation: Conversation,
    /// Their profiles.
    participants: Vec<User>,
}

/// A page of messages.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MessagesBody {
    /// Newest first.
    messages: Vec<Message>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Where a message was stored.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SentBody {
    /// Its position in the conversation: 1, 2, 3, …
    #[schema(example = 123)]
    message_id: i64,
    /// Milliseconds since the epoch.
    #[schema(example = 1_731_709_200_000_i64)]
    timestamp: i64,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// Only with Sam, or only with people.
    r#type: Option<ConversationKind>,
    /// `true`: only those with something unread.
    unread: Option<bool>,
}

/// The caller's conversations.
#[utoipa::path(get, operation_id = "list_conversations", path = "/api/conversations", tag = "Conversations",
    params(ListParams, Paging),
    responses((status = 200, body = ConversationsBody)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Params(params): Params<ListParams>,
    Params(paging): Params<Paging>,
) -> Result<Json<ConversationsBody>, ApiError> {
    let filter = Filter { kind: params.r#type, unread: params.unread.unwrap_or_default() };
    let page = conversations::list(&app.store, caller.user_id, filter, paging.window()).await?;
    Ok(Json(ConversationsBody { conversations: page.items, next_cursor: page.next }))
}

/// Start a conversation with somebody, or find the one there is.
#[utoipa::path(post, operation_id = "start_conversation", path = "/api/conversations", tag = "Conversations",
    request_body = NewConversation,
    responses((status = 201, body = ConversationBody), (status = 200, description = "The pair had one", body = ConversationBody),
        (status = 404, description = "`resource_not_found`: no such user")))]
async fn start(State(app): State<App>, command: Command<NewConversation>) -> Answer {
    let (mut work, caller, new) = command.begin(&app).await?;
    let started = conversations::start(&mut work.tx, caller.user_id, new).await;
    work.finish(started.map(|(conversation, created)| (created_or_ok(created), ConversationBody { conversation })))
        .await
}

/// 201 for something new, 200 for something found.
pub(crate) fn created_or_ok(created: bool) -> StatusCode {
    if created { StatusCode::CREATED } else { StatusCode::OK }
}

/// One conversation, and the people in it.
#[utoipa::path(get, operation_id = "find_conversation", path = "/api/conversations/{id}", tag = "Conversations",
    params(("id" = ConversationId, Path)),
    responses((status = 200, body = ConversationWithPeople)))]
async fn find(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConversationId>,
) -> Result<Json<ConversationWithPeople>, ApiError> {
    let (conversation, participants) = conversations::find(&app.store, caller.user_id, id).await?;
    Ok(Json(ConversationWithPeople { conversation, participants }))
}

/// A conversation's messages.
#[utoipa::path(get, path = "/api/conversations/{id}/messages", tag = "Conversations", params(("id" = ConversationId, Path), Paging),
    responses((status = 200, body = MessagesBody)))]
async fn list_messages(
    State(app): State<App>,
    caller: Caller,
    PathId(id): PathId<ConversationId>,
    Params(paging): Params<Paging>,
) -> Result<Json<MessagesBody>, ApiError> {
    let page = conversations::list_messages(&app.store, caller.user_id, id, paging.window()).await?;
    Ok(Json(MessagesBody { messages: page.items, next_cursor: page.next }))
}

/// Send a message.
///
/// In the conversation with Sam, a `user_text` asks Sam, and a `sam_action` with `actions: [{actionId, decision?}]` decides what
/// Sam proposed: where that is refused, so is the message. Between people there is no `sam_action`: it is 422.
///
/// The same `clientMessageId` again sends nothing and answers as the first did, with
/// `Idempotency-Replayed: true`; with another content it is 422 `idempotency_key_reused`.
#[utoipa::path(post, path = "/api/conversations/{id}/messages", tag = "Conversations", params(("id" = ConversationId, Path)),
    request_body = NewMessage,
    responses((status = 201, body = SentBody),
        (status = 409, description = "Of what Sam proposed: `action_resolved`, `action_stale`, and what the action's own route answers"),
        (status = 410, description = "`action_expired`: of what Sam proposed")))]
async fn send_message(
    State(app): State<App>,
    PathId(id): PathId<ConversationId>,
    command: Command<NewMessage>,
) -> Answer {
    let (mut work, caller, new) = command.begin(&app).await?;
    let sent = conversations::send_message(&mut work.tx, caller.user_id, id, new).await;
    let again = sent.as_ref().is_ok_and(|sent| sent.replayed);
    let answer = work
        .finish(sent.map(|sent| {
            let body = SentBody { message_id: sent.message.message_id, timestamp: sent.message.timestamp };
            (StatusCode::CREATED, body)
        }))
        .await?;
    Ok(if again { replayed(answer) } else { answer })
}

/// Mark messages read, up to and with one; never backwards.
#[utoipa::path(post, path = "/api/conversations/{id}/read", tag = "Conversations", params(("id" = ConversationId, Path)),
    request_body = ReadMark, responses((status = 200, body = ConversationBody)))]
async fn mark_read(State(app): State<App>, PathId(id): PathId<ConversationId>, command: Command<ReadMark>) -> Answer {
    let (mut work, caller, mark) = command.begin(&app).await?;
    let read = conversations::mark_read(&mut work.tx, caller.user_id, id, &mark).await;
    work.finish(read.map(|conversation| (StatusCode::OK, ConversationBody { conversation }))).await
}
