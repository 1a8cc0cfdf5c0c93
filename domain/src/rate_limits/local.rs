//! Limits counted in the process, by the same rule as in Redis (`take.lua`).

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::WINDOW;

/// One limit, for each caller.
#[derive(Debug)]
pub(super) struct LocalLimit {
    count: usize,
    callers: Mutex<Callers>,
}

/// When the newest requests of each caller were let through, oldest first.
#[derive(Debug)]
struct Callers {
    passed: HashMap<String, VecDeque<Instant>>,
    swept: Instant,
}

impl LocalLimit {
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        let callers = Callers { passed: HashMap::new(), swept: Instant::now() };
        Self { count: usize::try_from(per_minute.get()).unwrap_or(usize::MAX), callers: Mutex::new(callers) }
    }

    /// Counts a request; says how long to wait, zero to go ahead.
    pub(super) fn take(&self, caller: &str, now: Instant) -> Duration {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.sweep(now);
        let passed = callers.passed.entry(caller.to_owned()).or_default();
        while passed.front().is_some_and(|first| is_over(*first, now)) {
            passed.pop_front();
        }
        match passed.front() {
            Some(first) if passed.len() >= self.count => *first + WINDOW - now,
            _ => {
                passed.push_back(now);
                Duration::ZERO
            }
        }
    }
}

impl Callers {
    /// Forgets, once a minute, those who have been quiet for one: a crowd that never comes again isn't kept.
    fn sweep(&mut self, now: Instant) {
        if is_over(self.swept, now) {
            self.passed.retain(|_, passed| passed.back().is_some_and(|last| !is_over(*last, now)));
            self.swept = now;
        }
    }
}

fn is_over(begun: Instant, now: Instant) -> bool {
    now.saturating_duration_since(begun) >= WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(count: u32) -> LocalLimit {
        LocalLimit::new(NonZeroU32::new(count).unwrap())
    }

    #[test]
    fn each_caller_has_a_limit_of_their_own() {
        let (limit, start) = (limit(3), Instant::now());
        for seconds in [0, 20, 40] {
            assert!(limit.take("a", start + Duration::from_secs(seconds)).is_zero());
        }
        assert_eq!(limit.take("a", start + Duration::from_secs(59)), Duration::from_secs(1));
        assert!(limit.take("b", start + Duration::from_secs(59)).is_zero());
        assert!(limit.take("a", start + WINDOW).is_zero(), "who waits as long as was said gets through");
        assert_eq!(limit.take("a", start + WINDOW), Duration::from_secs(20));
    }

    #[test]
    fn in_any_minute_no_more_than_the_limit_pass() {
        let (limit, start) = (limit(10), Instant::now());
        let moments = (0..1800).map(|tenths| start + Duration::from_millis(100 * tenths));
        let passed: Vec<_> = moments.filter(|now| limit.take("a", *now).is_zero()).collect();
        assert_eq!(passed.len(), 30, "three minutes of trying");
        for eleven in passed.windows(11) {
            assert!(eleven[10] - eleven[0] >= WINDOW);
        }
    }

    #[test]
    fn who_has_been_quiet_for_a_minute_is_forgotten() {
        let (limit, start) = (limit(10), Instant::now());
        for number in 0..1000 {
            limit.take(&number.to_string(), start);
        }
        limit.take("late", start + Duration::from_secs(30));
        limit.take("later", start + WINDOW);
        assert_eq!(limit.callers.lock().unwrap().passed.len(), 2);
    }
}
