//! Everybody's payments, for staff.

mod queries;

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Payment, PaymentKind, PaymentState};
use crate::{
    Store,
    cursor::{Page, Scope, Window, cut},
    error::Result,
    id::{PaymentId, SessionId, UserId},
};

/// Which payments to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct PaymentSearch {
    /// Only those of this user, as payer or as payee.
    pub user_id: Option<String>,
    /// Only those of this session: for it, or on the occasion of it.
    pub session_id: Option<String>,
    /// Only those that are so far.
    #[param(inline)]
    pub status: Option<PaymentState>,
    /// Only those of this kind.
    #[param(inline)]
    pub kind: Option<PaymentKind>,
}

/// Payments, the newest first.
///
/// # Errors
/// `BadCursor`.
pub async fn list_all(
    store: &Store,
    staff: UserId,
    search: &PaymentSearch,
    window: Window<'_>,
) -> Result<Page<Payment>> {
    let scope = Scope { user_id: staff, route: "admin/payments", filter: search };
    let before: Option<PaymentId> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let party = search.user_id.as_deref().map(str::parse::<UserId>).transpose();
    let session = search.session_id.as_deref().map(str::parse::<SessionId>).transpose();
    let (Ok(party), Ok(session)) = (party, session) else {
        // Nobody and nothing has such an id, and so no payment.
        return Ok(Page { items: Vec::new(), next: None });
    };
    let walk = queries::Walk { search, party, session, before, limit: i64::from(window.limit) + 1 };
    let mut snapshot = store.snapshot().await?;
    let (items, more) = cut(queries::list(&mut snapshot, &walk).await?, window.limit);
    let next = items.last().filter(|_| more).map(|payment| store.seal(&scope, &payment.id)).transpose()?;
    Ok(Page { items, next })
}
