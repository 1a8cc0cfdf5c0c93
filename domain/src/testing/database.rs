//! Fresh databases for integration tests, copied from a migrated template.
//!
//! `bin/test` starts a throw-away cluster and names it in `TEST_DATABASE_URL`.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{collections::HashMap, path::Path};

use url::Url;
use uuid::Uuid;

use crate::{Store, clock::Clock, config::Settings};

const TEMPLATE: &str = "humanchat_template";

/// A database of a test's own. It is dropped after the test's process has ended, or with the throw-away cluster.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    url: Url,
}

/// A variable of the environment: how much of something to test, say.
pub fn env(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "tests are told by bin/test where the cluster is")]
    std::env::var(name).ok()
}

impl TestDatabase {
    /// Copies the migrated template into a new database.
    ///
    /// # Panics
    /// When no throw-away cluster is running: tests are run by `bin/test`.
    #[expect(clippy::expect_used, reason = "only tests call this")]
    pub async fn create() -> Self {
        let admin = env("TEST_DATABASE_URL").expect("TEST_DATABASE_URL is not set: run tests with bin/test");
        let mut url = Url::parse(&admin).expect("TEST_DATABASE_URL is a URL");
        let name = format!("test_{}_{}", std::process::id(), Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(&admin).await.expect("the throw-away cluster answers");
        drop_left(&mut connection).await.expect("databases can be listed");
        let statement = format!("create database {name} template {TEMPLATE} strategy file_copy");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("a database can be created");
        url.set_path(&name);
        Self { url }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// A context in it with the given clock, no Redis, and settings changed as told.
    ///
    /// # Panics
    /// When a setting can't be used.
    #[expect(clippy::expect_used, reason = "only tests call this")]
    pub fn store_with(&self, clock: Clock, settings: &[(&str, &str)]) -> Store {
        let mut all = HashMap::from([
            ("DATABASE_URL", self.url()),
            ("DATABASE_POOL", "8"),
            ("JWT_SECRET", "a secret of the tests, 32 bytes or more"),
            ("RATE_LIMIT_ANON", "0"),
            ("RATE_LIMIT_USER", "0"),
            ("RATE_LIMIT_ADMIN", "0"),
        ]);
        all.extend(settings.iter().copied());
        let settings = Settings::from_lookup(&|name| all.get(name).map(|value| (*value).to_owned()));
        Store::open(settings.expect("the test's settings are valid"), clock).expect("the test's settings can be used")
    }

    /// A context in it with the given clock and no Redis.
    pub fn store(&self, clock: Clock) -> Store {
        self.store_with(clock, &[])
    }
}

/// Drops two databases that ended processes left, lest hundreds of tests fill a small disk.
async fn drop_left(connection: &mut PgConnection) -> sqlx::Result<()> {
    let processes = Path::new("/proc");
    if !processes.join("self").exists() {
        return Ok(());
    }
    let all: Vec<String> =
        sqlx::query_scalar(r"select datname from pg_database where datname like 'test\_%' order by oid")
            .fetch_all(&mut *connection)
            .await?;
    let owner = |name: &str| name.split('_').nth(1).map(|process| processes.join(process));
    for left in all.iter().filter(|name| owner(name).is_some_and(|process| !process.exists())).take(2) {
        let statement = format!("drop database {left} with (force)");
        // Another test may be dropping it too.
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await.ok();
    }
    Ok(())
}

/// Where the throw-away Redis is, if there is one.
pub fn redis_url() -> Option<String> {
    env("TEST_REDIS_URL")
}

/// A time to start manual clocks at: far from any daylight-saving night.
pub fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_794_830_400, 0).unwrap_or_default()
}

/// How many connections there are to this database.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn connections(store: &Store) -> usize {
    let count: i64 = sqlx::query_scalar("select count(*) from pg_stat_activity where datname = current_database()")
        .fetch_one(store.pool())
        .await
        .expect("connections can be counted");
    usize::try_from(count).unwrap_or_default()
}

/// What the database says to a statement that it should refuse.
///
/// # Panics
/// When it doesn't.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn refusal_of(store: &Store, statement: &str) -> String {
    let refused = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(store.pool()).await;
    refused.expect_err("the statement is refused").to_string()
}
