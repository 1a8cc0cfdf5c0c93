//! Wakes idle workers after a commit.
//!
//! `NOTIFY` inside the inserting transaction would serialise all commits, so nudges go out on a
//! connection of their own: the first at once, and what comes during it and a millisecond after it
//! together. A lost nudge costs a second: workers look by themselves.

use std::{collections::BTreeSet, io, time::Duration};

use humanchat_jobs::Queue;
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use crate::queries;

/// The Postgres channel that workers listen on; the payload is a comma-separated list of queues.
pub const NUDGE_CHANNEL: &str = "humanchat_jobs";

const GATHER: Duration = Duration::from_millis(1);
/// How long a nudge may take, connecting included: workers look by themselves by then.
const PATIENCE: Duration = Duration::from_secs(3);

/// Sends nudges in the background.
#[derive(Debug, Clone)]
pub struct Nudger(mpsc::UnboundedSender<Queue>);

impl Nudger {
    pub(crate) fn spawn(options: &PgConnectOptions) -> Self {
        // Postgres writes a commit for each nudge. There is nothing in it that the disk must keep.
        let options = options.clone().options([("synchronous_commit", "off")]);
        let mut voice = Voice { options, connection: None };
        let (sender, mut receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(first) = receiver.recv().await {
                let mut queues = BTreeSet::from([first]);
                voice.nudge(&queues).await;
                queues.clear();
                sleep(GATHER).await;
                while let Ok(queue) = receiver.try_recv() {
                    queues.insert(queue);
                }
                if !queues.is_empty() {
                    voice.nudge(&queues).await;
                }
            }
        });
        Self(sender)
    }

    /// Wakes the workers of a queue soon; never waits.
    pub fn nudge(&self, queue: Queue) {
        // The task ends only with the runtime.
        self.0.send(queue).ok();
    }
}

/// A connection, made when it is first needed and again after an error. Handlers that have all of
/// the pool's don't hold it up.
#[derive(Debug)]
struct Voice {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Voice {
    async fn nudge(&mut self, queues: &BTreeSet<Queue>) {
        let names: Vec<_> = queues.iter().map(|queue| queue.as_str()).collect();
        let sent = timeout(PATIENCE, self.notify(&names.join(","))).await;
        let sent = sent.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
        if let Err(error) = sent {
            tracing::debug!(%error, "a nudge was not sent; workers look by themselves");
        }
    }

    async fn notify(&mut self, queues: &str) -> sqlx::Result<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        queries::notify(&mut connection, NUDGE_CHANNEL, queues).await?;
        self.connection = Some(connection);
        Ok(())
    }
}
