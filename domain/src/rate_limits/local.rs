//! Limits counted in the process: as many at once as in a minute, then evenly.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    state::keyed::HashMapStateStore,
};

/// Beyond this many callers, those who have been quiet for long enough are forgotten.
const CROWD: usize = 10_000;

type Limiter = RateLimiter<String, HashMapStateStore<String>, MonotonicClock>;

/// One limit, for each caller.
#[derive(Debug)]
pub(super) struct LocalLimit(Limiter);

impl LocalLimit {
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        Self(RateLimiter::new(Quota::per_minute(per_minute), HashMapStateStore::default(), MonotonicClock))
    }

    /// Counts a request; says how long to wait, zero to go ahead.
    pub(super) fn take(&self, caller: &String) -> Duration {
        if self.0.len() > CROWD {
            self.0.retain_recent();
        }
        match self.0.check_key(caller) {
            Ok(()) => Duration::ZERO,
            Err(early) => early.wait_time_from(MonotonicClock.now()).max(Duration::from_millis(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_a_limit_of_their_own() {
        let limit = LocalLimit::new(NonZeroU32::new(3).unwrap());
        for _ in 0..3 {
            assert!(limit.take(&"a".to_owned()).is_zero());
        }
        let wait = limit.take(&"a".to_owned());
        assert!(wait > Duration::from_secs(15) && wait <= Duration::from_secs(20), "{wait:?}");
        assert!(limit.take(&"b".to_owned()).is_zero());
    }
}
