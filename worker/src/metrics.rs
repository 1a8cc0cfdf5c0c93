//! What a worker measures: how long jobs waited and took, and how they ended.

use std::time::Duration;

use chrono::TimeDelta;
use humanchat_jobs::Queue;
use metrics::{describe_histogram, histogram};

use crate::queue::claim::Verdict;

const DURATION: &str = "humanchat_job_duration_seconds";
const WAIT: &str = "humanchat_job_wait_seconds";

/// Says to the recorder what is measured here.
pub(crate) fn describe() {
    describe_histogram!(DURATION, "How long a run of a job took, by kind and outcome");
    describe_histogram!(WAIT, "How long due jobs waited for their run, by queue");
}

/// A job of this queue begins so long after it was due.
pub(crate) fn waited(queue: Queue, since_due: TimeDelta) {
    histogram!(WAIT, "queue" => queue.as_str()).record(since_due.to_std().unwrap_or(Duration::ZERO));
}

/// A run of a job has ended.
pub(crate) fn ended(kind: &'static str, verdict: &Verdict, took: Duration) {
    let outcome = match verdict {
        Verdict::Done => "done",
        Verdict::Retry(_) => "failed",
        Verdict::GiveUp(_) => "gave_up",
        Verdict::Snooze(_) => "snoozed",
        Verdict::Lost => "lost",
    };
    histogram!(DURATION, "kind" => kind, "outcome" => outcome).record(took);
}
