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

#[cfg(test)]
mod tests {
    use lettre::{AsyncSmtpTransport, Tokio1Executor};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    async fn greet(url: &str) -> Undelivered {
        let smtp: AsyncSmtpTransport<Tokio1Executor> =
            AsyncSmtpTransport::<Tokio1Executor>::from_url(url).unwrap().build();
        smtp.test_connection().await.unwrap_err().into()
    }

    /// What becomes of somebody who is greeted so.
    async fn greeted(greeting: &'static [u8]) -> Undelivered {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(greeting).await.unwrap();
            drop(listener);
            stream.read_to_end(&mut Vec::new()).await.ok();
        };
        tokio::join!(greet(&url), server).0
    }

    #[tokio::test]
    async fn of_what_the_server_says_the_code_is_kept() {
        assert_eq!(greeted(b"550 5.1.1 <casey@example.com>\r\n").await, Undelivered::Refused(550));
        assert_eq!(greeted(b"451 4.2.1 <casey@example.com>\r\n").await, Undelivered::NotNow(451));
        assert_eq!(greeted(b"535 5.7.8 casey@example.com\r\n").await, Undelivered::NotNow(535));
        assert_eq!(greeted(b"casey@example.com is away\r\n").await, Undelivered::Incoherent);
    }

    #[tokio::test]
    async fn why_it_cannot_be_reached_is_the_systems_word() {
        let refused = Undelivered::Unreachable("Connection refused (os error 111)".to_owned());
        assert_eq!(greet("smtp://127.0.0.1:1").await, refused);
    }
}
