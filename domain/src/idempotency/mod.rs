//! `Idempotency-Key`: the first reply again, instead of a second deed.
//!
//! The reply is written in the transaction of the deed, so a crash leaves both or neither. An
//! advisory lock, which dies with its connection, says that the first request still runs.

mod queries;

use crate::{
    Store,
    error::{Error, Refusal, Result},
    id::UserId,
    tx::Tx,
};

/// A request that names itself.
#[derive(Debug, Clone)]
pub struct Key {
    /// Who asks.
    pub user_id: UserId,
    /// Method and path, ids and all.
    pub route: String,
    /// The header's value, 1–255 printable ASCII characters.
    pub key: String,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
}

/// A reply that was or will be remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200–499.
    pub status: u16,
    /// The body, byte for byte.
    pub body: String,
}

/// How a request with a key begins.
#[derive(Debug)]
pub enum Begun {
    /// It is the first: do it in this unit of work, then [`remember`].
    First(Tx),
    /// It has been answered: answer the same.
    Again(Reply),
}

/// Begins a request that names itself.
///
/// # Errors
/// `IdempotencyInFlight`, `IdempotencyKeyReused`.
pub async fn begin(store: &Store, request_id: Option<String>, key: &Key) -> Result<Begun> {
    let mut tx = store.begin(request_id).await?;
    if !queries::lock(tx.conn(), key).await? {
        return Err(Refusal::IdempotencyInFlight.into());
    }
    match queries::find(tx.conn(), key).await? {
        Some((hash, _)) if hash != key.body_hash => Err(Refusal::IdempotencyKeyReused.into()),
        Some((_, reply)) => Ok(Begun::Again(reply)),
        None => {
            tx.begin_part().await?;
            Ok(Begun::First(tx))
        }
    }
}

/// Remembers the reply and commits it with the deed.
///
/// # Errors
/// The database's.
pub async fn remember(mut tx: Tx, key: &Key, reply: &Reply) -> Result<()> {
    let status = i16::try_from(reply.status).map_err(|_| Error::Internal("a status is out of range"))?;
    let now = tx.now();
    queries::insert(tx.conn(), key, status, &reply.body, now).await?;
    tx.commit().await
}

/// Takes back what the refused deed had written, and remembers the refusal alone.
///
/// # Errors
/// The database's.
pub async fn remember_refusal(mut tx: Tx, key: &Key, reply: &Reply) -> Result<()> {
    tx.undo_part().await?;
    remember(tx, key, reply).await
}

/// Deletes replies older than a day.
pub(crate) async fn prune(store: &Store) -> Result<()> {
    Ok(queries::prune(&store.pool, store.clock.now()).await?)
}
