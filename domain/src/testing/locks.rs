//! Locks that hold a process up at a step of its work.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::Store;

/// Ends the connections that wait for a lock, then the transaction.
const SEND_AWAY: &str = "select pg_terminate_backend(pid) from pg_stat_activity
                         where datname = current_database() and wait_event_type = 'Lock'; commit";

/// Jobs of a kind that nobody can write about.
#[derive(Debug)]
pub struct JobLock(PgConnection);

#[expect(clippy::expect_used, reason = "only tests call these")]
impl JobLock {
    /// Locks the jobs' rows, on a connection that isn't the store's.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn take(store: &Store, kind: &str) -> Self {
        let options = store.pool().connect_options();
        let mut holder = PgConnection::connect_with(options).await.expect("the database answers");
        sqlx::raw_sql("begin").execute(&mut holder).await.expect("a transaction begins");
        let lock = sqlx::query("select id from jobs where kind = $1 for update").bind(kind);
        lock.execute(&mut holder).await.expect("the jobs can be locked");
        Self(holder)
    }

    /// Lets everybody at the jobs again, but for those who wait for them now: whoever died waiting would
    /// still be heard.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn release_after_sending_away(mut self) {
        sqlx::raw_sql(SEND_AWAY).execute(&mut self.0).await.expect("the lock can be released");
    }
}

/// A table that nobody can read or write.
#[derive(Debug)]
pub struct TableLock {
    holder: PgConnection,
    watcher: PgConnection,
    table: &'static str,
}

#[expect(clippy::expect_used, reason = "only tests call these")]
impl TableLock {
    /// Locks a table, on a connection that isn't the store's.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn take(store: &Store, table: &'static str) -> Self {
        Self::lock(store, table, "access exclusive").await
    }

    /// The same, but the table can be read.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn against_writes(store: &Store, table: &'static str) -> Self {
        Self::lock(store, table, "share").await
    }

    async fn lock(store: &Store, table: &'static str, mode: &str) -> Self {
        let options = store.pool().connect_options();
        let connect = async || PgConnection::connect_with(options).await.expect("the database answers");
        let (mut holder, watcher) = (connect().await, connect().await);
        let statement = format!("begin; lock table {table} in {mode} mode");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut holder).await.expect("the table can be locked");
        Self { holder, watcher, table }
    }

    /// How many wait for the table.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn waiting(&mut self) -> i64 {
        // Databases copied from one template have the same numbers for their tables.
        sqlx::query_scalar(
            "select count(*) from pg_locks l join pg_database d on d.oid = l.database
             where not l.granted and l.relation = $1::regclass and d.datname = current_database()",
        )
        .bind(self.table)
        .fetch_one(&mut self.watcher)
        .await
        .expect("locks can be read")
    }

    /// Lets everybody at the table again.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn release(mut self) {
        sqlx::raw_sql("commit").execute(&mut self.holder).await.expect("the lock can be released");
    }

    /// The same, but for those who wait for it now: their connections break.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn release_after_sending_away(mut self) {
        sqlx::raw_sql(SEND_AWAY).execute(&mut self.holder).await.expect("the lock can be released");
    }
}
