//! Differences between our books and the provider's, for staff: what a program can't settle alone.

mod queries;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    Store,
    error::Result,
    id::{DifferenceId, PaymentId},
    text::Timestamp,
    tx::Tx,
};

/// Something that doesn't add up.
#[derive(Debug, Serialize, ToSchema)]
pub struct Difference {
    /// Id.
    pub id: DifferenceId,
    /// The payment it is about, if it is one of ours.
    #[schema(required)]
    pub payment_id: Option<PaymentId>,
    /// The provider's id of what differs, or ours of the payment, or of the call that came to nothing.
    pub object_id: String,
    /// What kind of difference.
    #[schema(example = "stands_elsewhere")]
    pub kind: String,
    /// What both sides say.
    #[schema(value_type = Object)]
    pub details: Value,
    /// When it was first seen.
    pub found_at: Timestamp,
}

/// What differs now, the newest first; at most 100.
///
/// # Errors
/// The database's.
pub async fn open(store: &Store) -> Result<Vec<Difference>> {
    Ok(queries::open(&store.pool).await?)
}

/// Notes a difference, once while it lasts.
pub(super) async fn note(
    tx: &mut Tx,
    payment: Option<PaymentId>,
    object_id: &str,
    kind: &str,
    details: &Value,
) -> Result<()> {
    let now = tx.now();
    if queries::note(tx.conn(), DifferenceId::new(), payment, object_id, kind, details, now).await? {
        tracing::error!(?payment, object_id, kind, "our books and the payment provider's differ");
    }
    Ok(())
}

/// The payment has moved on: what was noted of these kinds about it is of the past.
pub(super) async fn resolve_all(tx: &mut Tx, payment: PaymentId, kinds: &[&str]) -> Result<()> {
    let now = tx.now();
    Ok(queries::resolve_all(tx.conn(), payment, kinds, now).await?)
}

/// Of a kind, only these are left.
pub(super) async fn resolve_others(tx: &mut Tx, kind: &str, left: &[String]) -> Result<()> {
    let now = tx.now();
    Ok(queries::resolve_others(tx.conn(), kind, left, now).await?)
}

/// What was noted about this, of these kinds, is no more.
pub(super) async fn resolve(tx: &mut Tx, object_id: &str, kinds: &[&str]) -> Result<()> {
    let now = tx.now();
    Ok(queries::resolve(tx.conn(), object_id, kinds, now).await?)
}
