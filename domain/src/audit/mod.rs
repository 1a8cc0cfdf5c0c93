//! The audit log: who of the staff changed what. Only ever added to, in the transaction of the change.

mod queries;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{
    Store,
    cursor::{Page, Scope, Window, cut},
    error::Result,
    id::{AuditEntryId, UserId},
    text::{Timestamp, text_enum},
    tx::Tx,
};

text_enum! {
    /// What was done.
    AuditAction {
        /// A user's role or flags were changed.
        UserChanged,
        /// A request was answered in somebody's place.
        RequestDecided,
        /// Money was given back.
        PaymentRefunded,
        /// Somebody who was asked for was looked after.
        RequestedPersonChanged,
        /// Something was announced.
        AnnouncementCreated,
        /// A job was made due again.
        JobRetried,
        /// A job was called off.
        JobCancelled,
        /// A queue was paused.
        QueuePaused,
        /// A queue was let go on.
        QueueResumed,
    }
}

/// One change.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Id.
    pub id: AuditEntryId,
    /// Who did it.
    pub actor_user_id: UserId,
    /// What was done.
    pub action: AuditAction,
    /// To what: an id, or a queue's name.
    pub target: String,
    /// The fields that changed, as they were.
    #[schema(value_type = Object)]
    pub before: Value,
    /// The same fields, as they became.
    #[schema(value_type = Object)]
    pub after: Value,
    /// The `X-Request-Id` it came with.
    #[schema(required)]
    pub request_id: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

/// Which changes to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only what this user did.
    pub actor: Option<String>,
    /// Only changes of this sort.
    #[param(inline)]
    pub action: Option<AuditAction>,
    /// Only changes of this: an id, or a queue's name.
    pub target: Option<String>,
}

/// Notes a change: the fields that changed as they were and as they became.
pub(crate) async fn record(
    tx: &mut Tx,
    actor: UserId,
    action: AuditAction,
    target: &str,
    (before, after): (&Value, &Value),
) -> Result<()> {
    let (now, request_id) = (tx.now(), tx.request_id().map(ToOwned::to_owned));
    let entry = queries::NewEntry { id: AuditEntryId::new(), actor, action, target, before, after, request_id };
    queries::insert(tx.conn(), &entry, now).await?;
    Ok(())
}

/// Changes, newest first.
///
/// # Errors
/// `BadCursor`.
pub async fn list(store: &Store, caller: UserId, query: &AuditQuery, window: Window<'_>) -> Result<Page<AuditEntry>> {
    let scope = Scope { user_id: caller, route: "admin/audit", filter: query };
    let before: Option<AuditEntryId> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let Ok(actor) = query.actor.as_deref().map(str::parse).transpose() else {
        // Nobody has such an id, so nobody with it has done anything.
        return Ok(Page { items: Vec::new(), next: None });
    };
    let walk = queries::Walk { query, actor, before, limit: i64::from(window.limit) + 1 };
    let mut snapshot = store.snapshot().await?;
    let (items, more) = cut(queries::list(&mut snapshot, &walk).await?, window.limit);
    let next = items.last().filter(|_| more).map(|entry| store.seal(&scope, &entry.id)).transpose()?;
    Ok(Page { items, next })
}
