//! SQL of payments and of the calls that move them.

mod cards;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

pub(super) use cards::{
    count_holds_ending, holds_ending, lapse, name_setup, payments_of, people, set_authorize_at, waive,
};

use super::{
    Payment, PaymentKind, PaymentState,
    calls::{Ask, Call, CallKind},
};
use crate::{
    id::{PaymentCallId, PaymentId, SessionId, UserId},
    pool::Pool,
    sessions::{SessionStatus, SessionType},
    text::Timestamp,
    users::ConversationType,
};

/// A query for payments, `where` what follows.
macro_rules! payments_where {
    ($which:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            Payment,
            r#"select id as "id: PaymentId", session_id as "session_id: SessionId",
                      payer_user_id as "payer_user_id: UserId", payee_user_id as "payee_user_id: UserId",
                      kind as "kind: PaymentKind", status as "status: PaymentState", amount_minor as amount,
                      captured_minor as amount_captured, refunded_minor as amount_refunded, currency,
                      capture_before as "capture_before: Timestamp", authorize_at as "authorize_at: Timestamp",
                      created_at as "created_at: Timestamp", updated_at as "updated_at: Timestamp", fee_percent,
                      intent_id, checkout_id, setup_id, method_id, lapsed_at is not null as "lapsed!",
                      waived_at is not null as "waived!"
               from payments where "# + $which,
            $($argument),+
        )
    };
}
pub(super) use payments_where;

/// A payment about to be written.
#[derive(Debug)]
pub(super) struct NewPayment<'a> {
    pub id: PaymentId,
    pub kind: PaymentKind,
    pub session_id: Option<SessionId>,
    pub payer: UserId,
    pub payee: Option<UserId>,
    pub amount_minor: i64,
    pub currency: &'a str,
    pub fee_percent: i16,
    pub message: Option<&'a str>,
    /// When a saved card is to be authorised for it; none where somebody pays by hand.
    pub authorize_at: Option<DateTime<Utc>>,
    /// The card, where it was saved before.
    pub method_id: Option<&'a str>,
}

impl<'a> NewPayment<'a> {
    /// One for a session, by a card that is authorised at once.
    pub(super) fn for_session(session: SessionId, terms: &'a Terms, fee_percent: i16) -> Self {
        Self {
            id: PaymentId::new(),
            kind: PaymentKind::Session,
            session_id: Some(session),
            payer: terms.guest,
            payee: Some(terms.host),
            amount_minor: terms.price_minor,
            currency: &terms.currency,
            fee_percent,
            message: None,
            authorize_at: None,
            method_id: None,
        }
    }
}

/// Also keeps what the payee's cause is called now, if it is a donation.
pub(super) async fn insert(conn: &mut PgConnection, new: &NewPayment<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into payments (id, kind, session_id, payer_user_id, payee_user_id, amount_minor, currency, fee_percent,
                               message, charity_name, authorize_at, method_id, checked_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, (select charity_name from users where id = $5 and $2 = 'donation'),
                 $10, $11, $12, $12, $12)",
        new.id.0,
        new.kind as PaymentKind,
        new.session_id.map(|id| id.0),
        new.payer.0,
        new.payee.map(|id| id.0),
        new.amount_minor,
        new.currency,
        new.fee_percent,
        new.message,
        new.authorize_at,
        new.method_id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A payment, of this person's if one is named.
pub(super) async fn find(
    conn: &mut PgConnection,
    id: PaymentId,
    party: Option<UserId>,
) -> sqlx::Result<Option<Payment>> {
    payments_where!(
        "id = $1 and ($2::uuid is null or $2 in (payer_user_id, payee_user_id))",
        id.0,
        party.map(|id| id.0),
    )
    .fetch_optional(conn)
    .await
}

/// The session that a payment is for.
pub(super) async fn session_of(conn: &mut PgConnection, id: PaymentId) -> sqlx::Result<Option<SessionId>> {
    let row = sqlx::query!(
        r#"select session_id as "session_id: SessionId" from payments where id = $1 and kind = 'session'"#,
        id.0,
    );
    Ok(row.fetch_optional(conn).await?.and_then(|row| row.session_id))
}

pub(super) async fn lock(conn: &mut PgConnection, id: PaymentId) -> sqlx::Result<()> {
    sqlx::query!("select id from payments where id = $1 for update", id.0).fetch_optional(conn).await?;
    Ok(())
}

/// The payment that counts for a session.
pub(super) async fn live(conn: &mut PgConnection, session: SessionId) -> sqlx::Result<Option<PaymentId>> {
    sqlx::query_scalar!(
        r#"select id as "id: PaymentId" from payments
           where session_id = $1 and kind = 'session' and status not in ('voided', 'failed')"#,
        session.0,
    )
    .fetch_optional(conn)
    .await
}

/// The payment that an intent, a checkout or a setup was made for.
pub(super) async fn made_for(pool: &Pool, object_id: &str) -> sqlx::Result<Option<Payment>> {
    payments_where!("intent_id = $1 or checkout_id = $1 or setup_id = $1", object_id).fetch_optional(pool).await
}

/// Notes what a payment was made into at the provider; what is known stays.
pub(super) async fn name_objects(
    conn: &mut PgConnection,
    id: PaymentId,
    intent_id: Option<&str>,
    checkout_id: Option<&str>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update payments set intent_id = coalesce(intent_id, $2), checkout_id = coalesce(checkout_id, $3), checked_at = $4
         where id = $1",
        id.0,
        intent_id,
        checkout_id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Where a payment goes.
pub(super) struct Step {
    pub status: PaymentState,
    pub captured_minor: i64,
    pub refunded_minor: i64,
    pub capture_before: Option<DateTime<Utc>>,
}

/// False when it isn't where it was.
pub(super) async fn step(
    conn: &mut PgConnection,
    payment: &Payment,
    to: &Step,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update payments set status = $3, captured_minor = $5, refunded_minor = $6, capture_before = $7,
                             updated_at = $8
         where id = $1 and status = $2 and refunded_minor = $4",
        payment.id.0,
        payment.status as PaymentState,
        to.status as PaymentState,
        payment.amount_refunded,
        to.captured_minor,
        to.refunded_minor,
        to.capture_before,
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// What a session says about paying for it.
pub(super) struct Terms {
    pub host: UserId,
    pub guest: UserId,
    pub session_type: SessionType,
    pub status: SessionStatus,
    pub payment_mode: ConversationType,
    pub price_minor: i64,
    /// What is owed of that; none before the session is over.
    pub owed_minor: Option<i64>,
    pub currency: String,
    /// When it begins.
    pub start: DateTime<Utc>,
    /// When it ends, if it begins then.
    pub end: DateTime<Utc>,
}

pub(super) async fn terms(conn: &mut PgConnection, id: SessionId) -> sqlx::Result<Option<Terms>> {
    sqlx::query_as!(
        Terms,
        r#"select host_user_id as "host: UserId", guest_user_id as "guest: UserId", type as "session_type: SessionType",
                  status as "status: SessionStatus", payment_mode as "payment_mode: ConversationType",
                  agreed_price_minor as price_minor, owed_minor, currency, start_time as start,
                  coalesce(end_time, start_time + make_interval(mins => coalesce(booked_minutes, 0))) as "end!"
           from sessions where id = $1"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// Writes a call down before it is made; its id is its key. False when another of the payment's is
/// open.
pub(super) async fn insert_call(
    conn: &mut PgConnection,
    id: PaymentCallId,
    payment: PaymentId,
    ask: &Ask<'_>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "insert into payment_calls (id, payment_id, kind, key, amount_minor, reason, created_at)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (payment_id) where state = 'open' do nothing",
        id.0,
        payment.0,
        ask.kind as CallKind,
        id.to_string(),
        ask.amount_minor,
        ask.reason,
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Writes down that some is taken back of a transfer. Nothing else of the payment's is open.
pub(super) async fn insert_reversal(
    conn: &mut PgConnection,
    id: PaymentCallId,
    payment: PaymentId,
    transfer_id: &str,
    amount_minor: i64,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into payment_calls (id, payment_id, kind, key, amount_minor, transfer_id, created_at)
         values ($1, $2, 'reverse_transfer', $3, $4, $5, $6)",
        id.0,
        payment.0,
        id.to_string(),
        amount_minor,
        transfer_id,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A call that has not been settled.
pub(super) async fn open_call(pool: &Pool, id: PaymentCallId) -> sqlx::Result<Option<Call>> {
    sqlx::query_as!(
        Call,
        r#"select id as "id: PaymentCallId", payment_id as "payment_id: PaymentId", kind as "kind: CallKind",
                  key, amount_minor, transfer_id, attempted_at, created_at
           from payment_calls where id = $1 and state = 'open'"#,
        id.0,
    )
    .fetch_optional(pool)
    .await
}

/// The payment's call that has not been settled.
pub(super) async fn open_call_of(conn: &mut PgConnection, id: PaymentId) -> sqlx::Result<Option<Call>> {
    sqlx::query_as!(
        Call,
        r#"select id as "id: PaymentCallId", payment_id as "payment_id: PaymentId", kind as "kind: CallKind",
                  key, amount_minor, transfer_id, attempted_at, created_at
           from payment_calls where payment_id = $1 and state = 'open'"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// Notes that a call is about to be made. False when it was settled before.
pub(super) async fn attempt(pool: &Pool, id: PaymentCallId, now: DateTime<Utc>) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update payment_calls set attempts = attempts + 1, attempted_at = $2 where id = $1 and state = 'open'",
        id.0,
        now,
    )
    .execute(pool)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// False when it was settled before.
pub(super) async fn settle_call(
    conn: &mut PgConnection,
    id: PaymentCallId,
    refusal: Option<(&str, &str)>,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update payment_calls set state = case when $2::text is null then 'done' else 'refused' end,
                                  error_code = $2, error_message = $3, settled_at = $4
         where id = $1 and state = 'open'",
        id.0,
        refusal.map(|(code, _)| code),
        refusal.map(|(_, message)| message),
        now,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Whether the payment's last call of this kind came to nothing.
pub(super) async fn was_refused(conn: &mut PgConnection, id: PaymentId, kind: CallKind) -> sqlx::Result<bool> {
    let last = sqlx::query_scalar!(
        "select state from payment_calls where payment_id = $1 and kind = $2 order by id desc limit 1",
        id.0,
        kind as CallKind,
    );
    Ok(last.fetch_optional(conn).await?.is_some_and(|state| state == "refused"))
}

/// How often the payment was refused this kind of call.
pub(super) async fn refusals(conn: &mut PgConnection, id: PaymentId, kind: CallKind) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from payment_calls where payment_id = $1 and kind = $2 and state = 'refused'"#,
        id.0,
        kind as CallKind,
    )
    .fetch_one(conn)
    .await
}

/// What a receipt says besides the payment.
pub(super) struct Facts {
    pub payer_name: String,
    pub payee_name: Option<String>,
    pub charity_name: Option<String>,
    pub message: Option<String>,
    pub paid_at: Timestamp,
}

/// None while nothing was taken.
pub(super) async fn facts(conn: &mut PgConnection, id: PaymentId) -> sqlx::Result<Option<Facts>> {
    sqlx::query_as!(
        Facts,
        r#"select payer.name as payer_name, payee.name as "payee_name?", p.charity_name, p.message,
                  l.created_at as "paid_at: Timestamp"
           from payments p
           join ledger_transactions l on l.payment_id = p.id and l.kind = 'capture'
           join users payer on payer.id = p.payer_user_id
           left join users payee on payee.id = p.payee_user_id
           where p.id = $1"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}
