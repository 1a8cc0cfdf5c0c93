//! Tells the database which users have a socket in this process: changes within milliseconds,
//! gathered into one transaction, and a sign of life every five seconds.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use humanchat_domain::{Store, id::UserId, realtime::SocketProcess};
use tokio::sync::{mpsc, oneshot};

const HEARTBEAT: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(500);
/// How long a new socket waits to count as present before it goes on regardless.
const PATIENCE: Duration = Duration::from_secs(2);
const BATCH: usize = 1000;

#[derive(Debug)]
pub(super) struct Presence {
    changes: mpsc::UnboundedSender<Change>,
    process: SocketProcess,
}

#[derive(Debug)]
enum Change {
    Came(UserId, oneshot::Sender<()>),
    Went(UserId),
}

impl Presence {
    pub(super) fn start(store: Store) -> Self {
        let (changes, receiver) = mpsc::unbounded_channel();
        let process = SocketProcess::new(store);
        tokio::spawn(keep(process.clone(), receiver));
        Self { changes, process }
    }

    /// Counts a socket in; returns when others can see it, or after a while if the database is
    /// slow.
    pub(super) async fn came(&self, user_id: UserId) {
        let (done, reported) = oneshot::channel();
        self.changes.send(Change::Came(user_id, done)).ok();
        tokio::time::timeout(PATIENCE, reported).await.ok();
    }

    /// Counts a socket out.
    pub(super) fn went(&self, user_id: UserId) {
        self.changes.send(Change::Went(user_id)).ok();
    }

    /// Takes everybody of this process offline.
    pub(super) async fn end(&self) {
        if let Err(error) = self.process.end().await {
            tracing::warn!(%error, "the end of this process' sockets could not be told; it will be noticed");
        }
    }
}

async fn keep(process: SocketProcess, mut changes: mpsc::UnboundedReceiver<Change>) {
    let mut sockets: HashMap<UserId, usize> = HashMap::new();
    // What the database was last told.
    let mut told: HashSet<UserId> = HashSet::new();
    let mut waiting = Vec::new();
    let mut batch = Vec::with_capacity(BATCH);
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            count = changes.recv_many(&mut batch, BATCH) => if count == 0 { return },
        }
        for change in batch.drain(..) {
            match change {
                Change::Came(user_id, done) => {
                    *sockets.entry(user_id).or_default() += 1;
                    waiting.push(done);
                }
                Change::Went(user_id) => {
                    if let Some(count) = sockets.get_mut(&user_id) {
                        *count -= 1;
                        if *count == 0 {
                            sockets.remove(&user_id);
                        }
                    }
                }
            }
        }
        let came: Vec<_> = sockets.keys().filter(|id| !told.contains(id)).copied().collect();
        let went: Vec<_> = told.iter().filter(|id| !sockets.contains_key(id)).copied().collect();
        match process.report(&came, &went, || sockets.keys().copied().collect()).await {
            Ok(()) => {
                told.extend(came);
                for id in went {
                    told.remove(&id);
                }
                for done in waiting.drain(..) {
                    done.send(()).ok();
                }
                pause = HEARTBEAT;
            }
            Err(error) => {
                tracing::warn!(%error, "presence could not be told; trying again");
                pause = RETRY;
            }
        }
    }
}
