//! Why mail could not be handed over, without the mail server's words: they often repeat the address, and what is said here is
//! logged and kept.

use std::{error::Error, io, iter};

use lettre::transport::smtp;

/// Why mail could not be handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// The server doesn't take it, and never will: its code.
    #[error("it refused with {0}")]
    Refused(u16),
    /// The server doesn't take it now, or not from us: its code.
    #[error("it answered {0}")]
    NotNow(u16),
    /// It could not be reached, or the connection broke: what the system says.
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    /// It lacks what it would take: what our client says.
    #[error("it can't be used: {0}")]
    Unfit(String),
    /// It said something else than the protocol wants.
    #[error("it doesn't speak as expected")]
    Incoherent,
}

impl Undelivered {
    /// For measurements.
    pub(super) fn outcome(&self) -> &'static str {
        if matches!(self, Self::Refused(_)) { "refused" } else { "failed" }
    }
}

/// Whether a code is about the address or the letter. Others of the 500s say that we may not send at all (530–538), that we
/// don't understand each other (500–504), or now this, now that (554): somebody may mend it.
fn is_for_good(code: u16) -> bool {
    matches!(code, 501 | 550..=553 | 556)
}

impl From<smtp::Error> for Undelivered {
    fn from(error: smtp::Error) -> Self {
        if let Some(code) = error.status() {
            let code = code.into();
            return if is_for_good(code) { Self::Refused(code) } else { Self::NotNow(code) };
        }
        let mut causes = iter::successors(error.source(), |&cause| cause.source());
        if error.is_client() || error.is_tls() {
            return Self::Unfit(causes.next().map_or_else(String::new, ToString::to_string));
        }
        let broken = causes.find_map(|cause| cause.downcast_ref::<io::Error>());
        broken.map_or(Self::Incoherent, |error| Self::Unreachable(error.to_string()))
    }
}
