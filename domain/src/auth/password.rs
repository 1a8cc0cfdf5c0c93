//! Passwords: argon2id, on threads of their own, a few at a time.

use std::{sync::LazyLock, thread, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::error::{Error, Refusal, Result};

/// What an unknown address is checked against, so that it takes as long as a known one. Made with
/// the same parameters; nobody knows its password.
static DUMMY: LazyLock<Option<String>> = LazyLock::new(|| hash_now(&rand::random::<[u8; 32]>()).ok());

/// A hash takes some 50 ms of a core: more at once than cores would only starve the rest.
static CORES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(thread::available_parallelism().map_or(2, std::num::NonZero::get)));

/// How long a password may wait for its turn. Whoever waits longer gives up and asks again, and would then be
/// waited for twice: a crowd would keep itself out for ever.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

async fn on_a_core<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let turn = timeout(LONGEST_WAIT, CORES.acquire()).await;
    let turn = turn.map_err(|_| Refusal::Unavailable("too many people sign in right now"))?;
    let _permit = turn.map_err(|_| Error::Internal("the password threads are gone"))?;
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Internal("a password thread panicked"))
}

fn hash_now(password: &[u8]) -> Result<String> {
    let hash =
        Argon2::default().hash_password(password).map_err(|_| Error::Internal("a password could not be hashed"))?;
    Ok(hash.to_string())
}

/// Hashes a password into a PHC string.
pub(super) async fn hash(password: String) -> Result<String> {
    on_a_core(move || hash_now(password.as_bytes())).await?
}

/// Whether the password belongs to the hash; without a hash it takes as long and says no.
pub(super) async fn verify(password: String, hash: Option<String>) -> Result<bool> {
    on_a_core(move || {
        let known = hash.is_some();
        let Some(hash) = hash.or_else(|| DUMMY.clone()) else { return false };
        let Ok(parsed) = PasswordHash::new(&hash) else { return false };
        Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known
    })
    .await
}

/// Makes the first sign-in with an unknown address as quick as the later ones.
pub(super) fn warm_up() {
    LazyLock::force(&DUMMY);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_crowd_is_told_to_come_back_instead_of_waiting_for_ever() {
        let cores = u32::try_from(CORES.available_permits()).unwrap();
        let busy = CORES.acquire_many(cores).await.unwrap();
        let refused = verify("correct horse".to_owned(), None).await.unwrap_err();
        assert!(matches!(refused, Error::Refused(Refusal::Unavailable(_))), "{refused:?}");
        drop(busy);
        assert!(!verify("correct horse".to_owned(), None).await.unwrap());
    }
}
