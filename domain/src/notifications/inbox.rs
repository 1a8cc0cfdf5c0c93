//! The notifications of the caller: listed, counted, read.

use garde::{Valid, Validate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Notification, queries, tell_read};
use crate::{
    Store,
    cursor::{Page, Scope, Window, cut},
    error::Result,
    id::{NotificationId, UserId},
    text::Lookup,
    tx::Tx,
};

/// How much waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Unread notifications.
    pub unread: i64,
    /// Instant invites that wait for the caller's answer.
    pub invites: i64,
    /// Requests that wait for the caller's answer.
    pub requests: i64,
    /// Sessions of the caller's that begin within seven days and were not called off.
    pub upcoming_sessions: i64,
    /// Announcements that have not ended and were not dismissed.
    pub announcements: i64,
}

/// What to mark as read. One of the two at least.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Marked {
    /// These, 1–100; those that aren't the caller's or were read before are left alone.
    #[garde(inner(length(min = 1, max = 100)), custom(|_: &Option<Vec<Lookup<NotificationId>>>, (): &()| self.says_which()))]
    #[schema(value_type = Option<Vec<NotificationId>>, min_items = 1, max_items = 100)]
    pub ids: Option<Vec<Lookup<NotificationId>>>,
    /// `true`: everything that is there.
    #[garde(skip)]
    #[serde(default)]
    #[schema(default = false, example = true)]
    pub all: bool,
}

impl Marked {
    fn says_which(&self) -> garde::Result {
        if self.all || self.ids.is_some() { Ok(()) } else { Err(garde::Error::new("must be given, or all: true")) }
    }
}

/// How much waits for the caller, and a page of their notifications, newest first. Announcements
/// are there until they end.
///
/// # Errors
/// `BadCursor`.
pub async fn list(
    store: &Store,
    caller: UserId,
    unread: bool,
    window: Window<'_>,
) -> Result<(Counts, Page<Notification>)> {
    let scope = Scope { user_id: caller, route: "notifications", filter: unread };
    let before: Option<NotificationId> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let now = store.clock.now();
    let mut connection = store.pool.acquire().await?;
    let counts = queries::counts(&mut connection, caller, now).await?;
    let walk = queries::Walk { caller, unread, before, limit: i64::from(window.limit) + 1 };
    let (items, more) = cut(queries::list(&mut connection, &walk, now).await?, window.limit);
    connection.give_back();
    let next = items.last().filter(|_| more).map(|last| store.seal(&scope, &last.id)).transpose()?;
    Ok((counts, Page { items, next }))
}

/// Marks notifications of the caller's as read; says how much still waits. An announcement is
/// dismissed by this.
///
/// # Errors
/// The database's.
pub async fn mark_read(tx: &mut Tx, caller: UserId, marked: &Valid<Marked>) -> Result<Counts> {
    let now = tx.now();
    let ids: Vec<_> = marked.ids.iter().flatten().filter_map(|id| id.get("notification").ok()).collect();
    let only = (!marked.all).then_some(&ids[..]);
    let read = queries::read(tx.conn(), caller, only, now).await?;
    tell_read(tx, caller, &read);
    Ok(queries::counts(tx.conn(), caller, now).await?)
}
