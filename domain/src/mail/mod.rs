//! Mail: through SMTP where there is one, else kept in the database for `/dev/mailbox`.

mod queries;

use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor, message::Mailbox};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::{
    Store,
    config::{SettingError, Settings, unusable},
    error::{Error, Result},
    id::MailId,
    text::Timestamp,
    tx::Tx,
};

/// A mail to one person.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// A checked address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

/// A mail that was kept.
#[derive(Debug, Serialize)]
pub struct KeptMail {
    /// Id.
    pub id: MailId,
    /// Address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
}

/// Sends mail.
#[derive(Debug, Clone)]
pub(crate) struct Mailer {
    from: Mailbox,
    smtp: Option<AsyncSmtpTransport<Tokio1Executor>>,
}

impl Mailer {
    /// A mailer for these settings. Connects when it first sends.
    ///
    /// # Errors
    /// When `SMTP_URL` or `MAIL_FROM` can't be used.
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingError> {
        let from =
            settings.mail_from.parse().map_err(|error: lettre::address::AddressError| unusable("MAIL_FROM", error))?;
        let smtp = match &settings.smtp_url {
            None => None,
            Some(url) => {
                let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())
                    .map_err(|error| unusable("SMTP_URL", error))?;
                Some(builder.timeout(Some(std::time::Duration::from_secs(10))).build())
            }
        };
        Ok(Self { from, smtp })
    }

    /// Commits `tx`, and hands the letter over: to the SMTP server after the commit, or, where
    /// there is none, into the database with it.
    ///
    /// # Errors
    /// The database's or the mail server's; the caller tries again later.
    pub(crate) async fn send(&self, mut tx: Tx, letter: Letter) -> Result<()> {
        let Some(smtp) = &self.smtp else {
            let now = tx.now();
            queries::insert(tx.conn(), MailId::new(), &letter, now).await?;
            return tx.commit().await;
        };
        tx.commit().await?;
        let to = letter.to.parse().map_err(|_| Error::Internal("a stored address can't be written to"))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject)
            .body(letter.body)
            .map_err(|error| Error::Mail(error.into()))?;
        smtp.send(message).await.map_err(|error| Error::Mail(error.into()))?;
        Ok(())
    }
}

/// The newest kept mails, at most 100; to one address if given.
///
/// # Errors
/// The database's.
pub async fn kept(store: &Store, to: Option<&str>) -> Result<Vec<KeptMail>> {
    Ok(queries::newest(&store.pool, to).await?)
}
