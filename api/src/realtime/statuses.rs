//! Where people stand, for whoever listens to that.
//!
//! A bell only says whom to look at; where they stand is read from the database, by one task for
//! the whole process, one query after the other. So the last word is the newest, however bells
//! overtake each other, and the same word isn't said twice.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use humanchat_domain::{event::Channel, id::UserId, realtime};
use tokio::sync::{mpsc, oneshot};

use super::Hub;
use crate::batch::Unreadable;

/// People looked at by one query.
const BATCH: usize = 1000;
/// How long to wait for a database that fails before looking again.
const RETRY: Duration = Duration::from_millis(500);

/// Somebody to look at, and who waits for it.
type Look = (UserId, Option<oneshot::Sender<bool>>);

#[derive(Debug)]
pub(super) struct Statuses(mpsc::UnboundedSender<Look>);

impl Statuses {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Look>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Somebody may stand differently now.
    pub(super) fn look(&self, user_id: UserId) {
        self.0.send((user_id, None)).ok();
    }

    /// Lets a topic know where somebody stands; false where nobody of that id exists.
    pub(super) async fn learn(&self, user_id: UserId) -> Result<bool, Unreadable> {
        let (done, learned) = oneshot::channel();
        self.0.send((user_id, Some(done))).map_err(|_| Unreadable)?;
        learned.await.map_err(|_| Unreadable)
    }
}

/// Looks at people until the process ends.
pub(super) async fn keep(hub: Hub, mut wanted: mpsc::UnboundedReceiver<Look>) {
    let mut looks = Vec::with_capacity(BATCH);
    // Those whom the database failed to tell about.
    let mut owed: HashSet<UserId> = HashSet::new();
    loop {
        if owed.is_empty() {
            if wanted.recv_many(&mut looks, BATCH).await == 0 {
                return;
            }
        } else {
            tokio::time::sleep(RETRY).await;
            while let Ok(look) = wanted.try_recv() {
                looks.push(look);
            }
        }
        let mut waiting: HashMap<UserId, Vec<oneshot::Sender<bool>>> = HashMap::new();
        for (user_id, done) in looks.drain(..) {
            owed.insert(user_id);
            waiting.entry(user_id).or_default().extend(done);
        }
        // Whoever has no listeners any more is nobody's concern.
        owed.retain(|user_id| hub.topic(Channel::Status(*user_id)).is_some());
        if owed.is_empty() {
            continue;
        }
        let ids: Vec<_> = owed.iter().copied().collect();
        match realtime::statuses(hub.store(), &ids).await {
            Ok(found) => {
                for (status, frame) in found {
                    let user_id = status.user_id;
                    if let (Some(topic), Ok(text)) =
                        (hub.topic(Channel::Status(user_id)), Utf8Bytes::try_from(frame.json))
                    {
                        topic.learn(status, text);
                    }
                    for done in waiting.remove(&user_id).unwrap_or_default() {
                        done.send(true).ok();
                    }
                }
                for done in waiting.into_values().flatten() {
                    done.send(false).ok();
                }
                owed.clear();
            }
            Err(error) => tracing::warn!(%error, "where people stand could not be read; trying again"),
        }
    }
}
