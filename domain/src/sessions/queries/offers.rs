//! SQL of times that are offered to somebody, and kept for them meanwhile.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    availability::Span,
    id::{ActionId, UserId},
};

/// Keeps a host's time for a proposal.
pub(in crate::sessions) async fn keep(
    conn: &mut PgConnection,
    offer: ActionId,
    host: UserId,
    during: Span,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into engagements (offer_id, user_id, during) values ($1, $2, tstzrange($3, $4))",
        offer.0,
        host.0,
        during.start,
        during.end,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many of a host's times are kept for proposals.
pub(in crate::sessions) async fn kept(conn: &mut PgConnection, host: UserId, now: DateTime<Utc>) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(*) as "count!" from engagements e join sam_actions a on a.id = e.offer_id
           where e.user_id = $1 and a.expires_at > $2"#,
        host.0,
        now,
    )
    .fetch_one(conn)
    .await
}

/// Gives back what is kept for a proposal.
pub(in crate::sessions) async fn give_back(conn: &mut PgConnection, offer: ActionId) -> sqlx::Result<()> {
    sqlx::query!("delete from engagements where offer_id = $1", offer.0).execute(conn).await?;
    Ok(())
}

/// Gives back what is kept for proposals to somebody; says which.
pub(in crate::sessions) async fn give_back_all(conn: &mut PgConnection, guest: UserId) -> sqlx::Result<Vec<ActionId>> {
    sqlx::query_scalar!(
        r#"delete from engagements e using sam_actions a where a.id = e.offer_id and a.user_id = $1
           returning a.id as "id: ActionId""#,
        guest.0,
    )
    .fetch_all(conn)
    .await
}

/// Gives back what is kept of these people's time for proposals that have run out.
pub(in crate::sessions) async fn give_back_expired(
    conn: &mut PgConnection,
    people: [UserId; 2],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let ids = people.map(|id| id.0);
    sqlx::query!(
        "delete from engagements e using sam_actions a
         where a.id = e.offer_id and e.user_id = any($1) and a.expires_at <= $2",
        &ids[..],
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Until when a time is kept for a proposal; `None` where none is.
pub(in crate::sessions) async fn kept_until(
    conn: &mut PgConnection,
    offer: ActionId,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!(
        "select a.expires_at from engagements e join sam_actions a on a.id = e.offer_id where a.id = $1",
        offer.0,
    )
    .fetch_optional(conn)
    .await
}
