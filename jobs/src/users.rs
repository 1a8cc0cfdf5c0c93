//! Jobs about people.

use std::time::Duration;

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

/// Removes the bulk of what somebody left behind who closed their account; comes once more when nothing of
/// theirs can be under way.
#[derive(Debug, Serialize, Deserialize)]
pub struct EraseUser {
    /// The person.
    pub user_id: UserId,
}

impl Job for EraseUser {
    const NAME: &'static str = "erase_user";
    const QUEUE: Queue = Queue::Maintenance;
    /// It goes on where an earlier attempt ended.
    const TIMEOUT: Duration = Duration::from_mins(5);

    fn dedupe_key(&self) -> Option<String> {
        Some(self.user_id.to_string())
    }
}
