//! People and skills that members ask for and that aren't here, and requests to managed members: what
//! staff look after.

mod queries;

use garde::{Valid, Validate};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    Store,
    audit::{self, AuditAction},
    cursor::{Scope, Window, cut},
    error::{Refusal, Result},
    id::{RequestId, RequestedPersonId, UserId},
    requests::{self, Request},
    text::{Timestamp, check_line, text_enum},
    tx::Tx,
};

/// How long a name may be.
const LONGEST: usize = 120;
/// For how many people and skills somebody counts: more than anybody misses, and few enough that nobody floods the list.
const MOST_BY_ONE: i64 = 100;

text_enum! {
    /// What is asked for.
    RequestedKind {
        /// Somebody, by name.
        Person,
        /// Somebody who knows a thing.
        Skill,
    }
    /// How far staff are with somebody who was asked for.
    RequestedPersonStatus {
        /// Nobody has done anything yet.
        Pending,
        /// They were written to.
        Contacted,
        /// They don't want to.
        Declined,
        /// They are a member now.
        Onboarded,
    }
}

/// Somebody who was asked for and isn't a member, or a skill that no member has.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RequestedPerson {
    /// Id.
    pub id: RequestedPersonId,
    /// Whether it is a person's name or a skill.
    pub kind: RequestedKind,
    /// As they were called the first time.
    pub name: String,
    /// How many people asked for them.
    pub request_count: i32,
    /// How far staff are.
    pub status: RequestedPersonStatus,
    /// When somebody last asked.
    pub last_requested_at: Timestamp,
    /// When somebody first asked.
    pub created_at: Timestamp,
    /// When the status last changed.
    pub updated_at: Timestamp,
}

/// How far staff are now.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestedPersonChange {
    /// Any may follow any.
    #[garde(skip)]
    pub status: RequestedPersonStatus,
}

/// A page of both lists.
#[derive(Debug)]
pub struct Asked {
    /// Requests to managed members that wait, newest first.
    pub requests: Vec<Request>,
    /// People who aren't members, and skills that nobody has, those first asked for last first.
    pub people: Vec<RequestedPerson>,
    /// Sealed; `None` once both lists are at their end.
    pub next: Option<String>,
}

/// Where each list stands; `None` for one that is at its end.
#[derive(Debug, Serialize, Deserialize)]
struct Position {
    requests: Option<RequestId>,
    people: Option<RequestedPersonId>,
}

/// Notes that a member asked for somebody or something that isn't here. However often, they count once
/// for a name, whatever its case and spaces; `None` where they have asked for too many already.
///
/// # Errors
/// `Invalid` where the name isn't one line of at most 120 characters.
pub async fn record(
    tx: &mut Tx,
    requester: UserId,
    kind: RequestedKind,
    name: &str,
) -> Result<Option<RequestedPerson>> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if !(1..=LONGEST).contains(&name.chars().count()) {
        return Err(Refusal::field("name", "must have 1 to 120 characters").into());
    }
    check_line(&name).map_err(|reason| Refusal::field("name", reason))?;
    if queries::count_by(tx.conn(), requester).await? >= MOST_BY_ONE {
        return Ok(None);
    }
    let (id, now) = (RequestedPersonId::new(), tx.now());
    let key = match kind {
        RequestedKind::Person => name.to_lowercase(),
        // No name has two lines.
        RequestedKind::Skill => format!("skill\n{}", name.to_lowercase()),
    };
    let id = queries::ask_for(tx.conn(), id, kind, (&name, &key), now).await?;
    queries::count(tx.conn(), id, requester).await?;
    load(tx, id).await.map(Some)
}

/// What waits for staff: requests to managed members, and people who were asked for.
///
/// # Errors
/// `BadCursor`.
pub async fn list(store: &Store, caller: UserId, window: Window<'_>) -> Result<Asked> {
    let scope = Scope { user_id: caller, route: "admin/requests", filter: () };
    let after: Option<Position> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let limit = i64::from(window.limit) + 1;
    let (to_requests, to_people) = match &after {
        None => (true, true),
        Some(after) => (after.requests.is_some(), after.people.is_some()),
    };
    let mut snapshot = store.snapshot().await?;
    let (mut requests, mut people) = (Vec::new(), Vec::new());
    if to_requests {
        let before = after.as_ref().and_then(|after| after.requests);
        requests = requests::to_managed(&mut snapshot, before, limit).await?;
    }
    if to_people {
        let before = after.as_ref().and_then(|after| after.people);
        people = queries::list(&mut snapshot, before, limit).await?;
    }
    let (requests, more_requests) = cut(requests, window.limit);
    let (people, more_people) = cut(people, window.limit);
    let position = Position {
        requests: requests.last().filter(|_| more_requests).map(|request| request.id),
        people: people.last().filter(|_| more_people).map(|person| person.id),
    };
    let more = more_requests || more_people;
    let next = more.then(|| store.seal(&scope, &position)).transpose()?;
    Ok(Asked { requests, people, next })
}

/// Says how far staff are with somebody.
///
/// # Errors
/// `NotFound`.
pub async fn change(
    tx: &mut Tx,
    caller: UserId,
    id: RequestedPersonId,
    change: &Valid<RequestedPersonChange>,
) -> Result<RequestedPerson> {
    let before = queries::lock(tx.conn(), id).await?.ok_or(Refusal::NotFound("requested person"))?;
    if before.status == change.status {
        return Ok(before);
    }
    let now = tx.now();
    queries::set_status(tx.conn(), id, change.status, now).await?;
    let statuses = (&json!({"status": before.status}), &json!({"status": change.status}));
    audit::record(tx, caller, AuditAction::RequestedPersonChanged, &id.to_string(), statuses).await?;
    load(tx, id).await
}

/// Whom, or what, somebody asked for.
pub(crate) async fn names_by(store: &Store, asker: UserId, kind: RequestedKind) -> Result<Vec<String>> {
    Ok(queries::names_by(&store.pool, asker, kind).await?)
}

async fn load(tx: &mut Tx, id: RequestedPersonId) -> Result<RequestedPerson> {
    Ok(queries::lock(tx.conn(), id).await?.ok_or(Refusal::NotFound("requested person"))?)
}
