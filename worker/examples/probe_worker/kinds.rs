//! Kinds of jobs that behave well or badly on purpose, for the probe worker and the tests that use it.

use std::time::Duration;

use humanchat_jobs::{Job, OnDuplicate, Queue, WhenSpent};
use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $kind:literal in $queue:ident
       { $($field:ident: $type:ty),* } $({ $($rest:tt)* })?)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type,)*
        }

        impl Job for $name {
            const NAME: &'static str = $kind;
            const QUEUE: Queue = Queue::$queue;
            $($($rest)*)?
        }
    )*};
}

kinds! {
    /// Does nothing at all.
    Nothing = "probe_nothing" in Default {}
    /// Records its run.
    Record = "probe_record" in Default { number: i64 }
    /// The same, in another queue.
    RecordMail = "probe_record_mail" in Mail { number: i64 }
    /// The same, before others.
    RecordUrgent = "probe_record_urgent" in Default { number: i64 } { const PRIORITY: i16 = -5; }
    /// Records its begin and its end.
    Sleep = "probe_sleep" in Default { millis: u64 }
    /// Doesn't yield until its end.
    Block = "probe_block" in Default { millis: u64 }
    /// At most two of these at once, over all workers.
    Limited = "probe_limited" in Default { millis: u64 } { const GLOBAL_CONCURRENCY: Option<u32> = Some(2); }
    /// Takes longer than it may.
    Overtime = "probe_overtime" in Default {} {
        const TIMEOUT: Duration = Duration::from_millis(100);
        const MAX_ATTEMPTS: i16 = 2;
    }
    /// Panics.
    Panic = "probe_panic" in Default {}
    /// Aborts the process.
    Abort = "probe_abort" in Default {}
    /// Gets the process killed, as the kernel does when memory runs out.
    OutOfMemory = "probe_out_of_memory" in Default {}
    /// Fails so many times.
    Fail = "probe_fail" in Default { times: i16 } { const MAX_ATTEMPTS: i16 = 3; }
    /// Fails, and doesn't matter.
    FailingChore = "probe_failing_chore" in Maintenance {} {
        const MAX_ATTEMPTS: i16 = 2;
        const WHEN_SPENT: WhenSpent = WhenSpent::Cancel;
    }
    /// Fails for good.
    GiveUp = "probe_give_up" in Default {}
    /// Snoozes so often, so long.
    Snooze = "probe_snooze" in Default { times: i64, millis: u64 } { const MAX_ATTEMPTS: i16 = 1; }
    /// One may wait, and one more while it runs.
    Keyed = "probe_keyed" in Default { key: String, millis: u64, fail: bool } {
        fn dedupe_key(&self) -> Option<String> { Some(self.key.clone()) }
    }
    /// One waits, and the last due time holds.
    Rescheduled = "probe_rescheduled" in Default { key: String } {
        const ON_DUPLICATE: OnDuplicate = OnDuplicate::ReplaceDueTime;
        fn dedupe_key(&self) -> Option<String> { Some(self.key.clone()) }
    }
    /// Asked for by the clock.
    Tick = "probe_tick" in Maintenance {}
}
