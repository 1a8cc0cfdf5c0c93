//! The programs of the latest release on the schema of now: whatever they say to the database is understood.

use std::{fs, path::Path};

use humanchat_domain::{Store, clock::Clock, testing::TestDatabase};
use serde::Deserialize;
use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr as _};

use super::Release;

/// What is said in vain.
async fn not_understood(store: &Store, statements: &[String]) -> Vec<String> {
    let mut conn = store.pool().acquire().await.unwrap();
    let mut problems = Vec::new();
    for statement in statements {
        if let Err(error) = conn.prepare(AssertSqlSafe(statement.as_str()).into_sql_str()).await {
            problems.push(format!("{error}: {statement}"));
        }
    }
    problems
}

/// What this program says, from `.sqlx`.
fn own_statements() -> Vec<String> {
    #[derive(Deserialize)]
    struct Described {
        query: String,
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.sqlx");
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    files.map(|text| serde_json::from_str::<Described>(&text).unwrap().query).collect()
}

#[tokio::test]
async fn the_latest_releases_programs_run_on_this_schema() {
    let Some(released) = Release::latest() else { return };
    let store = TestDatabase::create().await.store(Clock::default());
    assert_eq!(not_understood(&store, &released.statements).await, [""; 0]);
}

#[tokio::test]
async fn programs_that_a_migration_breaks_are_found() {
    let store = TestDatabase::create().await.store(Clock::default());
    let statements = own_statements();
    assert!(statements.len() > 200);
    let expand = "alter table users add column pronouns text; create table causes (id uuid primary key)";
    sqlx::raw_sql(expand).execute(store.pool()).await.unwrap();
    assert_eq!(not_understood(&store, &statements).await, [""; 0]);
    sqlx::raw_sql("alter table users drop column found_away").execute(store.pool()).await.unwrap();
    assert!(!not_understood(&store, &statements).await.is_empty());
}
