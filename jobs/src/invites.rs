//! Jobs about instant invites.

use serde::{Deserialize, Serialize};

use crate::{Job, Queue, id::InviteId};

/// Ends an invite that nobody answered, at its `expires_at`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExpireInvite {
    /// The invite.
    pub invite_id: InviteId,
}

impl Job for ExpireInvite {
    const NAME: &'static str = "expire_invite";
    const QUEUE: Queue = Queue::Default;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.invite_id.to_string())
    }
}
