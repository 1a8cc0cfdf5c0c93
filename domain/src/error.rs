//! Why an operation did not happen: the product refused, or something it stands on failed.

use std::{collections::BTreeMap, time::Duration};

use crate::mail::Undelivered;

/// The product said no. One variant per cause a client can tell apart; the api gives each its
/// status and code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Missing, or not the caller's to see.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The caller is a party, but not the one who may do this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Fields that are wrong, each with its reason.
    #[error("some fields are not valid")]
    Invalid(BTreeMap<String, String>),
    /// A cursor that was not issued for this caller and query.
    #[error("the cursor does not belong to this query")]
    BadCursor,
    /// The address belongs to an account.
    #[error("this email address is already registered")]
    EmailTaken,
    /// Wrong password, unknown address, or no password at all: nobody learns which.
    #[error("email or password is wrong")]
    InvalidCredentials,
    /// Not signed in, or not any more.
    #[error("sign in first")]
    Unauthenticated,
    /// The access token's time is over; refresh it.
    #[error("the token has expired")]
    TokenExpired,
    /// A mailed link that is used, replaced or too old.
    #[error("this link is no longer valid")]
    LinkExpired,
    /// The invite has another outcome already.
    #[error("the invite is already {0}")]
    InviteResolved(&'static str),
    /// Nobody answered in time.
    #[error("the invite has expired")]
    InviteExpired,
    /// The request has another answer already.
    #[error("the request is already {0}")]
    RequestResolved(&'static str),
    /// The other person isn't there.
    #[error("this person is offline")]
    HostOffline,
    /// The other person is in a session.
    #[error("this person is in a session")]
    HostBusy,
    /// The caller is in a session.
    #[error("you are in a session")]
    RequesterBusy,
    /// This person is reached by request only.
    #[error("this person takes requests, not instant connections")]
    RequestRequired,
    /// The slot isn't offered, or somebody was quicker.
    #[error("{0}")]
    SlotUnavailable(&'static str),
    /// The price isn't what the client took it to be; the right one, in minor units.
    #[error("the price has changed")]
    PriceChanged {
        /// Minor units.
        price_minor: i64,
        /// ISO 4217, lower case.
        currency: String,
    },
    /// Somebody has to pay first.
    #[error("{0}")]
    PaymentRequired(&'static str),
    /// Somebody has to run the place.
    #[error("the last admin stays one")]
    LastAdmin,
    /// Not a step this state allows.
    #[error("{0}")]
    InvalidTransition(String),
    /// What Sam proposed got another answer already.
    #[error("the action is already {0}")]
    ActionResolved(&'static str),
    /// What Sam proposed no longer holds; by fact, what was proposed and what is so now.
    #[error("what was proposed has changed")]
    ActionStale(serde_json::Map<String, serde_json::Value>),
    /// Nobody confirmed what Sam proposed in time.
    #[error("the action has expired")]
    ActionExpired,
    /// The idempotency key came with another body before.
    #[error("this idempotency key was used with a different request")]
    IdempotencyKeyReused,
    /// The first request with this key has not ended.
    #[error("the first request with this idempotency key is still running")]
    IdempotencyInFlight,
    /// Too many requests; another may come after this time.
    #[error("too many requests")]
    RateLimited(Duration),
    /// Something this needs is not there now.
    #[error("{0}")]
    Unavailable(&'static str),
    /// A provider said no, or answered nonsense.
    #[error("{0}")]
    UpstreamFailed(&'static str),
    /// A provider did not say in time what it did; asking again brings its answer.
    #[error("{0}")]
    UpstreamTimeout(&'static str),
    /// Bytes that are not what they claim to be.
    #[error("{0}")]
    Malformed(&'static str),
}

impl Refusal {
    /// One field is wrong.
    pub fn field(name: &str, reason: impl Into<String>) -> Self {
        Self::Invalid(BTreeMap::from([(name.to_owned(), reason.into())]))
    }
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The product said no; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database failed or is away.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// A value could not be written as JSON or read from it.
    #[error("a stored value has an unexpected shape")]
    Json(#[from] serde_json::Error),
    /// Mail could not be handed over.
    #[error("the mail server did not take the message")]
    Mail(#[source] Undelivered),
    /// A bug, or an environment that should not exist.
    #[error("{0}")]
    Internal(&'static str),
}

/// The outcome of a domain operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the database can't be reached, has no connection to spare or let somebody else go first: worth another try.
    pub fn is_unavailable(&self) -> bool {
        let Self::Database(error) = self else { return false };
        match error {
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::Io(_)
            // What is read of a line that is cut while it is set up.
            | sqlx::Error::Protocol(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => true,
            // 57P0x: shutting down, crashed, starting up. 08: connection. 53: too many of them. 55P03 and 57014: waited too
            // long, for a lock or in all. 40P01 and 40001: in each other's way, and this one gave way.
            sqlx::Error::Database(error) => {
                const CLASSES: [&str; 7] = ["57P0", "08", "53", "55P03", "57014", "40P01", "40001"];
                error.code().is_some_and(|code| CLASSES.iter().any(|class| code.starts_with(class)))
            }
            _ => false,
        }
    }

    /// Whether somebody held a lock for longer than this was to wait.
    pub(crate) fn is_locked_out(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code == "55P03"))
    }

    /// Whether text was refused that Postgres can't store, such as NUL.
    pub fn is_bad_text(&self) -> bool {
        match self {
            // 22021: not in the character set. 22P05: untranslatable.
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code == "22021" || code == "22P05")
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, PgConnection};
    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;

    #[tokio::test]
    async fn a_line_that_is_cut_while_it_is_set_up_is_an_outage() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://nobody@{}/nothing", listener.local_addr().unwrap());
        let cut = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u64().await.unwrap();
        };
        let (connected, ()) = tokio::join!(PgConnection::connect(&url), cut);
        let error = Error::from(connected.unwrap_err());
        assert!(error.is_unavailable(), "{error:?}");
    }
}
