//! Postgres and Redis for development: those the developer named, else private ones kept in `.data`.

use std::path::Path;

use anyhow::{Context as _, Result};
use humanchat_local::postgres::{Postgres, PostgresOptions};
use humanchat_local::redis::{Redis, RedisOptions};

use super::config::Config;
use crate::say;

/// The database of a private cluster.
pub(crate) const DATABASE: &str = "humanchat";

/// The servers the product stands on.
#[derive(Debug)]
pub(crate) struct Servers {
    /// Where the product's database is.
    pub(crate) database_url: String,
    /// Where Redis is; `None`: the one api process has a bus of its own.
    pub(crate) redis_url: Option<String>,
    postgres: Option<Postgres>,
    redis: Option<Redis>,
}

impl Servers {
    /// Starts what isn't named by `DATABASE_URL` and `REDIS_URL`. Blocks.
    pub(crate) fn start(config: &Config, data: &Path, no_redis: bool) -> Result<Self> {
        let (postgres, database_url) = if let Some(url) = config.get("DATABASE_URL") {
            (None, url)
        } else {
            let options = PostgresOptions { data_dir: data.join("postgres"), durable: true, install: true };
            let server = Postgres::start(options).context("no Postgres")?;
            let url = server.url(DATABASE);
            (Some(server), url)
        };
        let (redis, redis_url) = match config.get("REDIS_URL") {
            _ if no_redis => (None, None),
            Some(url) => (None, Some(url)),
            None => match Redis::start(RedisOptions { dir: data.join("redis"), install: true }) {
                Ok(server) => {
                    let url = server.url();
                    (Some(server), Some(url))
                }
                Err(error) => {
                    say::line(&format!("{error:#}"));
                    (None, None)
                }
            },
        };
        if redis_url.is_none() {
            say::line("going on without Redis: one api process, in-process bus");
        }
        Ok(Self { database_url, redis_url, postgres, redis })
    }

    /// The private Postgres, unless the developer named another.
    pub(crate) fn private_postgres(&self) -> Option<&Postgres> {
        self.postgres.as_ref()
    }

    /// Whether the database is on this machine, where accounts with well-known passwords do no harm.
    pub(crate) fn database_is_here(&self) -> bool {
        let address = self.database_url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = address.split(['/', '?']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        host.is_empty() || ["localhost", "127.", "[::1]", "%2F"].iter().any(|here| host.starts_with(here))
    }

    /// Starts a private server that died again, on the same port. Blocks.
    pub(crate) fn revive(&mut self) -> Result<()> {
        if let Some(postgres) = &mut self.postgres
            && !postgres.is_running()?
        {
            say::line(&format!("Postgres died, starting it again; see {}", postgres.log_file().display()));
            postgres.restart()?;
        }
        if let Some(redis) = &mut self.redis
            && !redis.is_running()?
        {
            say::line("Redis died, starting it again");
            redis.restart()?;
        }
        Ok(())
    }

    /// Stops Redis, then Postgres: in order, or at once. Blocks.
    pub(crate) fn stop(&mut self, at_once: bool) -> Result<()> {
        if let Some(mut redis) = self.redis.take() {
            if at_once { redis.kill()? } else { redis.stop()? }
        }
        if let Some(mut postgres) = self.postgres.take() {
            if at_once { postgres.stop_immediate()? } else { postgres.stop_fast()? }
        }
        Ok(())
    }
}
