//! Everybody's sessions, for staff.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Session, SessionStatus, SessionType, queries, time};
use crate::{
    Store,
    cursor::{Page, Scope, Window, cut},
    error::Result,
    id::{SessionId, UserId},
};

/// Which sessions to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct SessionSearch {
    /// Only those of this user, as host or as guest.
    pub user_id: Option<String>,
    /// Only those that are so far.
    #[param(inline)]
    pub status: Option<SessionStatus>,
    /// Only those that came to be so.
    #[param(inline)]
    pub r#type: Option<SessionType>,
    /// Only those that begin then or later: RFC 3339.
    #[param(example = "2026-11-22T18:00:00Z")]
    pub from: Option<String>,
    /// Only those that begin before then: RFC 3339.
    pub to: Option<String>,
}

/// Sessions, those agreed last first.
///
/// # Errors
/// `BadCursor`; `Invalid` by parameter.
pub async fn list_all(
    store: &Store,
    staff: UserId,
    search: &SessionSearch,
    window: Window<'_>,
) -> Result<Page<Session>> {
    let (from, to) = (time(search.from.as_deref(), "from")?, time(search.to.as_deref(), "to")?);
    let scope = Scope { user_id: staff, route: "admin/sessions", filter: search };
    let before: Option<SessionId> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let Ok(party) = search.user_id.as_deref().map(str::parse::<UserId>).transpose() else {
        // Nobody has such an id, and so no session.
        return Ok(Page { items: Vec::new(), next: None });
    };
    let walk = queries::WalkAll { search, party, from, to, before, limit: i64::from(window.limit) + 1 };
    let mut snapshot = store.snapshot().await?;
    let (items, more) = cut(queries::list_all(&mut snapshot, &walk).await?, window.limit);
    let next = items.last().filter(|_| more).map(|session| store.seal(&scope, &session.id)).transpose()?;
    Ok(Page { items, next })
}
