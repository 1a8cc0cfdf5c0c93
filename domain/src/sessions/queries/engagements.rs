//! SQL of people's time: what each has agreed to.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    availability::Span,
    id::{SessionId, UserId},
};

/// Takes people's time for a session. What is only offered to somebody gives way.
pub(in crate::sessions) async fn engage(
    conn: &mut PgConnection,
    id: SessionId,
    people: [(UserId, Span); 2],
    live: bool,
) -> sqlx::Result<()> {
    let [(host, host_span), (guest, guest_span)] = people;
    sqlx::query!(
        "delete from engagements
         where offer_id is not null and (user_id = $1 and during && tstzrange($2, $3) or user_id = $4 and during && tstzrange($5, $6))",
        host.0,
        host_span.start,
        host_span.end,
        guest.0,
        guest_span.start,
        guest_span.end,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "insert into engagements (session_id, user_id, during, live)
         values ($1, $2, tstzrange($3, $4), $8), ($1, $5, tstzrange($6, $7), $8)",
        id.0,
        host.0,
        host_span.start,
        host_span.end,
        guest.0,
        guest_span.start,
        guest_span.end,
        live,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives people's time back.
pub(in crate::sessions) async fn disengage(conn: &mut PgConnection, id: SessionId) -> sqlx::Result<()> {
    sqlx::query!("delete from engagements where session_id = $1", id.0).execute(conn).await?;
    Ok(())
}

/// What was taken for later goes on now.
pub(in crate::sessions) async fn go_live(conn: &mut PgConnection, id: SessionId) -> sqlx::Result<()> {
    sqlx::query!("update engagements set live = true where session_id = $1", id.0).execute(conn).await?;
    Ok(())
}

/// Who of these people is in a session that goes on, and in which.
pub(in crate::sessions) async fn live(
    conn: &mut PgConnection,
    users: [UserId; 2],
) -> sqlx::Result<Vec<(UserId, SessionId)>> {
    let ids = users.map(|id| id.0);
    let rows = sqlx::query!(
        r#"select user_id as "user_id: UserId", session_id as "session_id!: SessionId" from engagements
           where user_id = any($1) and live"#,
        &ids[..],
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.session_id)).collect())
}

/// Who of these people is taken from when on, of what is agreed within a span; earliest first.
pub(in crate::sessions) async fn taken(
    conn: &mut PgConnection,
    users: &[UserId],
    span: Span,
) -> sqlx::Result<Vec<(UserId, DateTime<Utc>)>> {
    let ids: Vec<_> = users.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select user_id as "user_id: UserId", lower(during) as "from!" from engagements
           where user_id = any($1) and during && tstzrange($2, $3) and session_id is not null order by lower(during)"#,
        &ids,
        span.start,
        span.end,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row.from)).collect())
}
