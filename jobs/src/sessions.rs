//! Jobs about sessions.

use serde::{Deserialize, Serialize};

use crate::{
    Job, Queue,
    id::{ActionId, SessionId},
};

/// Frees the time of a booking that nobody paid for, when its hold runs out.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReleaseHold {
    /// The session.
    pub session_id: SessionId,
}

impl Job for ReleaseHold {
    const NAME: &'static str = "release_hold";
    const QUEUE: Queue = Queue::Default;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.session_id.to_string())
    }
}

/// Frees the time that a proposal of Sam's kept for its user, when the proposal runs out.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReleaseOffer {
    /// The proposal.
    pub action_id: ActionId,
}

impl Job for ReleaseOffer {
    const NAME: &'static str = "release_offer";
    const QUEUE: Queue = Queue::Default;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.action_id.to_string())
    }
}

/// Reminds both people of a session that is near. Of one that was moved meanwhile it says nothing.
#[derive(Debug, Serialize, Deserialize)]
pub struct RemindOfSession {
    /// The session.
    pub session_id: SessionId,
    /// As it was agreed or last moved.
    pub version: i32,
    /// How long before the start.
    pub minutes_before: i32,
}

impl Job for RemindOfSession {
    const NAME: &'static str = "remind_of_session";
    const QUEUE: Queue = Queue::Default;

    fn dedupe_key(&self) -> Option<String> {
        Some(format!("{}:{}:{}", self.session_id, self.version, self.minutes_before))
    }
}

/// Settles a session that should have begun and has not: somebody did not come, or neither did.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndUnstartedSession {
    /// The session.
    pub session_id: SessionId,
    /// As it was agreed or last moved.
    pub version: i32,
}

impl Job for EndUnstartedSession {
    const NAME: &'static str = "end_unstarted_session";
    const QUEUE: Queue = Queue::Default;

    fn dedupe_key(&self) -> Option<String> {
        Some(format!("{}:{}", self.session_id, self.version))
    }
}

/// Completes a session that its people have left without saying so.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndForgottenSession {
    /// The session.
    pub session_id: SessionId,
}

impl Job for EndForgottenSession {
    const NAME: &'static str = "end_forgotten_session";
    const QUEUE: Queue = Queue::Default;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.session_id.to_string())
    }
}
