//! Instant sessions that are paid for: asked for by the guest, begun by the host, or called off by
//! the clock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use humanchat_jobs::sessions::EndUnstartedSession;

use super::{Pair, load, queries, tell_new, timeouts};
use crate::{
    error::{Refusal, Result},
    id::{ConversationId, SessionId},
    payments,
    tx::Tx,
};

/// How long an instant session's hold is for, where nobody says.
pub(crate) const INSTANT_MINUTES: i32 = 30;

/// A session about to be asked for.
pub(super) struct NewInstant {
    pub id: SessionId,
    pub pair: Pair,
    pub minutes: i32,
    pub price_minor: i64,
    /// Until when the host can begin it.
    pub start_by: DateTime<Utc>,
}

/// Asks a paid or charity host for a session at once. The host has so long to begin it. Lock the
/// people first.
///
/// # Errors
/// `RequestRequired` where the host has no rate by the minute; `Unavailable` without a payment
/// provider.
pub(crate) async fn ask_instant(
    tx: &mut Tx,
    pair: Pair,
    minutes: Option<i64>,
    answer_within: Duration,
) -> Result<SessionId> {
    payments::require_provider(tx.store())?;
    let terms = queries::terms(tx.conn(), pair.host, pair.guest).await?.ok_or(Refusal::NotFound("user"))?;
    let rate_minor = terms.instant_rate_minor.ok_or(Refusal::RequestRequired)?;
    let minutes = minutes.and_then(|minutes| i32::try_from(minutes).ok()).unwrap_or(INSTANT_MINUTES);
    let (id, now) = (SessionId::new(), tx.now());
    let (price_minor, start_by) = (rate_minor * i64::from(minutes), now + answer_within);
    queries::insert_instant(tx.conn(), &NewInstant { id, pair, minutes, price_minor, start_by }, now).await?;
    payments::begin(tx, id).await?;
    let session = load(tx, id).await?;
    tx.enqueue_at(&EndUnstartedSession { session_id: id, version: session.version }, start_by)?;
    tell_new(tx, &session);
    Ok(id)
}

/// The pair's instant session that the host has not begun; one whose time is over ends. Lock the people first.
pub(crate) async fn waiting_instant(tx: &mut Tx, conversation_id: ConversationId) -> Result<Option<SessionId>> {
    let Some(id) = queries::lock_waiting_instant(tx.conn(), conversation_id).await? else { return Ok(None) };
    let session = load(tx, id).await?;
    if !timeouts::is_too_late(&session, tx.now()) {
        return Ok(Some(id));
    }
    timeouts::missed(tx, &session).await?;
    Ok(None)
}
