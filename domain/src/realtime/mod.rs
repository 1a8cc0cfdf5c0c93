//! What sockets stand on: who may listen, what was said since, and who is connected where.

mod queries;

use std::collections::HashMap;

use chrono::TimeDelta;
use uuid::Uuid;

use crate::{
    Store,
    bus::Frame,
    error::Result,
    event::{Channel, Event},
    id::{ConversationId, UserId},
    users::{self, Status},
};

/// How long durable events are kept at least.
pub const KEPT: TimeDelta = TimeDelta::days(7);

/// Somebody who asks to listen to a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Wish {
    /// Who.
    pub user_id: UserId,
    /// To what.
    pub channel: Channel,
    /// The newest number they have; `None` for no replay.
    pub after: Option<i64>,
}

/// Where a channel stands for somebody who may listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The newest number; 0 before the first event.
    pub seq: i64,
    /// Whether everything past `after` can be replayed.
    pub recovered: bool,
}

/// Where channels stand, in one query. Wishes of those who may not listen, and those for a
/// [`Channel::Status`], which has no numbers, are left out.
///
/// # Errors
/// The database's.
pub async fn standings(store: &Store, wishes: &[Wish]) -> Result<HashMap<Wish, Standing>> {
    let mut asked = queries::Asked::default();
    let mut kept = Vec::with_capacity(wishes.len());
    for wish in wishes {
        let conversation = match wish.channel {
            Channel::Conversation(id) => Some(id.0),
            Channel::Sessions(owner) | Channel::Notifications(owner) if owner == wish.user_id => None,
            Channel::Sessions(_) | Channel::Notifications(_) | Channel::Status(_) => continue,
        };
        asked.push(wish.channel.to_string(), conversation, wish.user_id.0, wish.after);
        kept.push(*wish);
    }
    let rows = queries::standings(&store.pool, &asked).await?;
    Ok(kept.into_iter().zip(rows).filter_map(|(wish, standing)| Some((wish, standing?))).collect())
}

/// Which of these people take no part in their conversation.
///
/// # Errors
/// The database's.
pub async fn strangers(store: &Store, listeners: &[(UserId, ConversationId)]) -> Result<Vec<(UserId, ConversationId)>> {
    if listeners.is_empty() {
        return Ok(Vec::new());
    }
    Ok(queries::strangers(&store.pool, listeners).await?)
}

/// Where people stand now, and the frames that say so. Who doesn't exist is left out.
///
/// # Errors
/// The database's.
pub async fn statuses(store: &Store, ids: &[UserId]) -> Result<Vec<(Status, Frame)>> {
    let statuses = users::statuses(store, ids).await?;
    let frame =
        |status: &Status| passing(store, Channel::Status(status.user_id), &Event::StatusChanged(status.clone()), None);
    statuses.into_iter().map(|status| frame(&status).map(|frame| (status, frame))).collect()
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

/// Some of a channel's events.
#[derive(Debug)]
pub struct Events {
    /// In order.
    pub frames: Vec<Frame>,
    /// There are more after these.
    pub more: bool,
}

/// Stored events after a number: as many as fit into `bytes`, and at least one where there is one.
///
/// # Errors
/// The database's.
pub async fn events_after(store: &Store, channel: Channel, seq: i64, bytes: i64) -> Result<Events> {
    const MOST: i64 = 100;
    let rows = queries::events_after(&store.pool, &channel.to_string(), seq, MOST, bytes).await?;
    let found = rows.len();
    let mut frames = Vec::with_capacity(found);
    for row in rows {
        // What doesn't fit has none.
        let Some(payload) = row.payload else { continue };
        frames.push(Frame::new(channel, Some(row.seq), &row.kind, &payload, row.created_at)?);
    }
    let more = frames.len() < found || found == usize::try_from(MOST).unwrap_or(usize::MAX);
    Ok(Events { frames, more })
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
            queries::add_sockets(tx.conn(), self.id, &came, now).await?;
            queries::remove_sockets(tx.conn(), self.id, went).await?;
            queries::close_presences(tx.conn(), went, now).await?;
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
    let silent = queries::lock_processes(tx.conn(), process).await?;
    let processes: Vec<_> = silent.iter().map(|process| process.id).collect();
    let gone = queries::people_of(tx.conn(), &processes).await?;
    users::lock(&mut tx, &gone).await?;
    queries::delete_processes(tx.conn(), &processes).await?;
    // People were there as long as their process was, which is over since it was last heard of.
    let silence = silent.iter().map(|process| process.silent_millis).min().filter(|_| process.is_none());
    queries::close_presences(tx.conn(), &gone, now - TimeDelta::milliseconds(silence.unwrap_or(0))).await?;
    let still_online = queries::online(tx.conn(), &gone, now).await?;
    let offline: Vec<_> = gone.into_iter().filter(|id| !still_online.contains(id)).collect();
    users::announce_status(&mut tx, &offline).await?;
    tx.commit().await
}

/// Deletes at most so many rows of people's coming and going two days ago and longer. Says how many.
pub(crate) async fn prune_presences(store: &Store, limit: i64) -> Result<u64> {
    Ok(queries::prune_presences(&store.pool, store.clock.now() - TimeDelta::days(2), limit).await?)
}

/// An event that isn't stored. `from`'s own sockets are not told.
fn passing(store: &Store, channel: Channel, event: &Event, from: Option<UserId>) -> Result<Frame> {
    let (kind, payload) = crate::tx::split(event)?;
    let frame = Frame::new(channel, None, &kind, &payload, store.clock.now())?;
    Ok(Frame { from, ..frame })
}

impl Store {
    /// Passes on an event that isn't stored to everybody but `from`.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub(crate) fn ring(&self, channel: Channel, event: &Event, from: Option<UserId>) -> Result<()> {
        self.bus.publish(passing(self, channel, event, from)?);
        Ok(())
    }
}
