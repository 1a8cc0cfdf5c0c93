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
    let mut roll = Roll::default();
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
                    roll.came(user_id);
                    waiting.push(done);
                }
                Change::Went(user_id) => roll.went(user_id),
                Change::End(done) => {
                    if let Err(error) = process.end().await {
                        tracing::warn!(%error, "the end of these sockets could not be told; it will be noticed");
                    }
                    done.send(()).ok();
                    return;
                }
            }
        }
        let news = roll.news();
        match process.report(&news.came, &news.went, || roll.everybody()).await {
            Ok(()) => {
                roll.told(news);
                for done in waiting.drain(..) {
                    done.send(()).ok();
                }
                pause = HEARTBEAT;
            }
            Err(error) => {
                tracing::warn!(%error, "presence could not be told; trying again");
                roll.is_doubtful = true;
                pause = RETRY;
            }
        }
    }
}

/// Who is here, and what of it the database was told.
#[derive(Debug, Default)]
struct Roll {
    sockets: HashMap<UserId, usize>,
    /// Who is here as far as the database was last told.
    told: HashSet<UserId>,
    /// Where the two may differ.
    unsettled: HashSet<UserId>,
    /// The last report failed, which it may have done after its commit: nobody knows what the database knows of those
    /// who are unsettled. To be told again does no harm.
    is_doubtful: bool,
}

/// Who came and went since the last report.
#[derive(Debug, PartialEq, Eq)]
struct News {
    came: Vec<UserId>,
    went: Vec<UserId>,
}

impl Roll {
    fn came(&mut self, user_id: UserId) {
        *self.sockets.entry(user_id).or_default() += 1;
        self.unsettled.insert(user_id);
    }

    fn went(&mut self, user_id: UserId) {
        if let Some(count) = self.sockets.get_mut(&user_id) {
            *count -= 1;
            if *count == 0 {
                self.sockets.remove(&user_id);
                self.unsettled.insert(user_id);
            }
        }
    }

    fn everybody(&self) -> Vec<UserId> {
        self.sockets.keys().copied().collect()
    }

    fn news(&self) -> News {
        let is_news = |id: &UserId| self.is_doubtful || self.told.contains(id) != self.sockets.contains_key(id);
        let news = self.unsettled.iter().copied().filter(is_news);
        let (came, went) = news.partition(|id| self.sockets.contains_key(id));
        News { came, went }
    }

    /// Notes that a report of this held.
    fn told(&mut self, News { came, went }: News) {
        self.unsettled.clear();
        self.is_doubtful = false;
        self.told.extend(came);
        for id in went {
            self.told.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_report_said_is_told_again_however_things_stand_by_then() {
        let (ada, ben) = (UserId::new(), UserId::new());
        let mut roll = Roll::default();
        roll.came(ada);
        assert_eq!(roll.news(), News { came: vec![ada], went: vec![] });
        // The commit may have held. She leaves before anybody knows.
        roll.is_doubtful = true;
        roll.went(ada);
        let news = roll.news();
        assert_eq!(news, News { came: vec![], went: vec![ada] });
        roll.told(news);

        // The other way round.
        roll.came(ben);
        roll.told(roll.news());
        roll.went(ben);
        assert_eq!(roll.news(), News { came: vec![], went: vec![ben] });
        roll.is_doubtful = true;
        roll.came(ben);
        let news = roll.news();
        assert_eq!(news, News { came: vec![ben], went: vec![] });
        roll.told(news);
        assert_eq!(roll.news(), News { came: vec![], went: vec![] }, "it is settled");
    }

    #[test]
    fn who_comes_and_goes_between_two_reports_is_no_news() {
        let (ada, ben) = (UserId::new(), UserId::new());
        let mut roll = Roll::default();
        roll.came(ada);
        roll.told(roll.news());
        roll.came(ada);
        roll.went(ada);
        roll.came(ben);
        roll.went(ben);
        assert_eq!(roll.news(), News { came: vec![], went: vec![] });
        assert_eq!(roll.everybody(), [ada]);
    }
}
