//! Migrating while the product is used: nobody waits for long.

use std::time::{Duration, Instant};

use humanchat_domain::{Store, clock::Clock, testing::TestDatabase};
use sqlx::Connection as _;

/// A migration that isn't applied yet: this one adds a column to the table of jobs.
const NAME: &str = "job traces";

/// How long somebody waits to read jobs.
async fn read(store: &Store) -> Duration {
    let began = Instant::now();
    sqlx::query("select count(*) from jobs").execute(store.pool()).await.unwrap();
    began.elapsed()
}

#[tokio::test]
async fn a_migration_gives_up_before_those_who_wait_behind_it_do() {
    let database = TestDatabase::create().await;
    let store = database.store(Clock::default());
    sqlx::raw_sql("alter table jobs drop column traceparent").execute(store.pool()).await.unwrap();
    let forget = sqlx::query("delete from _sqlx_migrations where description = $1").bind(NAME);
    assert_eq!(forget.execute(store.pool()).await.unwrap().rows_affected(), 1);

    let mut reader = sqlx::PgConnection::connect(database.url()).await.unwrap();
    let mut export = reader.begin().await.unwrap();
    sqlx::query("select count(*) from jobs").execute(&mut *export).await.unwrap();
    let (migrated, waited) = tokio::join!(store.migrate(), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        read(&store).await
    });
    let refused = migrated.unwrap_err().to_string();
    assert!(refused.contains("lock timeout"), "{refused}");
    assert!(waited < Duration::from_secs(3), "as long as a request waits for a connection: {waited:?}");

    export.rollback().await.unwrap();
    store.migrate().await.unwrap();
    let has_column = "select traceparent from jobs limit 1";
    sqlx::query(has_column).execute(store.pool()).await.unwrap();
}
