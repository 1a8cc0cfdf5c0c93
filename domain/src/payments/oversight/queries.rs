//! SQL of the list of everybody's payments.

use sqlx::PgConnection;

use super::PaymentSearch;
use crate::{
    id::{PaymentId, SessionId, UserId},
    payments::{Payment, PaymentKind, PaymentState, queries::payments_where},
    text::Timestamp,
};

/// A page of [`super::list_all`].
pub(super) struct Walk<'a> {
    pub search: &'a PaymentSearch,
    pub party: Option<UserId>,
    pub session: Option<SessionId>,
    pub before: Option<PaymentId>,
    pub limit: i64,
}

pub(super) async fn list(conn: &mut PgConnection, walk: &Walk<'_>) -> sqlx::Result<Vec<Payment>> {
    payments_where!(
        "($1::uuid is null or payer_user_id = $1 or payee_user_id = $1) and ($2::uuid is null or session_id = $2)
         and ($3::text is null or status = $3) and ($4::text is null or kind = $4) and ($5::uuid is null or id < $5)
         order by id desc limit $6",
        walk.party.map(|id| id.0),
        walk.session.map(|id| id.0),
        walk.search.status as Option<PaymentState>,
        walk.search.kind as Option<PaymentKind>,
        walk.before.map(|id| id.0),
        walk.limit,
    )
    .fetch_all(conn)
    .await
}
