//! Holds: how long before a session a card is authorised, and what becomes of a hold that would end
//! before its session does.
//!
//! How long a hold lasts is the provider's to say (`capture_before`): it is obeyed, never assumed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    Payment, PaymentState,
    calls::{Ask, CallKind, ask},
    observe,
    queries::{self, NewPayment, Terms},
    saved_cards,
};
use crate::{
    Store,
    error::Result,
    id::{PaymentId, SessionId},
    sessions::{self, SessionStatus, SessionType},
    tx::Tx,
};

/// A card is authorised this long before the session at most.
const AHEAD: TimeDelta = TimeDelta::hours(48);
/// Until so long before the session a guest can pay whose card was not authorised.
const PAY_BEFORE: TimeDelta = TimeDelta::hours(24);
/// How long a capture may take after the session.
const MARGIN: TimeDelta = TimeDelta::hours(1);
/// What is still held this long before its end is looked after.
const ACT_WITHIN: TimeDelta = TimeDelta::hours(6);
/// Holds that end this soon are shown to operators.
const SHOWN_WITHIN: TimeDelta = TimeDelta::hours(24);
/// A session's card is authorised anew this often; then the guest is asked.
const MOST_PAYMENTS: usize = 5;
/// How many holds are looked after at a time.
const BATCH: i64 = 200;

/// When the card for a session is authorised, where that isn't at once.
pub(super) fn authorize_at(terms: &Terms, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let at = terms.start - AHEAD;
    (terms.session_type == SessionType::Scheduled && at > now).then_some(at)
}

/// Until when a guest can pay whose card was not authorised: a day before the start, or as long as
/// any unpaid slot is held, but not beyond the start.
fn pay_until(start: DateTime<Utc>, now: DateTime<Utc>, booking_hold: Duration) -> DateTime<Utc> {
    (start - PAY_BEFORE).max(now + booking_hold).min(start)
}

/// Whether a hold lasts until a session's end and the capture after it.
fn lasts(payment: &Payment, terms: &Terms) -> bool {
    payment.capture_before.is_none_or(|before| before.0 >= terms.end + MARGIN)
}

/// Looks after holds near their end: takes what is owed for sessions that are over, and renews those
/// that would end before their session.
///
/// # Errors
/// The database's.
pub async fn watch_holds(store: &Store) -> Result<()> {
    let until = store.clock.now() + ACT_WITHIN;
    for id in queries::holds_ending(&store.pool, until, BATCH).await? {
        let mut tx = store.begin(None).await?;
        observe::lock(&mut tx, id).await?;
        observe::follow_session(&mut tx, id).await?;
        renew_if_short(&mut tx, id).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// How many holds end within a day, of what is still to be captured.
///
/// # Errors
/// The database's.
pub async fn holds_expiring(store: &Store) -> Result<i64> {
    Ok(queries::count_holds_ending(&store.pool, store.clock.now() + SHOWN_WITHIN).await?)
}

/// The session has another time: a saved card is authorised at another time too, and a hold that
/// doesn't last until then is renewed.
pub(crate) async fn session_moved(tx: &mut Tx, session: SessionId) -> Result<()> {
    let Some(id) = queries::live(tx.conn(), session).await? else { return Ok(()) };
    observe::lock(tx, id).await?;
    let payment = observe::load(tx, id).await?;
    if payment.status == PaymentState::RequiresPayment && payment.authorize_at.is_some() {
        let terms = observe::terms(tx, session).await?;
        let at = authorize_at(&terms, tx.now()).unwrap_or(tx.now());
        queries::set_authorize_at(tx.conn(), id, at).await?;
        return saved_cards::plan(tx, id).await;
    }
    renew_if_short(tx, id).await
}

/// Lets go of a hold that would end before its session, to have it renewed.
async fn renew_if_short(tx: &mut Tx, id: PaymentId) -> Result<()> {
    let payment = observe::load(tx, id).await?;
    let (PaymentState::Authorized, Some(session)) = (payment.status, payment.session_id) else { return Ok(()) };
    let terms = observe::terms(tx, session).await?;
    let is_to_come = terms.status == SessionStatus::Pending && terms.session_type == SessionType::Scheduled;
    if !is_to_come || lasts(&payment, &terms) || queries::open_call_of(tx.conn(), id).await?.is_some() {
        return Ok(());
    }
    let now = tx.now();
    queries::lapse(tx.conn(), id, now).await?;
    let asked =
        Ask { kind: CallKind::Void, amount_minor: payment.amount, reason: Some("the hold is too short"), at: now };
    ask(tx, id, &asked).await.map(drop)
}

/// The hold for a session has ended. Where the session is still to come, its saved card is
/// authorised anew; or its guest can pay again, and both are told.
pub(super) async fn ended(tx: &mut Tx, payment: &Payment) -> Result<()> {
    let Some(session) = payment.session_id else { return Ok(()) };
    let (terms, now) = (observe::terms(tx, session).await?, tx.now());
    if terms.status != SessionStatus::Pending || terms.session_type != SessionType::Scheduled {
        return Ok(());
    }
    // A host who waives it meanwhile doesn't want it had anew.
    let ran_out = !payment.waived && (payment.lapsed || payment.capture_before.is_some_and(|before| before.0 <= now));
    if let Some(method) = payment.method_id.as_deref().filter(|_| ran_out)
        && queries::payments_of(tx.conn(), session).await?.len() < MOST_PAYMENTS
    {
        let id = PaymentId::new();
        let new = NewPayment {
            id,
            authorize_at: Some(authorize_at(&terms, now).unwrap_or(now)),
            method_id: Some(method),
            ..NewPayment::for_session(session, &terms, payment.fee_percent)
        };
        queries::insert(tx.conn(), &new, now).await?;
        let renewed = observe::load(tx, id).await?;
        observe::tell(tx, &renewed);
        sessions::set_payment(tx, session, renewed.status).await?;
        return saved_cards::plan(tx, id).await;
    }
    ask_guest(tx, payment, &terms).await
}

/// Keeps the slot for a while for a guest who has to pay again, and tells both.
pub(super) async fn ask_guest(tx: &mut Tx, payment: &Payment, terms: &Terms) -> Result<()> {
    let Some(session) = payment.session_id else { return Ok(()) };
    let until = pay_until(terms.start, tx.now(), tx.store().settings().booking_hold);
    if sessions::await_payment(tx, session, until).await? {
        super::notices::to_be_paid_again(tx, payment, until).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_to_pay_again_has_time_to() {
        let now = DateTime::from_timestamp(1_794_830_400, 0).unwrap();
        let hold = Duration::from_mins(15);
        for (ahead, until) in [
            (TimeDelta::hours(48), TimeDelta::hours(24)),
            (TimeDelta::minutes(24 * 60 + 10), TimeDelta::minutes(15)),
            (TimeDelta::hours(3), TimeDelta::minutes(15)),
            (TimeDelta::minutes(10), TimeDelta::minutes(10)),
        ] {
            assert_eq!(pay_until(now + ahead, now, hold) - now, until, "{ahead}");
        }
    }
}
