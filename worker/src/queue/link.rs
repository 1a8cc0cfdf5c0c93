//! A database connection of a task's own.
//!
//! The queue's tasks don't share the handlers' pool: however many handlers wait for a connection,
//! leases are renewed and acknowledgements written. It also saves the pool's round trips.

use std::{io, time::Duration};

use humanchat_domain::pool::Pool;
use sqlx::{
    ConnectOptions, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// How long a statement of the queue may take, connecting included. A network that swallows
/// packets must not stop a worker for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection, made when it is first needed and again after every error.
#[derive(Debug)]
pub struct Link {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Link {
    /// A link to the pool's database.
    pub fn new(pool: &Pool) -> Self {
        Self { options: options(pool), connection: None }
    }

    /// Runs `query` on the connection. If it fails or is dropped half way, the connection is closed
    /// and nobody knows whether the statement took effect.
    ///
    /// # Errors
    /// The query's, or that there is no connection.
    pub async fn run<T>(&mut self, query: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>) -> sqlx::Result<T> {
        let work = async {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.options.connect().await?,
            };
            let answer = query(&mut connection).await?;
            self.connection = Some(connection);
            Ok(answer)
        };
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the database did not answer").into()),
        }
    }
}

/// The pool's options, and: the queue's statements are written for its indexes, so that they don't
/// depend on when the table was last analysed.
fn options(pool: &Pool) -> PgConnectOptions {
    pool.connect_options().clone().application_name("humanchat-queue").options([
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("enable_sort", "off"),
        ("jit", "off"),
        // Sooner than this side loses its patience: what it gave up must not happen later.
        ("statement_timeout", "9s"),
        // A process that freezes while it holds one of the queue's locks holds up all others.
        ("idle_in_transaction_session_timeout", "5s"),
    ])
}

/// A pool of one for a listener, which can't do with less.
pub(crate) fn listening_pool(pool: &Pool) -> PgPool {
    PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(PATIENCE)
        .connect_lazy_with(options(pool))
}
