//! What a database knows of somebody: for tests of exports and of closed accounts.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::AssertSqlSafe;

use crate::Store;

/// The tables that point at people: by a foreign key, or by a column whose name says so.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn tables_of_people(store: &Store) -> BTreeSet<String> {
    let names: Vec<String> = sqlx::query_scalar(
        "select conrelid::regclass::text from pg_constraint where contype = 'f' and confrelid = 'users'::regclass
         union
         select c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
           and a.attnum > 0 and a.attname ~ '(user|sender|manager|login)_id$|(e?mail|address|channel)$'",
    )
    .fetch_all(store.pool())
    .await
    .expect("the catalogue can be read");
    names.into_iter().collect()
}

/// All tables.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub(super) async fn tables(store: &Store) -> Vec<String> {
    sqlx::query_scalar(
        "select oid::regclass::text from pg_class
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition",
    )
    .fetch_all(store.pool())
    .await
    .expect("the catalogue can be read")
}

/// How many rows of each table say one of these words anywhere, as text.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn rows_that_say(store: &Store, words: &[&str]) -> BTreeMap<String, i64> {
    let mut found = BTreeMap::new();
    for table in tables(store).await {
        let statement = format!(
            "select count(*) from {table} t where exists (select from unnest($1::text[]) w where strpos(t::text, w) > 0)"
        );
        let rows: i64 = sqlx::query_scalar(AssertSqlSafe(statement))
            .bind(words)
            .fetch_one(store.pool())
            .await
            .expect("rows can be counted");
        if rows > 0 {
            found.insert(table, rows);
        }
    }
    found
}
