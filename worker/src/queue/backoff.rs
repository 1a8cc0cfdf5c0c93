//! How long to wait before trying again.

use std::time::Duration;

use chrono::TimeDelta;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(10);
/// Longer than anybody means, and far from the end of time.
const FOREVER: TimeDelta = TimeDelta::days(3650);

/// The pause after the `attempt`th failure: 1 s doubled each time, 10 min at most; half of it fixed
/// and half by chance, so that what failed together doesn't come back together.
pub fn retry_after(attempt: i16) -> TimeDelta {
    let doublings = u32::from(attempt.unsigned_abs().saturating_sub(1)).min(16);
    let full = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    delta(full.mul_f64(rand::random_range(0.5..=1.0)))
}

/// A duration as the calendar counts, cut off at ten years.
pub(crate) fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).map_or(FOREVER, |delta| delta.min(FOREVER))
}

/// Grows while the database is away.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    failures: u32,
}

impl Outage {
    /// Notes another failure. Returns how long to wait: 50 ms doubled each time, 1 s at most.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = Duration::from_millis(50) * (1 << self.failures.min(5));
        self.failures += 1;
        pause.min(Duration::from_secs(1))
    }

    pub(crate) fn over(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use humanchat_jobs::{Job as _, auth::SendMagicLink};

    use super::*;

    #[test]
    fn pauses_double_with_jitter_and_have_an_end() {
        for (attempt, full_secs) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 512), (11, 600), (i16::MAX, 600)] {
            let full = TimeDelta::seconds(full_secs);
            for _ in 0..100 {
                let pause = retry_after(attempt);
                assert!(full / 2 <= pause && pause <= full, "attempt {attempt}: {pause}");
            }
        }
    }

    #[test]
    fn a_sign_in_link_runs_out_before_its_job_is_parked() {
        for _ in 0..100 {
            let pauses: TimeDelta = (1..SendMagicLink::MAX_ATTEMPTS).map(retry_after).sum();
            assert!(pauses > TimeDelta::minutes(15), "{pauses}");
        }
    }

    #[test]
    fn any_duration_can_be_added_to_a_date() {
        assert_eq!(delta(Duration::MAX), FOREVER);
        assert_eq!(delta(Duration::from_millis(1)), TimeDelta::milliseconds(1));
    }

    #[test]
    fn an_outage_is_probed_at_least_once_a_second() {
        let mut outage = Outage::default();
        let pauses: Vec<_> = (0..40).map(|_| outage.pause().as_millis()).collect();
        assert_eq!(pauses[..6], [50, 100, 200, 400, 800, 1000]);
        assert_eq!(pauses[39], 1000);
    }
}
