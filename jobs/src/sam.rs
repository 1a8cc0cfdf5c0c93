//! Jobs about Sam, the concierge.

use serde::{Deserialize, Serialize};

use crate::{Job, Queue, id::RunId};

/// Answers a question to Sam.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunSam {
    /// The question.
    pub run_id: RunId,
}

impl Job for RunSam {
    const NAME: &'static str = "run_sam";
    const QUEUE: Queue = Queue::Model;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.run_id.to_string())
    }
}
