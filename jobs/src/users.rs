//! Jobs about people.

use serde::{Deserialize, Serialize};

use crate::{Job, OnDuplicate, Queue, id::UserId};

/// Tells listeners that somebody who said "I'm here" over HTTP, without a socket, has gone quiet.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndPresence {
    /// The person.
    pub user_id: UserId,
}

impl Job for EndPresence {
    const NAME: &'static str = "end_presence";
    const QUEUE: Queue = Queue::Default;
    const ON_DUPLICATE: OnDuplicate = OnDuplicate::ReplaceDueTime;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.user_id.to_string())
    }
}
