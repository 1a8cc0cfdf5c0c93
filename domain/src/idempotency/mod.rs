//! `Idempotency-Key`: the first reply again, instead of a second deed.
//!
//! The reply is written in the transaction of the deed, so a crash leaves both or neither. An
//! advisory lock, which dies with its connection, says that the first request still runs.
//!
//! A deed that asks a provider has two steps. The first is written with the key ([`halve`]), so that
//! a repetition goes on with what it made instead of making another; the reply follows ([`finish`]).
//! Between them no transaction is open, and a time says for how long the request has the deed for
//! itself.

mod queries;

use chrono::TimeDelta;
use uuid::Uuid;

use crate::{
    Store,
    error::{Error, Refusal, Result},
    id::UserId,
    tx::{Part, Tx},
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

/// How long a request may be at the second step of a deed before another takes over: longer than a
/// provider is waited for.
const AT_WORK: TimeDelta = TimeDelta::seconds(20);

/// How a request with a key begins.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
#[derive(Debug)]
pub enum Begun {
    /// It is the first: do it in this unit of work, then [`remember`].
    First(Tx, Claim),
    /// It has been answered: answer the same.
    Again(Reply),
    /// Its first step was done, and made this: go on with the second, then [`finish`].
    Halfway(Key, Uuid),
}

/// A key whose first request is this one, and where its deed began.
#[derive(Debug)]
pub struct Claim {
    key: Key,
    start: Part,
}

/// Begins a request that names itself.
///
/// # Errors
/// `IdempotencyInFlight`, `IdempotencyKeyReused`.
pub async fn begin(store: &Store, request_id: Option<String>, key: Key) -> Result<Begun> {
    let mut tx = store.begin(request_id).await?;
    if !queries::lock(tx.conn(), &key).await? {
        return Err(Refusal::IdempotencyInFlight.into());
    }
    match queries::find(tx.conn(), &key).await? {
        Some((hash, _)) if hash != key.body_hash => Err(Refusal::IdempotencyKeyReused.into()),
        Some((_, Some(reply))) => {
            // At once, and with it the lock: who asks a third time isn't told that this still runs.
            tx.commit().await?;
            Ok(Begun::Again(reply))
        }
        Some((_, None)) => {
            let now = tx.now();
            let deed = queries::take_over(tx.conn(), &key, now, now + AT_WORK).await?;
            tx.commit().await?;
            Ok(Begun::Halfway(key, deed.ok_or(Refusal::IdempotencyInFlight)?))
        }
        None => {
            let start = tx.begin_part().await?;
            Ok(Begun::First(tx, Claim { key, start }))
        }
    }
}

/// Commits the first step of a deed, and what it made, under the key, which it gives back for the second.
///
/// # Errors
/// The database's.
pub async fn halve(mut tx: Tx, claim: Claim, deed: Uuid) -> Result<Key> {
    let now = tx.now();
    queries::insert_half(tx.conn(), &claim.key, deed, now, now + AT_WORK).await?;
    tx.commit().await?;
    Ok(claim.key)
}

/// Remembers the reply that the second step came to.
///
/// # Errors
/// The database's.
pub async fn finish(store: &Store, key: &Key, reply: &Reply) -> Result<()> {
    Ok(queries::finish(&store.pool, key, status(reply)?, &reply.body).await?)
}

/// Leaves the second step to whoever comes next.
///
/// # Errors
/// The database's.
pub async fn let_go(store: &Store, key: &Key) -> Result<()> {
    Ok(queries::let_go(&store.pool, key, store.clock.now()).await?)
}

fn status(reply: &Reply) -> Result<i16> {
    i16::try_from(reply.status).map_err(|_| Error::Internal("a status is out of range"))
}

/// Remembers the reply and commits it with the deed.
///
/// # Errors
/// The database's.
pub async fn remember(tx: Tx, claim: Claim, reply: &Reply) -> Result<()> {
    insert(tx, &claim.key, reply).await
}

async fn insert(mut tx: Tx, key: &Key, reply: &Reply) -> Result<()> {
    let (status, now) = (status(reply)?, tx.now());
    queries::insert(tx.conn(), key, status, &reply.body, now).await?;
    tx.commit().await
}

/// Takes back what the refused deed had written, and remembers the refusal alone.
///
/// # Errors
/// The database's.
pub async fn remember_refusal(mut tx: Tx, claim: Claim, reply: &Reply) -> Result<()> {
    tx.undo_part(claim.start).await?;
    insert(tx, &claim.key, reply).await
}

/// Deletes at most so many replies older than a day. Says how many.
pub(crate) async fn prune(store: &Store, limit: i64) -> Result<u64> {
    Ok(queries::prune(&store.pool, store.clock.now(), limit).await?)
}
