//! Connections to Postgres, each lent to one borrower at a time.
//!
//! The pool is deadpool's. What is ours is when Postgres is asked whether a connection is well: a borrower who has heard
//! every answer to its end gives the connection back, and it is lent again as it is. However else it comes back, something
//! may be under way, and that is ended first.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    time::Duration,
};

use deadpool::{
    Runtime,
    managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult},
};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use tokio::{runtime::Handle, time::timeout};

use crate::Connections;

mod executor;

/// How long to wait for a connection to be free, and for a new one to be made.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long an idle connection may take to give a sign of life. One that doesn't is replaced.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// A connection that wasn't lent for longer is asked for a sign of life before it is.
const FRESH: Duration = Duration::from_secs(1);
/// A connection is lent no more when it is older: the server's process forgets what it piled up.
const LIFETIME: Duration = Duration::from_mins(30);
/// How long what was under way may take to end: longer than any statement may last.
const LONGEST: Duration = Duration::from_secs(40);

/// A process' connections. They are made when they are needed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool(managed::Pool<Manager, PooledConnection>);

/// A borrowed connection.
pub struct PooledConnection(
    /// Gone only when it is dropped.
    Option<Object<Manager>>,
);

#[derive(Debug)]
struct Manager(PgConnectOptions);

#[derive(Debug)]
struct Managed {
    connection: PgConnection,
    owes: Owes,
}

/// What has to happen to a connection before somebody else may have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owes {
    Nothing,
    /// An answer may be on its way.
    Answer,
    /// A transaction may be open.
    Rollback,
}

impl Pool {
    #[expect(clippy::expect_used, reason = "it fails only where time-outs have no runtime")]
    pub(crate) fn new(options: PgConnectOptions, most: u32) -> Self {
        let pool = managed::Pool::builder(Manager(options))
            .max_size(most as usize)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .recycle_timeout(Some(SIGN_OF_LIFE))
            // Who came back last is lent first, and has seldom lain idle.
            .queue_mode(QueueMode::Lifo)
            .build();
        Self(pool.expect("it has a runtime"))
    }

    /// How its connections are made.
    pub fn connect_options(&self) -> &PgConnectOptions {
        &self.0.manager().0
    }

    /// How many connections there are.
    pub fn connections(&self) -> Connections {
        let status = self.0.status();
        Connections { idle: status.available, used: status.size - status.available }
    }

    /// Borrows a connection; waits until one is free.
    ///
    /// # Errors
    /// When none is in time, or the server can't be reached.
    pub async fn acquire(&self) -> sqlx::Result<PooledConnection> {
        self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_) => sqlx::Error::PoolTimedOut,
            _ => sqlx::Error::PoolClosed,
        })
    }
}

impl managed::Manager for Manager {
    type Type = Managed;
    type Error = sqlx::Error;

    async fn create(&self) -> sqlx::Result<Managed> {
        Ok(Managed { connection: self.0.connect().await?, owes: Owes::Answer })
    }

    async fn recycle(&self, managed: &mut Managed, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if metrics.age() > LIFETIME {
            return Err(RecycleError::message("it is old"));
        }
        if managed.owes != Owes::Nothing || metrics.last_used() > FRESH {
            managed.settle().await?;
        }
        managed.owes = Owes::Answer;
        Ok(())
    }
}

impl Managed {
    /// Ends what is under way. Whatever Postgres is asked, sqlx first hears what is still to come.
    async fn settle(&mut self) -> sqlx::Result<()> {
        match self.owes {
            Owes::Nothing | Owes::Answer => self.connection.ping().await?,
            Owes::Rollback => {
                self.connection.execute("rollback").await?;
            }
        }
        self.owes = Owes::Nothing;
        Ok(())
    }
}

#[expect(clippy::expect_used, reason = "it is gone only from what is being dropped")]
impl PooledConnection {
    fn managed(&mut self) -> &mut Managed {
        self.0.as_mut().expect("it was not dropped")
    }

    /// Gives it back. Nothing may be under way: no statement whose answer wasn't heard to its end.
    pub(crate) fn give_back(mut self) {
        let owes = &mut self.managed().owes;
        if *owes == Owes::Answer {
            *owes = Owes::Nothing;
        }
    }

    /// Begins a transaction. Without a [`PooledConnection::commit_transaction`] it is rolled back.
    pub(crate) async fn begin_transaction(&mut self, statement: &'static str) -> sqlx::Result<()> {
        // Known before it is so: this may be dropped between the question and the answer.
        self.managed().owes = Owes::Rollback;
        self.execute(statement).await.map(drop)
    }

    /// Commits the transaction and gives the connection back.
    pub(crate) async fn commit_transaction(mut self) -> sqlx::Result<()> {
        self.execute("commit").await?;
        self.managed().owes = Owes::Nothing;
        Ok(())
    }
}

/// What is under way is ended at once, not when the connection is next lent: a transaction holds locks.
impl Drop for PooledConnection {
    fn drop(&mut self) {
        let Some(mut managed) = self.0.take_if(|managed| managed.owes != Owes::Nothing) else { return };
        if let Ok(runtime) = Handle::try_current() {
            // Were this to fail or to be stopped, whoever asks next would try again or get another connection.
            runtime.spawn(async move { timeout(LONGEST, managed.settle()).await });
        }
    }
}

impl From<Object<Manager>> for PooledConnection {
    fn from(object: Object<Manager>) -> Self {
        Self(Some(object))
    }
}

#[expect(clippy::expect_used, reason = "it is gone only from what is being dropped")]
impl Deref for PooledConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0.as_ref().expect("it was not dropped").connection
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.managed().connection
    }
}

impl fmt::Debug for PooledConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection").finish_non_exhaustive()
    }
}
