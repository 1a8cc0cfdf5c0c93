//! Jobs about signing in.

use serde::{Deserialize, Serialize};

use crate::{Job, Queue, id::MagicLinkId};

/// Mails a sign-in link. The token is made when the mail is written, so it is never stored here.
#[derive(Debug, Serialize, Deserialize)]
pub struct SendMagicLink {
    /// The link that was asked for.
    pub magic_link_id: MagicLinkId,
}

impl Job for SendMagicLink {
    const NAME: &'static str = "send_magic_link";
    const QUEUE: Queue = Queue::Mail;
    /// So many last longer than the 15 minutes of a link. A try after those ends it.
    const MAX_ATTEMPTS: i16 = 13;

    fn dedupe_key(&self) -> Option<String> {
        Some(self.magic_link_id.to_string())
    }
}
