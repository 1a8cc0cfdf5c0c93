//! Connections to Postgres, each lent to one borrower at a time.
//!
//! sqlx has a pool of its own. It asks the server for a sign of life whenever a connection comes back, which doubles
//! the round trips of a read. Here a borrower who has heard all that was asked for gives the connection back at once;
//! however else it comes back, the server is asked first, by a task.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{
    TryFutureExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    ConnectOptions, Connection, Describe, Either, Execute, Executor, PgConnection, Postgres, SqlStr,
    postgres::{PgConnectOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::Connections;

/// How long to wait for a connection.
const PATIENCE: Duration = Duration::from_secs(3);
/// A connection that lay idle for longer is asked for a sign of life before it is lent.
const FRESH: Duration = Duration::from_secs(1);
/// A connection is lent no more when it is older: the server's process forgets what it piled up.
const LIFETIME: Duration = Duration::from_mins(30);

/// How long a connection may take to come back: longer than any statement may last.
const LONGEST: Duration = Duration::from_secs(40);

/// A process' connections. They are made when they are needed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: PgConnectOptions,
    most: usize,
    /// One for each connection there may be.
    places: Arc<Semaphore>,
    /// Who came back last is lent first.
    idle: Mutex<Vec<Resting>>,
}

#[derive(Debug)]
struct Resting {
    connection: PgConnection,
    made: Instant,
    since: Instant,
}

/// A borrowed connection.
pub struct Lent {
    /// Gone only when it is dropped.
    held: Option<Held>,
    pool: Pool,
}

struct Held {
    connection: PgConnection,
    made: Instant,
    in_transaction: bool,
    place: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(options: PgConnectOptions, most: u32) -> Self {
        let most = most.max(1) as usize;
        let places = Arc::new(Semaphore::new(most));
        Self(Arc::new(Shared { options, most, places, idle: Mutex::default() }))
    }

    /// How its connections are made.
    pub fn connect_options(&self) -> &PgConnectOptions {
        &self.0.options
    }

    /// How many connections there are.
    pub fn connections(&self) -> Connections {
        Connections { idle: self.idle().len(), used: self.0.most - self.0.places.available_permits() }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Resting>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Borrows a connection; waits until one is free.
    ///
    /// # Errors
    /// When none is in time, or the server can't be reached.
    pub async fn acquire(&self) -> sqlx::Result<Lent> {
        timeout(PATIENCE, self.find()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn find(&self) -> sqlx::Result<Lent> {
        let place = self.0.places.clone().acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let (connection, made) = match self.rested().await {
            Some(rested) => rested,
            None => (self.0.options.connect().await?, Instant::now()),
        };
        Ok(Lent { held: Some(Held { connection, made, in_transaction: false, place }), pool: self.clone() })
    }

    /// An idle connection that still works.
    async fn rested(&self) -> Option<(PgConnection, Instant)> {
        loop {
            let Resting { mut connection, made, since } = self.idle().pop()?;
            if since.elapsed() < FRESH || connection.ping().await.is_ok() {
                return Some((connection, made));
            }
        }
    }

    fn take_back(&self, held: Held) {
        let Held { connection, made, place, .. } = held;
        if made.elapsed() < LIFETIME {
            self.idle().push(Resting { connection, made, since: Instant::now() });
        }
        drop(place);
    }
}

/// Runs one statement on a connection of its own.
impl<'p> Executor<'p> for &Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'p: 'e,
        'q: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        let all = async move {
            let mut lent = pool.acquire().await?;
            let all: Vec<_> = lent.fetch_many(query).try_collect().await?;
            lent.give_back();
            Ok(stream::iter(all.into_iter().map(Ok)))
        };
        Box::pin(all.try_flatten_stream())
    }

    fn fetch_optional<'e, 'q, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'p: 'e,
        'q: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let pool = self.clone();
        Box::pin(async move {
            let mut lent = pool.acquire().await?;
            let row = lent.fetch_optional(query).await?;
            lent.give_back();
            Ok(row)
        })
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.prepare_with(sql, parameters).await })
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'p: 'e,
    {
        let pool = self.clone();
        Box::pin(async move { pool.acquire().await?.describe(sql).await })
    }
}

#[expect(clippy::expect_used, reason = "a connection is gone only from what is being dropped")]
impl Lent {
    fn held(&mut self) -> &mut Held {
        self.held.as_mut().expect("it was not given back")
    }

    /// Gives it back. Nothing may be under way: no statement whose answer wasn't heard to its end.
    pub(crate) fn give_back(mut self) {
        if let Some(held) = self.held.take_if(|held| !held.in_transaction) {
            self.pool.take_back(held);
        }
    }

    /// Begins a transaction. Without a [`Lent::commit_transaction`] it is rolled back.
    pub(crate) async fn begin_transaction(&mut self) -> sqlx::Result<()> {
        // Known before it is so: this may be dropped between the question and the answer.
        self.held().in_transaction = true;
        self.execute("begin").await.map(drop)
    }

    /// Commits the transaction and gives the connection back.
    pub(crate) async fn commit_transaction(mut self) -> sqlx::Result<()> {
        self.execute("commit").await?;
        self.held().in_transaction = false;
        self.give_back();
        Ok(())
    }
}

/// However it comes back without a word, something may be under way. Its server is asked first, which also hears what is
/// still to come.
impl Drop for Lent {
    fn drop(&mut self) {
        let (Some(mut held), Ok(runtime)) = (self.held.take(), Handle::try_current()) else { return };
        let pool = self.pool.clone();
        runtime.spawn(async move {
            let in_transaction = std::mem::take(&mut held.in_transaction);
            let rest = async {
                if in_transaction {
                    held.connection.execute("rollback").await.map(drop)
                } else {
                    held.connection.ping().await
                }
            };
            if matches!(timeout(LONGEST, rest).await, Ok(Ok(()))) {
                pool.take_back(held);
            }
        });
    }
}

#[expect(clippy::expect_used, reason = "a connection is gone only from what is being dropped")]
impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.held.as_ref().expect("it was not given back").connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.held().connection
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}
