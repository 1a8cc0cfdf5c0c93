//! Those who enqueue: in a closed loop, as fast as they can, or at a pace that nothing slows down.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;
use garde::Unvalidated;
use humanchat_domain::{
    Store,
    auth::{AskMagicLink, ask_magic_link},
    clock::Clock,
    config::Settings,
    id::MagicLinkId,
};
use humanchat_jobs::{Job, auth::SendMagicLink};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use super::{
    queries::insert_row,
    raw,
    stamp::{Nothing, Stamp},
};
use crate::measure::count;

/// Longer than a nudge is gathered and sent.
const NUDGE: Duration = Duration::from_millis(200);

/// Whoever enqueues.
#[derive(Debug, Clone)]
pub enum Sender {
    /// By the product's unit of work.
    Ours(Store),
    /// By bare statements on the product's table.
    Raw(Connections),
    /// By graphile-worker's function, on the same kind of connections.
    Graphile(Connections),
}

/// What is enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A no-op job and nothing else.
    Alone,
    /// A row of the caller's own and a job: the product's "ask for a magic link".
    WithRow,
    /// A job that notes how long it waited, with whatever wakes a worker.
    Stamped,
}

impl Sender {
    /// A sender of the product, with its settings from the environment and its log as in production.
    ///
    /// # Errors
    /// When a setting is missing or wrong.
    pub fn ours() -> Result<Self> {
        let settings = Settings::from_env()?;
        let _no_traces = humanchat_domain::logging::init(&settings, "humanchat-bench")?;
        Ok(Self::Ours(Store::open(settings, Clock::System)?))
    }

    /// The limit's sender.
    ///
    /// # Errors
    /// As [`Sender::ours`].
    pub fn raw() -> Result<Self> {
        Ok(Self::Raw(Connections::as_the_products()?))
    }

    /// graphile-worker's sender.
    ///
    /// # Errors
    /// As [`Sender::ours`], and when the table of the callers' rows can't be made.
    pub async fn graphile() -> Result<Self> {
        let connections = Connections::as_the_products()?;
        let mut lent = connections.lend().await?;
        sqlx::raw_sql(ROWS).execute(&mut lent.connection).await?;
        connections.take_back(lent);
        Ok(Self::Graphile(connections))
    }

    /// `callers` that enqueue one after the other, as fast as they can, for `time`. Returns how many
    /// they were in a second, all together.
    ///
    /// # Errors
    /// The first caller's.
    pub async fn rush(&self, what: What, callers: usize, time: Duration) -> Result<f64> {
        // Connections and prepared statements first.
        self.all(what, callers, Duration::from_millis(200)).await?;
        let began = Instant::now();
        let sent = self.all(what, callers, time).await?;
        Ok(count(sent) / began.elapsed().as_secs_f64())
    }

    async fn all(&self, what: What, callers: usize, time: Duration) -> Result<usize> {
        let end = Instant::now() + time;
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            let sender = self.clone();
            tasks.spawn(async move {
                let mut sent = 0;
                while Instant::now() < end {
                    sender.send(what).await?;
                    sent += 1;
                }
                Ok(sent)
            });
        }
        tasks.join_all().await.into_iter().sum()
    }

    /// Enqueues `jobs` stamped ones with pauses of that many microseconds, by chance; never waits for
    /// one before it begins the next.
    ///
    /// # Errors
    /// The first failure's.
    pub async fn flow(&self, jobs: usize, pauses: Range<u64>) -> Result<()> {
        let mut tasks = JoinSet::new();
        let mut at = tokio::time::Instant::now();
        for _ in 0..jobs {
            at += Duration::from_micros(rand::random_range(pauses.clone()));
            tokio::time::sleep_until(at).await;
            let sender = self.clone();
            tasks.spawn(async move { sender.send(What::Stamped).await });
        }
        tasks.join_all().await.into_iter().collect::<Result<()>>()?;
        // Ours nudges workers in the background, after the commit; a process that ends takes that with it.
        tokio::time::sleep(NUDGE).await;
        Ok(())
    }

    async fn send(&self, what: What) -> Result<()> {
        match self {
            Self::Ours(store) => ours(store, what).await,
            Self::Raw(connections) => {
                let stamp = Stamp::now()?;
                let mut lent = connections.lend().await?;
                bare(&mut lent.connection, what, &stamp).await?;
                connections.take_back(lent);
                Ok(())
            }
            Self::Graphile(connections) => {
                let stamp = Stamp::now()?;
                let mut lent = connections.lend().await?;
                graphile(&mut lent.connection, what, &stamp).await?;
                connections.take_back(lent);
                Ok(())
            }
        }
    }
}

/// Connections that are kept, as many as the product has. Like its own they are lent as they are: asking one whether it still
/// lives, before and after, would be a round trip each time.
#[derive(Debug, Clone)]
pub struct Connections {
    options: PgConnectOptions,
    places: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<PgConnection>>>,
}

/// A connection that is somebody's for a while. One that isn't given back, since something failed, is closed.
struct Lent {
    connection: PgConnection,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    fn as_the_products() -> Result<Self> {
        let settings = Settings::from_env()?;
        let places = usize::try_from(settings.database_pool)?;
        let options = Store::open(settings, Clock::System)?.pool().connect_options().clone();
        Ok(Self { options, places: Arc::new(Semaphore::new(places)), idle: Arc::default() })
    }

    async fn lend(&self) -> Result<Lent> {
        let place = Arc::clone(&self.places).acquire_owned().await?;
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match kept {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        Ok(Lent { connection, _place: place })
    }

    fn take_back(&self, lent: Lent) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(lent.connection);
    }
}

/// The caller's own rows, for peers that have databases of their own: as the product's.
const ROWS: &str = "create table if not exists magic_links (
    id uuid primary key, email text not null, token_hash bytea unique, created_at timestamptz not null,
    expires_at timestamptz not null, used_at timestamptz);
  create index if not exists magic_links_email on magic_links (email, id desc);
  create index if not exists magic_links_expiry on magic_links (expires_at)";

async fn ours(store: &Store, what: What) -> Result<()> {
    let stamp = Stamp::now()?;
    let mut tx = store.begin(None).await?;
    match what {
        What::Alone => tx.enqueue(&Nothing {})?,
        What::WithRow => {
            let ask = Unvalidated::new(AskMagicLink { email: address() }).validate()?;
            ask_magic_link(&mut tx, &ask).await?;
        }
        What::Stamped => tx.enqueue(&stamp)?,
    }
    Ok(tx.commit().await?)
}

async fn bare(conn: &mut PgConnection, what: What, stamp: &Stamp) -> Result<()> {
    if what == What::Alone {
        return raw::insert(conn, &Nothing {}).await;
    }
    let mut tx = conn.begin().await?;
    match what {
        What::Alone | What::WithRow => {
            let magic_link_id = insert_row(&mut tx, &address()).await?;
            raw::insert(&mut tx, &SendMagicLink { magic_link_id: MagicLinkId(magic_link_id) }).await?;
        }
        What::Stamped => raw::insert(&mut tx, stamp).await?,
    }
    tx.commit().await?;
    // Only a stamped job has somebody who waits for it.
    if what == What::Stamped { raw::notify(conn).await } else { Ok(()) }
}

async fn graphile(conn: &mut PgConnection, what: What, stamp: &Stamp) -> Result<()> {
    if what == What::Alone {
        return add_job(conn, &Nothing {}).await;
    }
    let mut tx = conn.begin().await?;
    match what {
        What::Alone | What::WithRow => {
            let magic_link_id = insert_row(&mut tx, &address()).await?;
            add_job(&mut tx, &SendMagicLink { magic_link_id: MagicLinkId(magic_link_id) }).await?;
        }
        What::Stamped => add_job(&mut tx, stamp).await?,
    }
    Ok(tx.commit().await?)
}

async fn add_job<J: Job>(conn: &mut PgConnection, job: &J) -> Result<()> {
    sqlx::query("select graphile_worker.add_job($1, $2::json)")
        .bind(J::NAME)
        .bind(sqlx::types::Json(job))
        .execute(conn)
        .await?;
    Ok(())
}

fn address() -> String {
    format!("{:016x}@example.com", rand::random::<u64>())
}
