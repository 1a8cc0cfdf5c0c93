//! SQL of who was there, and when.

use sqlx::PgConnection;

use crate::{
    availability::Span,
    id::{SessionId, UserId},
    sessions::attendance::ACT,
};

/// When each of a session's people showed a sign of life within a span: stretches that don't
/// touch. A message, the host's start and the guest's agreement count for 45 seconds.
pub(in crate::sessions) async fn evidence(
    conn: &mut PgConnection,
    id: SessionId,
    within: Span,
) -> sqlx::Result<Vec<(UserId, Span)>> {
    let rows = sqlx::query!(
        r#"with session as (
             select host_user_id, guest_user_id, conversation_id, started_at, confirmed_at from sessions where id = $1
           ), signs as (
             select p.user_id, tstzrange(p.since, p.until) as during
             from session s join presences p on p.user_id in (s.host_user_id, s.guest_user_id)
             where p.since < $3 and (p.until is null or p.until > $2)
             union all
             select m.sender_id, tstzrange(m.created_at, m.created_at + $4)
             from session s, lateral (select sender_id, created_at from messages
                                      where conversation_id = s.conversation_id order by seq desc limit 2000) as m
             where m.sender_id is not null and m.created_at > $2 - $4::interval and m.created_at < $3
             union all
             select host_user_id, tstzrange(started_at, started_at + $4) from session where started_at is not null
             union all
             select guest_user_id, tstzrange(confirmed_at, confirmed_at + $4) from session where confirmed_at is not null
           ), stretches as (
             select user_id, unnest(range_agg(during) * tstzmultirange(tstzrange($2, $3))) as during
             from signs group by user_id
           )
           select user_id as "user_id!: UserId", lower(during) as "start!", upper(during) as "end!"
           from stretches order by during"#,
        id.0,
        within.start,
        within.end,
        ACT as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, Span { start: row.start, end: row.end })).collect())
}

pub(in crate::sessions) async fn keep_attendance(
    conn: &mut PgConnection,
    id: SessionId,
    stretches: &[(UserId, Span)],
) -> sqlx::Result<()> {
    let people: Vec<_> = stretches.iter().map(|(person, _)| person.0).collect();
    let (starts, ends): (Vec<_>, Vec<_>) = stretches.iter().map(|(_, span)| (span.start, span.end)).unzip();
    sqlx::query!(
        "insert into attendance (session_id, user_id, during)
         select $1, person, tstzrange(starts, ends) from unnest($2::uuid[], $3::timestamptz[], $4::timestamptz[])
           as stretch (person, starts, ends)",
        id.0,
        &people,
        &starts,
        &ends,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(in crate::sessions) async fn kept_attendance(
    conn: &mut PgConnection,
    id: SessionId,
) -> sqlx::Result<Vec<(UserId, Span)>> {
    let rows = sqlx::query!(
        r#"select user_id as "user_id: UserId", lower(during) as "start!", upper(during) as "end!"
           from attendance where session_id = $1 order by during"#,
        id.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id, Span { start: row.start, end: row.end })).collect())
}
