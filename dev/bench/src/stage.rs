//! A throw-away Postgres and Redis for the measurements, with the durability of production.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use humanchat_local::{
    database,
    postgres::{Postgres, PostgresOptions},
    redis::{Redis, RedisOptions},
    scratch::Scratch,
    workspace_root,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::program;

/// Memory as a small server has it, and room for a whole measurement between two checkpoints. What
/// durability rests on (fsync, synchronous_commit, full_page_writes) stays as Postgres ships it.
const SETTINGS: &[&str] =
    &["shared_buffers = '1GB'", "max_wal_size = '4GB'", "checkpoint_timeout = '15min'", "track_io_timing = off"];

/// The servers that measurements run against.
#[derive(Debug)]
pub struct Stage {
    // Dropped in this order: the servers stop before their folder is deleted.
    postgres: Postgres,
    redis: Redis,
    scratch: Scratch,
}

impl Stage {
    /// The migrated database that others are copies of.
    pub const PRODUCT: &str = "product";

    /// Starts the servers and migrates a database.
    ///
    /// # Errors
    /// When a server can't be found, started or reached.
    pub async fn start() -> Result<Self> {
        let stage = tokio::task::spawn_blocking(|| -> Result<Self> {
            let scratch = Scratch::create()?;
            let options = PostgresOptions { data_dir: scratch.postgres(), durable: true, install: true };
            let postgres = Postgres::start(options)?;
            let redis = Redis::start(RedisOptions { dir: scratch.redis(), install: true })?;
            Ok(Self { postgres, redis, scratch })
        });
        let mut stage = stage.await??;
        for setting in SETTINGS {
            stage.as_superuser("postgres", &format!("alter system set {setting}")).await?;
        }
        tokio::task::block_in_place(|| stage.postgres.restart())?;
        database::create(&stage.url("postgres"), Self::PRODUCT, None).await?;
        database::migrate(&stage.url(Self::PRODUCT), &workspace_root()?.join("migrations")).await?;
        Ok(stage)
    }

    /// The Postgres server.
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// The URL of a database, for the product's role.
    pub fn url(&self, database: &str) -> String {
        self.postgres.url(database)
    }

    /// Where Redis is, password included.
    pub fn redis_url(&self) -> String {
        self.redis.url()
    }

    /// A new database under this name, a copy of `template`; one that was there is dropped. Returns its
    /// URL.
    ///
    /// # Errors
    /// When somebody is connected to the template, or the server can't be reached.
    pub async fn database(&self, name: &str, template: &str) -> Result<String> {
        self.drop_database(name).await?;
        database::create(&self.url("postgres"), name, Some(template)).await?;
        Ok(self.url(name))
    }

    /// A new, migrated database. See [`Stage::database`].
    ///
    /// # Errors
    /// The server's.
    pub async fn product_database(&self, name: &str) -> Result<String> {
        self.database(name, Self::PRODUCT).await
    }

    /// A new, empty database. See [`Stage::database`].
    ///
    /// # Errors
    /// The server's.
    pub async fn empty_database(&self, name: &str) -> Result<String> {
        self.database(name, "template1").await
    }

    /// Drops a database with everybody connected to it.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub async fn drop_database(&self, name: &str) -> Result<()> {
        self.as_superuser("postgres", &format!("drop database if exists \"{name}\" with (force)")).await
    }

    /// Writes dirty pages out, so that nobody pays for what others wrote.
    ///
    /// # Errors
    /// When the server can't be reached.
    pub async fn settle(&self) -> Result<()> {
        self.as_superuser("postgres", "checkpoint").await
    }

    /// Runs SQL as the superuser.
    ///
    /// # Errors
    /// The database's.
    pub async fn as_superuser(&self, database: &str, sql: &str) -> Result<()> {
        let mut connection = PgConnection::connect(&self.postgres.superuser_url(database)).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.with_context(|| sql.to_owned())?;
        Ok(connection.close().await?)
    }

    /// CPU time of the Postgres server until now: all its processes, those that ended included.
    ///
    /// # Errors
    /// When it isn't running.
    pub fn postgres_cpu(&self) -> Result<Duration> {
        let noted = self.scratch.postgres().join("cluster/postmaster.pid");
        let noted = fs::read_to_string(&noted).with_context(|| noted.display().to_string())?;
        let postmaster = noted.lines().next().context("postmaster.pid is empty")?.trim().parse()?;
        program::cpu_of_family(postmaster)
    }

    /// A folder for logs and results, deleted at the end.
    pub fn folder(&self) -> PathBuf {
        self.scratch.path().to_path_buf()
    }
}
