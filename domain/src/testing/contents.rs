//! Everything a database holds: for tests of requests that may change nothing.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use super::traces::tables;
use crate::Store;

/// Where api processes report, when they come to it, that they live and who has a socket.
const REPORTS: [&str; 3] = ["presences", "socket_processes", "user_sockets"];

/// A digest of the rows of each table, but for [`REPORTS`].
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn contents(store: &Store) -> BTreeMap<String, String> {
    let mut tables = tables(store).await;
    tables.retain(|table| !REPORTS.contains(&table.as_str()));
    let digest = |table: &String| {
        format!("select '{table}', md5(coalesce(string_agg(t::text, ' ' order by t::text), '')) from {table} t")
    };
    let statement = tables.iter().map(digest).collect::<Vec<_>>().join(" union all ");
    let rows: Vec<(String, String)> =
        sqlx::query_as(AssertSqlSafe(statement)).fetch_all(store.pool()).await.expect("tables can be read");
    rows.into_iter().collect()
}
