//! Tells the database which users have a socket in this process: changes within milliseconds,
//! gathered into one transaction, and a sign of life every five seconds. One task does all the
//! telling, so that nothing is said after the end.

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
/// How long the end may take to be told; after that it is left to be noticed.
const ENDING: Duration = Duration::from_secs(5);
const BATCH: usize = 1000;

#[derive(Debug)]
pub(super) struct Presence(mpsc::UnboundedSender<Change>);

#[derive(Debug)]
enum Change {
    Came(UserId, oneshot::Sender<()>),
    Went(UserId),
    End(oneshot::Sender<()>),
}

impl Presence {
    pub(super) fn start(store: Store) -> Self {
        let (changes, receiver) = mpsc::unbounded_channel();
        tokio::spawn(keep(SocketProcess::new(store), receiver));
        Self(changes)
    }

    /// Counts a socket in; returns when others can see it, or after a while if the database is
    /// slow.
    pub(super) async fn came(&self, user_id: UserId) {
        let (done, reported) = oneshot::channel();
        self.0.send(Change::Came(user_id, done)).ok();
        tokio::time::timeout(PATIENCE, reported).await.ok();
    }

    /// Counts a socket out.
    pub(super) fn went(&self, user_id: UserId) {
        self.0.send(Change::Went(user_id)).ok();
    }

    /// Takes everybody of this process offline, for good.
    pub(super) async fn end(&self) {
        let (done, ended) = oneshot::channel();
        self.0.send(Change::End(done)).ok();
        tokio::time::timeout(ENDING, ended).await.ok();
    }
}

async fn keep(process: SocketProcess, mut changes: mpsc::UnboundedReceiver<Change>) {
    let mut sockets: HashMap<UserId, usize> = HashMap::new();
    // What the database was last told.
    let mut told: HashSet<UserId> = HashSet::new();
    // Where the two may differ.
    let mut unsettled: HashSet<UserId> = HashSet::new();
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
                    unsettled.insert(user_id);
                    waiting.push(done);
                }
                Change::Went(user_id) => {
                    if let Some(count) = sockets.get_mut(&user_id) {
                        *count -= 1;
                        if *count == 0 {
                            sockets.remove(&user_id);
                            unsettled.insert(user_id);
                        }
                    }
                }
                Change::End(done) => {
                    if let Err(error) = process.end().await {
                        tracing::warn!(%error, "the end of these sockets could not be told; it will be noticed");
                    }
                    done.send(()).ok();
                    return;
                }
            }
        }
        let (here, away): (Vec<_>, Vec<_>) = unsettled.iter().copied().partition(|id| sockets.contains_key(id));
        let came: Vec<_> = here.into_iter().filter(|id| !told.contains(id)).collect();
        let went: Vec<_> = away.into_iter().filter(|id| told.contains(id)).collect();
        match process.report(&came, &went, || sockets.keys().copied().collect()).await {
            Ok(()) => {
                unsettled.clear();
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
