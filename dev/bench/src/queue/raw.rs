//! The least that a durable queue in Postgres can do, on the product's own table: no lease, no retry,
//! no order between connections.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use humanchat_domain::config::Settings;
use humanchat_jobs::Job;
use secrecy::ExposeSecret as _;
use serde::Deserialize as _;
use sqlx::{
    Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    types::Json,
};
use tokio::{sync::Notify, task::JoinSet};
use uuid::Uuid;

use super::stamp::{Stamp, Waits};

/// The channel on which [`notify`] tells of new jobs.
const CHANNEL: &str = "bench_raw";
const BATCH: i64 = 100;
/// How long to wait at most before looking by oneself.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Inserts a job that is due.
///
/// # Errors
/// The database's.
pub async fn insert<J: Job>(conn: &mut PgConnection, job: &J) -> Result<()> {
    sqlx::query(
        "insert into jobs (id, kind, queue, priority, max_attempts, data, run_at, created_at)
         values ($1, $2, $3, $4, $5, $6, now(), now())",
    )
    .bind(Uuid::now_v7())
    .bind(J::NAME)
    .bind(J::QUEUE.as_str())
    .bind(J::PRIORITY)
    .bind(J::MAX_ATTEMPTS)
    .bind(Json(job))
    .execute(conn)
    .await?;
    Ok(())
}

/// Tells workers of new jobs.
///
/// # Errors
/// The database's.
pub async fn notify(conn: &mut PgConnection) -> Result<()> {
    sqlx::query("select pg_notify($1, '')").bind(CHANNEL).execute(conn).await?;
    Ok(())
}

/// Works for as long as it is polled, on so many connections: in batches of 100, or one job at a time.
///
/// # Errors
/// The database's.
pub async fn work(settings: &Settings, connections: u32, in_batches: bool, waits: Waits) -> Result<()> {
    // The ear keeps one for itself.
    // The product's queue goes by its indexes too. Otherwise the planner may begin to sort all that waits, as soon as the
    // table is analysed in the middle of a drain.
    let options: PgConnectOptions = settings.database_url.expose_secret().parse()?;
    let options = options.options([("enable_seqscan", "off"), ("enable_bitmapscan", "off"), ("enable_sort", "off")]);
    let pool = PgPoolOptions::new().max_connections(connections + 1).connect_with(options).await?;
    let bell = Arc::new(Notify::new());
    let mut tasks = JoinSet::new();
    let mut ear = PgListener::connect_with(&pool).await?;
    ear.listen(CHANNEL).await?;
    let rung = bell.clone();
    tasks.spawn(async move {
        loop {
            ear.recv().await?;
            rung.notify_one();
        }
    });
    for _ in 0..connections {
        let hand = Hand { limit: if in_batches { BATCH } else { 1 }, bell: bell.clone(), waits: waits.clone() };
        tasks.spawn(hand.work(pool.clone()));
    }
    println!("ready");
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

struct Hand {
    limit: i64,
    bell: Arc<Notify>,
    waits: Waits,
}

impl Hand {
    async fn work(self, pool: PgPool) -> Result<()> {
        let mut conn = pool.acquire().await?;
        loop {
            while self.take(&mut conn).await? {
                // There may be work for another hand.
                self.bell.notify_one();
            }
            // In vain every now and then: looking is how a lost notification is made up for.
            tokio::time::timeout(LOOK_EVERY, self.bell.notified()).await.ok();
        }
    }

    /// Takes jobs, runs them and marks them done, in one transaction. Says whether there were any.
    async fn take(&self, conn: &mut PgConnection) -> Result<bool> {
        let mut tx = conn.begin().await?;
        let jobs: Vec<(Uuid, String, Json<serde_json::Value>)> = sqlx::query_as(
            "select id, kind, data from jobs
             where queue = 'default' and priority = 0 and state = 'available' and run_at <= now()
             order by run_at, id limit $1 for update skip locked",
        )
        .bind(self.limit)
        .fetch_all(&mut *tx)
        .await?;
        for (_, kind, data) in &jobs {
            if kind == Stamp::NAME {
                self.waits.note(&Stamp::deserialize(&data.0)?)?;
            }
        }
        let ids: Vec<_> = jobs.into_iter().map(|(id, ..)| id).collect();
        if !ids.is_empty() {
            sqlx::query("update jobs set state = 'done', finished_at = now() where id = any($1)")
                .bind(&ids)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(!ids.is_empty())
    }
}
