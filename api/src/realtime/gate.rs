//! The gate between sockets and the database: how many are opened at a time, who waits for it and
//! how long, and how many connections all sockets together take.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::SocketLimits;
use crate::edge::error::ApiError;

/// When those who are turned away are told to come back: not all at once.
const COME_BACK_SECS: std::ops::RangeInclusive<u32> = 2..=12;

#[derive(Debug)]
pub(super) struct Gate {
    longest_wait: Duration,
    openings: Arc<Semaphore>,
    line: Semaphore,
    turns: Semaphore,
}

/// A socket that is being opened; dropped once it is open.
#[derive(Debug)]
pub(super) struct Admission(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Gate {
    /// A gate to a pool of so many connections: half of them are left to requests.
    pub(super) fn new(pool: u32, limits: SocketLimits) -> Self {
        let turns = usize::try_from(pool / 2).unwrap_or(1).max(1);
        Self {
            longest_wait: limits.longest_wait,
            openings: Arc::new(Semaphore::new(limits.opening)),
            line: Semaphore::new(limits.line),
            turns: Semaphore::new(turns),
        }
    }

    /// Waits until a socket may be opened.
    ///
    /// # Errors
    /// `service_unavailable` for those who would wait too long.
    pub(super) async fn admit(&self) -> Result<Admission, ApiError> {
        let admitted = async {
            let _place = self.line.try_acquire().ok()?;
            let opening = Arc::clone(&self.openings).acquire_owned();
            tokio::time::timeout(self.longest_wait, opening).await.ok()?.ok()
        };
        admitted.await.map(Admission).ok_or_else(|| {
            ApiError::unavailable_for("too many sockets are being opened right now", rand::random_range(COME_BACK_SECS))
        })
    }

    /// Waits for one of the sockets' connections to the database, first come, first served. `None`
    /// never happens: the turns have no end.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Instant};

    use futures_util::{future::join_all, poll};

    use super::*;

    fn small(longest_wait: Duration) -> Gate {
        Gate::new(2, SocketLimits { opening: 2, line: 30, longest_wait, ..SocketLimits::default() })
    }

    #[tokio::test]
    async fn who_would_wait_too_long_is_told_when_to_come_back() {
        let longest_wait = Duration::from_millis(50);
        let gate = small(longest_wait);
        let _opening = join_all([gate.admit(), gate.admit()]).await;
        let began = Instant::now();
        let mut waits = HashSet::new();
        for refused in join_all((0..30).map(|_| gate.admit())).await {
            let Err(refused) = refused else { panic!("nobody had left") };
            assert_eq!(refused.code(), "service_unavailable");
            waits.insert(refused.retry_after_secs());
        }
        assert!(began.elapsed() >= longest_wait);
        assert!(waits.len() > 3, "they don't come back together: {waits:?}");
    }

    #[tokio::test]
    async fn nobody_waits_beyond_the_line_and_the_others_are_let_in_as_they_came() {
        let gate = small(Duration::from_secs(10));
        let opening = join_all([gate.admit(), gate.admit()]).await;
        let mut line: Vec<_> = (0..30).map(|_| Box::pin(gate.admit())).collect();
        for waiting in &mut line {
            assert!(poll!(waiting).is_pending());
        }
        let began = Instant::now();
        assert!(gate.admit().await.is_err());
        assert!(began.elapsed() < Duration::from_secs(1), "at once");
        drop(opening);
        for waiting in &mut line[2..] {
            assert!(poll!(waiting).is_pending(), "two came before");
        }
        for waiting in line {
            waiting.await.unwrap();
        }
    }
}
