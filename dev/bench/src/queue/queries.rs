//! What the product does in the database for a magic link before it asks for the job, in its own words: a test holds them
//! against `.sqlx`.

use anyhow::Result;
use chrono::TimeDelta;
use humanchat_domain::clock::Clock;
use sqlx::PgConnection;
use uuid::Uuid;

const LOCK_ADDRESS: &str =
    "select pg_advisory_xact_lock(hashtextextended('humanchat:link:' || $1, 0)) is null as locked";
const INSERT_LINK: &str = "insert into magic_links (id, email, created_at, expires_at)
  select $1, $2, $4, $5 where (select count(*) from magic_links where email = $2 and expires_at > $4) < $3";

/// Takes a link's row into the transaction. Returns its id.
pub(super) async fn insert_row(conn: &mut PgConnection, email: &str) -> Result<Uuid> {
    sqlx::query(LOCK_ADDRESS).bind(email).fetch_one(&mut *conn).await?;
    let (id, now) = (Uuid::now_v7(), Clock::System.now());
    let link = sqlx::query(INSERT_LINK).bind(id).bind(email).bind(5_i64).bind(now).bind(now + TimeDelta::minutes(15));
    link.execute(conn).await?;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::{one_line, products_statements};

    #[test]
    fn these_are_the_products_own_statements() {
        let known = products_statements();
        for statement in [LOCK_ADDRESS, INSERT_LINK].map(one_line) {
            assert!(known.contains(&statement), "not the product's: {statement}");
        }
    }
}
