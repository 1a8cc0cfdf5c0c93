//! SQL of closing accounts.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::id::{ConversationId, PaymentId, UserId};

/// Locks somebody; false when they have gone.
pub(super) async fn lock(conn: &mut PgConnection, id: UserId) -> sqlx::Result<bool> {
    let row = sqlx::query!("select id from users where id = $1 and erased_at is null for no key update", id.0);
    Ok(row.fetch_optional(conn).await?.is_some())
}

/// Ends all logins and what they could be renewed with.
pub(super) async fn end_logins(conn: &mut PgConnection, id: UserId, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "with ended as (
           update logins set ended_at = $2 where user_id = $1 and ended_at is null returning id
         ), renewals as (
           delete from refresh_tokens where login_id in (select id from ended)
         )
         delete from socket_tickets where login_id in (select id from ended)",
        id.0,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes what was mailed to somebody, while their address is known.
pub(super) async fn forget_mail(conn: &mut PgConnection, id: UserId) -> sqlx::Result<()> {
    sqlx::query!(
        "with links as (delete from magic_links where email = (select email from users where id = $1))
         delete from mails where to_address = (select email from users where id = $1)",
        id.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn empty_profile(
    conn: &mut PgConnection,
    id: UserId,
    address: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with rules as (delete from availability where user_id = $1)
         update users set name = 'Deleted user', email = $2, email_verified = false, password_hash = null, role = 'user',
           suspended_at = coalesce(suspended_at, $3), erased_at = coalesce(erased_at, $3), timezone = 'UTC', avatar_url = null, headline = '',
           bio = '', skills = '{}', languages = '{}', conversation_type = 'free', instant_rate_minor = null,
           scheduled_rates = '{}', charity_name = null, cancellation_policy = null, managed = false, manager_id = null, display_mode = 'normal',
           confidential_rate = false, presence_state = 'offline', present_until = null, unanswered = 0,
           found_away = false, updated_at = $3
         where id = $1",
        id.0,
        address,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// When somebody left; `None` where they haven't.
pub(super) async fn erased_at(conn: &mut PgConnection, id: UserId) -> sqlx::Result<Option<DateTime<Utc>>> {
    let erased_at = sqlx::query_scalar!("select erased_at from users where id = $1", id.0);
    Ok(erased_at.fetch_optional(conn).await?.flatten())
}

/// What somebody's own channels told them.
pub(super) async fn remove_events(conn: &mut PgConnection, channels: &[String], batch: i64) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "delete from events e using (
           select channel, seq, created_at from events where channel = any($1) limit $2) old
         where (e.channel, e.seq, e.created_at) = (old.channel, old.seq, old.created_at)",
        channels,
        batch,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// What somebody and Sam wrote to each other.
pub(super) async fn remove_sam_messages(conn: &mut PgConnection, id: UserId, batch: i64) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "delete from messages m using (
           select m.conversation_id, m.seq from messages m join conversations c on c.id = m.conversation_id
           where c.type = 'sam' and c.first_user_id = $1 limit $2) old
         where (m.conversation_id, m.seq) = (old.conversation_id, old.seq)",
        id.0,
        batch,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Somebody's conversation with Sam.
pub(super) async fn sam(conn: &mut PgConnection, id: UserId) -> sqlx::Result<Option<ConversationId>> {
    sqlx::query_scalar!(
        r#"select id as "id: ConversationId" from conversations where type = 'sam' and first_user_id = $1"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

pub(super) async fn remove_sam(conn: &mut PgConnection, id: UserId) -> sqlx::Result<bool> {
    let result =
        sqlx::query!("delete from conversations where type = 'sam' and first_user_id = $1", id.0).execute(conn).await?;
    Ok(result.rows_affected() > 0)
}

/// Remembered replies, ended logins, when they were here, and whom somebody asked for.
pub(super) async fn remove_traces(conn: &mut PgConnection, id: UserId, batch: i64) -> sqlx::Result<bool> {
    let removed = sqlx::query_scalar!(
        r#"with replies as (
             delete from idempotency_keys k using (
               select user_id, route, key from idempotency_keys where user_id = $1 limit $2) old
             where (k.user_id, k.route, k.key) = (old.user_id, old.route, old.key) returning 1
           ), ended as (
             delete from logins where id in (select id from logins where user_id = $1 limit $2) returning 1
           ), here as (
             delete from presences where (user_id, since) in (
               select user_id, since from presences where user_id = $1 and until is not null limit $2) returning 1
           ), asked as (
             delete from requested_people_askers where user_id = $1 returning 1
           ), told as (
             delete from notifications where id in (select id from notifications where user_id = $1 limit $2) returning 1
           ), preferred as (
             delete from notification_preferences where user_id = $1 returning 1
           )
           select exists (select from replies) or exists (select from ended)
             or exists (select from here) or exists (select from asked)
             or exists (select from told) or exists (select from preferred) as "any!""#,
        id.0,
        batch,
    )
    .fetch_one(conn)
    .await?;
    Ok(removed)
}

/// Members whom somebody answered for have nobody who does.
pub(super) async fn release_managed(conn: &mut PgConnection, id: UserId, batch: i64) -> sqlx::Result<bool> {
    let result = sqlx::query!(
        "update users set manager_id = null
         where id in (select id from users where manager_id = $1 order by id limit $2 for no key update)",
        id.0,
        batch,
    )
    .execute(conn)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Conversations with other people, in the order of their ids.
pub(super) async fn conversations(
    conn: &mut PgConnection,
    person: UserId,
    after: Option<ConversationId>,
    limit: i64,
) -> sqlx::Result<Vec<ConversationId>> {
    sqlx::query_scalar!(
        r#"select c.id as "id: ConversationId" from conversation_participants p join conversations c on c.id = p.conversation_id
           where p.user_id = $1 and c.type = 'human' and ($2::uuid is null or c.id > $2)
           order by c.id limit $3"#,
        person.0,
        after.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Gives what the others in these conversations were notified of them another title.
pub(super) async fn unname_conversations(
    conn: &mut PgConnection,
    person: UserId,
    ids: &[ConversationId],
    title: &str,
) -> sqlx::Result<()> {
    let (ids, texts): (Vec<_>, Vec<_>) = ids.iter().map(|id| (id.0, id.to_string())).unzip();
    sqlx::query!(
        "update notifications n set title = $4
         from unnest($1::uuid[], $2::text[]) as c (id, text), conversation_participants p
         where p.conversation_id = c.id and p.user_id <> $3 and n.user_id = p.user_id
           and n.data ->> 'conversation_id' = c.text and n.title <> $4",
        &ids,
        &texts,
        person.0,
        title,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives notifications another title, by whose they are and their keys.
pub(super) async fn unname(
    conn: &mut PgConnection,
    people: &[UserId],
    keys: &[String],
    title: &str,
) -> sqlx::Result<()> {
    let people: Vec<_> = people.iter().map(|id| id.0).collect();
    sqlx::query!(
        "update notifications n set title = $3 from unnest($1::uuid[], $2::text[]) as k (user_id, key)
         where n.user_id = k.user_id and n.key = k.key",
        &people,
        keys,
        title,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Payments that somebody made or got, the newest first, each with the other side.
pub(super) async fn payments(
    conn: &mut PgConnection,
    person: UserId,
    before: Option<PaymentId>,
    limit: i64,
) -> sqlx::Result<Vec<(PaymentId, Option<UserId>)>> {
    let rows = sqlx::query!(
        r#"select id as "id: PaymentId",
                  case when payer_user_id = $1 then payee_user_id else payer_user_id end as "other: UserId"
           from payments where $1 in (payer_user_id, payee_user_id) and ($2::uuid is null or id < $2)
           order by id desc limit $3"#,
        person.0,
        before.map(|id| id.0),
        limit,
    );
    Ok(rows.fetch_all(conn).await?.into_iter().map(|row| (row.id, row.other)).collect())
}

/// Gives what people were notified of payments other words.
pub(super) async fn unname_payments(
    conn: &mut PgConnection,
    people: &[UserId],
    payments: &[String],
    (title, body): (&str, &str),
) -> sqlx::Result<()> {
    let people: Vec<_> = people.iter().map(|id| id.0).collect();
    sqlx::query!(
        "update notifications n set title = $3, body = $4 from unnest($1::uuid[], $2::text[]) as p (user_id, payment_id)
         where n.user_id = p.user_id and n.data ->> 'payment_id' = p.payment_id and n.title <> $3",
        &people,
        payments,
        title,
        body,
    )
    .execute(conn)
    .await?;
    Ok(())
}
