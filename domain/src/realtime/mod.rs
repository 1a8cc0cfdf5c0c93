//! What sockets stand on: who may listen, what was said since, and who is connected where.

mod queries;

use chrono::TimeDelta;
use uuid::Uuid;

use crate::{
    Store,
    bus::Frame,
    conversations,
    error::Result,
    event::{Channel, Event},
    id::UserId,
    users,
};

/// How long durable events are kept at least.
pub const KEPT: TimeDelta = TimeDelta::days(7);

/// Where a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The newest number; 0 before the first event.
    pub seq: i64,
    /// The oldest number that can still be replayed; `seq + 1` where there is none.
    pub oldest: i64,
}

/// Whether a user may listen to a channel.
///
/// # Errors
/// The database's.
pub async fn may_listen(store: &Store, user_id: UserId, channel: Channel) -> Result<bool> {
    match channel {
        Channel::Sessions(owner) | Channel::Notifications(owner) => Ok(owner == user_id),
        Channel::Status(other) => Ok(queries::user_exists(&store.pool, other).await?),
        Channel::Conversation(id) => Ok(conversations::queries::is_participant(&store.pool, id, user_id).await?),
    }
}

/// Where a channel stands now.
///
/// # Errors
/// The database's.
pub async fn head(store: &Store, channel: Channel) -> Result<Head> {
    Ok(queries::head(&store.pool, &channel.to_string()).await?)
}

/// The newest numbers of those channels that have any, by channel name.
///
/// # Errors
/// The database's.
pub async fn newest(store: &Store, channels: &[Channel]) -> Result<Vec<(Channel, i64)>> {
    let names: Vec<_> = channels.iter().map(ToString::to_string).collect();
    let rows = queries::newest(&store.pool, &names).await?;
    Ok(rows.into_iter().filter_map(|(name, seq)| Some((name.parse().ok()?, seq))).collect())
}

/// Stored events after a number, in order, at most `limit`.
///
/// # Errors
/// The database's.
pub async fn events_after(store: &Store, channel: Channel, seq: i64, limit: i64) -> Result<Vec<Frame>> {
    let rows = queries::events_after(&store.pool, &channel.to_string(), seq, limit).await?;
    rows.into_iter().map(|row| Frame::new(channel, Some(row.seq), &row.kind, &row.payload, row.created_at)).collect()
}

/// An api process as the holder of sockets.
#[derive(Debug, Clone)]
pub struct SocketProcess {
    id: Uuid,
    store: Store,
}

impl SocketProcess {
    /// A process that has not reported yet.
    pub fn new(store: Store) -> Self {
        Self { id: Uuid::now_v7(), store }
    }

    /// Says that the process lives, and which of its users came and went since the last report.
    /// Whoever changed in the eyes of others is announced. `everybody` is who is connected now: it
    /// is told anew when the process had been given up for dead.
    ///
    /// # Errors
    /// The database's; report the same again.
    pub async fn report(
        &self,
        came: &[UserId],
        went: &[UserId],
        everybody: impl FnOnce() -> Vec<UserId>,
    ) -> Result<()> {
        let mut tx = self.store.begin(None).await?;
        let mut came = came.to_vec();
        if queries::process_seen(tx.conn(), self.id).await? {
            came.extend(everybody());
        }
        let changed: Vec<_> = came.iter().chain(went).copied().collect();
        if !changed.is_empty() {
            let now = tx.now();
            // When two processes lose a user's last sockets at once, each sees the other's still
            // there, and nobody would tell that the user is gone.
            users::lock(&mut tx, &changed).await?;
            let before = queries::online(tx.conn(), &changed, now).await?;
            queries::add_sockets(tx.conn(), self.id, &came).await?;
            queries::remove_sockets(tx.conn(), self.id, went).await?;
            let after = queries::online(tx.conn(), &changed, now).await?;
            let differing: Vec<_> =
                changed.into_iter().filter(|id| before.contains(id) != after.contains(id)).collect();
            users::announce_status(&mut tx, &differing).await?;
        }
        tx.commit().await
    }

    /// Says that the process ends and all its sockets with it.
    ///
    /// # Errors
    /// The database's; then it is swept up later.
    pub async fn end(&self) -> Result<()> {
        forget(&self.store, Some(self.id)).await
    }
}

/// Takes people offline whose process died.
pub(crate) async fn sweep(store: &Store) -> Result<()> {
    forget(store, None).await
}

async fn forget(store: &Store, process: Option<Uuid>) -> Result<()> {
    let mut tx = store.begin(None).await?;
    let now = tx.now();
    let processes = queries::lock_processes(tx.conn(), process).await?;
    let gone = queries::people_of(tx.conn(), &processes).await?;
    users::lock(&mut tx, &gone).await?;
    queries::delete_processes(tx.conn(), &processes).await?;
    let still_online = queries::online(tx.conn(), &gone, now).await?;
    let offline: Vec<_> = gone.into_iter().filter(|id| !still_online.contains(id)).collect();
    users::announce_status(&mut tx, &offline).await?;
    tx.commit().await
}

impl Store {
    /// Passes on an event that isn't stored.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub(crate) fn ring(&self, channel: Channel, event: &Event) -> Result<()> {
        let (kind, payload) = crate::tx::split(event)?;
        self.bus.publish(Frame::new(channel, None, &kind, &payload, self.clock.now())?);
        Ok(())
    }
}
