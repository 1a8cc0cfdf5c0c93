//! Mail: through SMTP where there is one, else kept in the database for `/dev/mailbox`.
//!
//! A letter has an id that follows from what it is about. Written twice, because a worker died in
//! between, it is one to the mailbox and to mail systems that look at ids.

mod queries;
mod undelivered;

use futures_util::TryFutureExt;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Attachment, Mailbox, MultiPart, SinglePart, header::ContentType},
};
use secrecy::ExposeSecret;
use serde::Serialize;

pub use undelivered::Undelivered;

use crate::{
    Store,
    calendar::CalendarEvent,
    config::{SettingError, Settings, unusable},
    error::{Error, Result},
    id::MailId,
    providers,
    text::Timestamp,
    tx::Tx,
};

/// A mail to one person.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// What it is about, in letters, digits, `.`, `_` and `-`: the same for the same letter.
    pub about: String,
    /// A checked address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// What a calendar may do with it.
    pub calendar: Option<CalendarEvent>,
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
    /// The attached calendar file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calendar: Option<String>,
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

    /// The address that mail comes from.
    pub(crate) fn address(&self) -> String {
        self.from.email.to_string()
    }

    /// Where that address is: what ids of ours end with.
    pub(crate) fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// Commits `tx`, and hands the letter over: to the SMTP server after the commit, or, where
    /// there is none, into the database with it. A letter that the server refuses for good is let go, for a repeat would be
    /// refused too: its address is wrong, and anybody may have named it.
    ///
    /// # Errors
    /// The database's or the mail server's; the caller tries again later.
    pub(crate) async fn send(&self, mut tx: Tx, letter: Letter) -> Result<()> {
        let Some(smtp) = &self.smtp else {
            let now = tx.now();
            queries::insert(tx.conn(), MailId::new(), &self.message_id(&letter), &letter, now).await?;
            return tx.commit().await;
        };
        tx.commit().await?;
        let sent = smtp.send(self.message(letter)?).map_err(Undelivered::from);
        match providers::call("smtp", "send", |error: &Undelivered| error.outcome(), sent).await {
            Ok(_) => Ok(()),
            Err(Undelivered::Refused(code)) => {
                tracing::warn!(code, "the mail server refused a letter for good");
                Ok(())
            }
            Err(error) => Err(Error::Mail(error)),
        }
    }

    fn message_id(&self, letter: &Letter) -> String {
        format!("<{}@{}>", letter.about, self.domain())
    }

    fn message(&self, letter: Letter) -> Result<Message> {
        let to = letter.to.parse().map_err(|_| Error::Internal("a stored address can't be written to"))?;
        let builder = Message::builder()
            .message_id(Some(self.message_id(&letter)))
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(letter.subject);
        let message = match letter.calendar {
            None => builder.header(ContentType::TEXT_PLAIN).body(letter.body),
            Some(event) => builder.multipart(with_calendar(letter.body, &event)?),
        };
        message.map_err(unwritable)
    }
}

/// Without the reason, which may quote the letter.
fn unwritable<E>(_: E) -> Error {
    Error::Internal("a letter can't be written as mail")
}

/// As calendars expect it: those that read mail take the alternative, people open the file.
fn with_calendar(body: String, event: &CalendarEvent) -> Result<MultiPart> {
    let ics = event.to_ics();
    let media_type = format!("text/calendar; method={}; charset=utf-8", event.method.as_str());
    let inline = ContentType::parse(&media_type).map_err(unwritable)?;
    let file = ContentType::parse("application/ics").map_err(unwritable)?;
    let alternative = MultiPart::alternative()
        .singlepart(SinglePart::plain(body))
        .singlepart(SinglePart::builder().header(inline).body(ics.clone()));
    let attachment = Attachment::new("invite.ics".to_owned()).body(ics, file);
    Ok(MultiPart::mixed().multipart(alternative).singlepart(attachment))
}

/// The newest kept mails, at most 100; to one address if given.
///
/// # Errors
/// The database's.
pub async fn kept(store: &Store, to: Option<&str>) -> Result<Vec<KeptMail>> {
    Ok(queries::newest(&store.pool, to).await?)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::calendar::{Attendee, Method};

    fn letter(calendar: Option<CalendarEvent>) -> Letter {
        let text = |text: &str| text.to_owned();
        Letter {
            about: text("ntf_1"),
            to: text("casey@example.com"),
            subject: text("Booked"),
            body: text("Hello."),
            calendar,
        }
    }

    fn written(letter: Letter) -> String {
        let mailer = Mailer { from: "HumanChat <hello@talk.example>".parse().unwrap(), smtp: None };
        String::from_utf8(mailer.message(letter).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_letter_has_the_id_of_what_it_is_about() {
        for _ in 0..2 {
            assert!(written(letter(None)).contains("Message-ID: <ntf_1@talk.example>\r\n"));
        }
    }

    #[test]
    fn a_calendar_file_is_both_an_alternative_and_attached() {
        let at = DateTime::UNIX_EPOCH;
        let organizer = Attendee { name: "HumanChat".to_owned(), address: None };
        let event = CalendarEvent {
            uid: "sess_1@talk.example".to_owned(),
            sequence: 1,
            stamp: at,
            start: at,
            end: at + TimeDelta::minutes(30),
            summary: "Talk".to_owned(),
            description: String::new(),
            url: "https://talk.example".to_owned(),
            organizer,
            attendees: Vec::new(),
            method: Method::Cancel,
            cancelled: true,
        };
        let mail = written(letter(Some(event)));
        for line in [
            "Content-Type: multipart/mixed;",
            "Content-Type: multipart/alternative;",
            "Content-Type: text/plain; charset=utf-8\r\n",
            "Content-Type: text/calendar; method=CANCEL; charset=utf-8\r\n",
            "Content-Disposition: attachment; filename=\"invite.ics\"\r\n",
        ] {
            assert_eq!(mail.matches(line).count(), 1, "{line} in {mail}");
        }
    }
}
