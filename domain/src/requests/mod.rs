//! Requests: asking somebody to talk, and their one answer.
//!
//! A request is decided once, by the person it was sent to or by who answers for them. Approving
//! it provisions the pair's conversation in the same transaction.

mod notices;
mod queries;

use chrono::{DateTime, TimeDelta, Utc};
use garde::{Valid, Validate};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::{
    Store,
    audit::{self, AuditAction},
    auth::Role,
    conversations::{self, Conversation},
    cursor::{Page, Scope, Window, cut},
    error::{Error, Refusal, Result},
    event::{Channel, Event},
    id::{ConversationId, RequestId, UserId},
    text::{Lookup, Timestamp, rules, text_enum},
    tx::Tx,
    users,
};

/// How long a decided request stays in the inbox.
const SHOWN_FOR: TimeDelta = TimeDelta::days(30);

text_enum! {
    /// How a request stands. The last two are final.
    RequestStatus {
        /// Waiting for an answer.
        Pending,
        /// The two may talk; there is a conversation.
        Approved,
        /// The answer was no.
        Declined,
    }
    /// What can be said to a request.
    Answer {
        /// Yes.
        Approved,
        /// No.
        Declined,
    }
    /// Whose side of requests to list.
    RequestRole {
        /// Those sent to the caller.
        Target,
        /// Those the caller sent.
        Requester,
    }
}

impl RequestStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Declined => "declined",
        }
    }
}

impl From<Answer> for RequestStatus {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Approved => Self::Approved,
            Answer::Declined => Self::Declined,
        }
    }
}

/// A request to talk, as its two people see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Request {
    /// Id.
    pub id: RequestId,
    /// Who asks.
    pub requester_user_id: UserId,
    /// Who is asked.
    pub target_user_id: UserId,
    /// What they would like to talk about.
    pub message: String,
    /// When they would like to, in their own words.
    #[schema(required)]
    pub preferred_time: Option<String>,
    /// What they would pay, in their own words.
    #[schema(required)]
    pub budget_range: Option<String>,
    /// How it stands.
    pub status: RequestStatus,
    /// When it was decided.
    #[schema(required)]
    pub decided_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    #[serde(skip)]
    conversation_id: Option<ConversationId>,
}

/// Whom to ask for what.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRequest {
    /// The person.
    #[garde(skip)]
    #[schema(value_type = UserId)]
    pub target_user_id: Lookup<UserId>,
    /// 1–2000 characters.
    #[garde(length(chars, min = 1, max = 2000), custom(rules::text))]
    #[schema(min_length = 1, max_length = 2000)]
    pub message: String,
    /// When, in words or as a time; up to 200 characters.
    #[garde(inner(length(chars, min = 1, max = 200), custom(rules::line)))]
    #[schema(min_length = 1, max_length = 200, example = "weekday evenings")]
    pub preferred_time: Option<String>,
    /// What for, in words; up to 200 characters.
    #[garde(inner(length(chars, min = 1, max = 200), custom(rules::line)))]
    #[schema(min_length = 1, max_length = 200, example = "50-100 usd")]
    pub budget_range: Option<String>,
}

/// The answer to a request.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    /// Yes or no.
    #[garde(skip)]
    pub status: Answer,
}

/// A decided request, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decided {
    /// The request.
    pub request: Request,
    /// The pair's conversation, where it was approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Conversation>,
}

/// Where a walk through the list stands; see [`crate::conversations`] on snapshots.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Position {
    began: String,
    since: DateTime<Utc>,
    pending: bool,
    id: RequestId,
}

/// Asks somebody who is there to talk. What waits for them already is returned again; the flag
/// says whether it is new.
///
/// # Errors
/// `Invalid` for oneself, `NotFound`, `HostOffline`, `HostBusy`.
pub async fn ask(tx: &mut Tx, caller: UserId, new: Valid<NewRequest>) -> Result<(Request, bool)> {
    let target = new.target_user_id.get("user")?;
    if target == caller {
        return Err(Refusal::field("targetUserId", "must be somebody else").into());
    }
    users::lock(tx, &[caller, target]).await?;
    let status = users::status_of(tx, target).await?.ok_or(Refusal::NotFound("user"))?;
    if let Some(waiting) = queries::lock_pending(tx.conn(), caller, target).await? {
        return Ok((waiting, false));
    }
    if !status.is_online {
        return Err(Refusal::HostOffline.into());
    }
    if status.has_active_session {
        return Err(Refusal::HostBusy.into());
    }
    Ok((insert(tx, (caller, target), &new).await?, true))
}

/// Asks somebody to talk who may be away: they were tried before. Lock both people first.
///
/// # Errors
/// `NotFound`.
pub(crate) async fn leave(tx: &mut Tx, (caller, target): (UserId, UserId), message: String) -> Result<(Request, bool)> {
    users::status_of(tx, target).await?.ok_or(Refusal::NotFound("user"))?;
    if let Some(waiting) = queries::lock_pending(tx.conn(), caller, target).await? {
        return Ok((waiting, false));
    }
    let new = NewRequest { target_user_id: target.into(), message, preferred_time: None, budget_range: None };
    Ok((insert(tx, (caller, target), &new).await?, true))
}

async fn insert(tx: &mut Tx, (caller, target): (UserId, UserId), new: &NewRequest) -> Result<Request> {
    let (id, now) = (RequestId::new(), tx.now());
    queries::insert(tx.conn(), id, (caller, target), new, now).await?;
    let request = locked(tx, id).await?;
    notices::asked(tx, &request).await?;
    tx.emit(Channel::Notifications(target), Event::RequestCreated { request: request.clone() });
    Ok(request)
}

/// Requests to managed members that wait, newest first.
pub(crate) async fn to_managed(conn: &mut PgConnection, before: Option<RequestId>, limit: i64) -> Result<Vec<Request>> {
    Ok(queries::to_managed(conn, before, limit).await?)
}

/// Every request of somebody's, on either side, newest first.
pub(crate) async fn all_of(
    conn: &mut PgConnection,
    person: UserId,
    before: Option<RequestId>,
    limit: i64,
) -> Result<Vec<Request>> {
    Ok(queries::all_of(conn, person, before, limit).await?)
}

/// Who of a request's two was told of the other one's part, and under which key.
pub(crate) fn told_of(person: UserId, request: &Request) -> (UserId, String) {
    if person == request.requester_user_id {
        (request.target_user_id, notices::asked_key(request))
    } else {
        (request.requester_user_id, notices::decided_key(request))
    }
}

/// Declines some of what waits for or from somebody who leaves; both sides are told as by any answer.
/// Says how many. Lock the person first.
pub(crate) async fn decline_some(tx: &mut Tx, person: UserId, most: i64) -> Result<usize> {
    let waiting = queries::waiting(tx.conn(), person, most).await?;
    for id in &waiting {
        let request = locked(tx, *id).await?;
        if request.status == RequestStatus::Pending {
            resolve(tx, &request, Answer::Declined).await?;
        }
    }
    Ok(waiting.len())
}

/// Requests of the caller's: those that wait first, then those decided in the last 30 days, each
/// newest first.
///
/// # Errors
/// `BadCursor`.
pub async fn list(store: &Store, caller: UserId, role: RequestRole, window: Window<'_>) -> Result<Page<Request>> {
    let scope = Scope { user_id: caller, route: "requests", filter: role };
    let after: Option<Position> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let since = after.as_ref().map_or_else(|| store.clock.now() - SHOWN_FOR, |after| after.since);
    let walk = queries::Walk { caller, role, since, after: after.as_ref(), limit: i64::from(window.limit) + 1 };
    let (rows, more) = cut(queries::list(&store.pool, &walk).await?, window.limit);
    let last = rows.last().filter(|_| more);
    let last = last.map(|(request, seen)| Position {
        began: seen.began.clone(),
        since,
        pending: seen.pending,
        id: request.id,
    });
    let next = last.map(|position| store.seal(&scope, &position)).transpose()?;
    Ok(Page { items: rows.into_iter().map(|(request, _)| request).collect(), next })
}

/// Answers a request. Giving the same answer again answers the same.
///
/// # Errors
/// `NotFound`, `Forbidden`, `RequestResolved`.
pub async fn decide(
    tx: &mut Tx,
    caller: UserId,
    role: Role,
    id: RequestId,
    decision: &Valid<Decision>,
) -> Result<Decided> {
    let parties = queries::parties(tx.conn(), id, caller, role).await?;
    let (requester, target) = parties.ok_or(Refusal::NotFound("request"))?;
    if caller == requester && role != Role::Admin {
        return Err(Refusal::Forbidden("only the person who was asked answers a request").into());
    }
    users::lock(tx, &[requester, target]).await?;
    let request = locked(tx, id).await?;
    let request = match request.status {
        RequestStatus::Pending => {
            let decided = resolve(tx, &request, decision.status).await?;
            if caller != target {
                let statuses = (&json!({"status": request.status}), &json!({"status": decided.status}));
                audit::record(tx, caller, AuditAction::RequestDecided, &id.to_string(), statuses).await?;
            }
            decided
        }
        status if status == decision.status.into() => request,
        status => return Err(Refusal::RequestResolved(status.as_str()).into()),
    };
    let is_party = caller == requester || caller == target;
    let conversation = match request.conversation_id {
        Some(id) if is_party => Some(conversations::view(tx, id, caller).await?),
        Some(id) => Some(conversations::shared_view(tx, id, target).await?),
        None => None,
    };
    Ok(Decided { request, conversation })
}

async fn resolve(tx: &mut Tx, request: &Request, answer: Answer) -> Result<Request> {
    let (requester, target) = (request.requester_user_id, request.target_user_id);
    let conversation_id = match answer {
        Answer::Approved => {
            let found = conversations::between(tx, requester, target).await?;
            Some(found.ok_or(Refusal::NotFound("user"))?.0)
        }
        Answer::Declined => None,
    };
    let now = tx.now();
    if !queries::resolve(tx.conn(), request.id, answer.into(), conversation_id, now).await? {
        return Err(Error::Internal("a locked request was decided by somebody else"));
    }
    let request = locked(tx, request.id).await?;
    notices::decided(tx, &request).await?;
    let conversation = match conversation_id {
        Some(id) => Some(conversations::shared_view(tx, id, target).await?),
        None => None,
    };
    for person in [requester, target] {
        let event = Event::RequestUpdated { request: request.clone(), conversation: conversation.clone() };
        tx.emit(Channel::Notifications(person), event);
    }
    Ok(request)
}

pub(crate) async fn locked(tx: &mut Tx, id: RequestId) -> Result<Request> {
    queries::lock(tx.conn(), id).await?.ok_or(Error::Internal("a request vanished"))
}
