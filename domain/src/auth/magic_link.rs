//! Signing in by a mailed link: single use, 15 minutes, the newest only.
//!
//! The token exists in the mail and nowhere else: the job that writes the mail makes it and stores
//! its hash.

use chrono::TimeDelta;
use garde::{Valid, Validate};
use humanchat_jobs::auth::SendMagicLink;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Auth, normal_email, password, queries, sign_in, token};
use crate::{
    Store,
    error::{Error, Refusal, Result},
    id::{MagicLinkId, MailId, UserId},
    mail::Letter,
    text::rules,
    tx::Tx,
};

const LIFETIME: TimeDelta = TimeDelta::minutes(15);
/// How many links an address may get within the lifetime of one. A link voids the former, so anybody who asks could keep
/// its owner out for ever; the last of so many stays good.
const MOST_LINKS: i64 = 5;

/// Where to send a sign-in link.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AskMagicLink {
    /// Known or not: nobody learns which.
    #[garde(custom(rules::email))]
    #[schema(format = "email", max_length = 254, example = "casey@example.com")]
    pub email: String,
}

/// The token of a mailed link.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UseMagicLink {
    /// What the link carried after `#token=`.
    #[garde(length(max = 128))]
    #[schema(max_length = 128)]
    pub token: String,
    /// A new password for this account, 8–128 characters: how a forgotten one is replaced. Ends all other logins.
    #[garde(inner(length(chars, min = 8, max = 128), custom(rules::text)))]
    #[schema(format = "password", min_length = 8, max_length = 128)]
    pub password: Option<String>,
}

/// Asks for a link to be mailed, unless the address had its links already.
///
/// # Errors
/// The database's.
pub async fn ask_magic_link(tx: &mut Tx, ask: &Valid<AskMagicLink>) -> Result<()> {
    let (email, now) = (normal_email(&ask.email), tx.now());
    queries::lock_address(tx.conn(), &email).await?;
    // Only now, so that ids are in the order of the turns.
    let magic_link_id = MagicLinkId::new();
    if queries::insert_magic_link(tx.conn(), magic_link_id, &email, MOST_LINKS, now, now + LIFETIME).await? {
        tx.enqueue(&SendMagicLink { magic_link_id })?;
    }
    Ok(())
}

/// Signs in by a link's token, and commits itself. An address not yet known becomes a user.
///
/// # Errors
/// `LinkExpired`.
pub async fn use_magic_link(store: &Store, request_id: Option<String>, link: Valid<UseMagicLink>) -> Result<Auth> {
    let link = link.into_inner();
    let password_hash = match link.password {
        Some(password) => Some(password::hash(password).await?),
        None => None,
    };
    let mut tx = store.begin(request_id).await?;
    let (now, hash) = (tx.now(), token::hash(&link.token));
    let email = queries::address_of_link(tx.conn(), &hash).await?.ok_or(Refusal::LinkExpired)?;
    let new = queries::NewUser {
        id: UserId::new(),
        name: &name_from(&email),
        email: &email,
        email_verified: true,
        password_hash: password_hash.as_deref(),
        timezone: "UTC",
    };
    // The user before the link, as whoever leaves does.
    let is_new = queries::insert_user(tx.conn(), &new, now).await?;
    let user_id = if is_new { Some(new.id) } else { queries::lock_user(tx.conn(), &email).await? };
    let user_id = user_id.ok_or(Refusal::LinkExpired)?;
    if !queries::take_magic_link(tx.conn(), &hash, now).await? {
        return Err(Refusal::LinkExpired.into());
    }
    if !is_new {
        // Whoever registered this address without proving it may not be its owner: from the first
        // proof on, what they set and opened is void.
        queries::verify_email(tx.conn(), user_id, now).await?;
        if let Some(hash) = &password_hash {
            queries::set_password(tx.conn(), user_id, hash, now).await?;
        }
    }
    let auth = sign_in(&mut tx, user_id, None).await?;
    tx.commit().await?;
    Ok(auth)
}

/// Writes and sends the mail of a link, unless it is used, replaced or too old by now.
///
/// # Errors
/// The database's or the mail server's. A repeat makes a new token; the former stops working.
pub async fn mail_magic_link(mut tx: Tx, magic_link_id: MagicLinkId) -> Result<()> {
    let (token, hash) = token::random();
    let now = tx.now();
    let Some(email) = queries::arm_magic_link(tx.conn(), magic_link_id, &hash, now).await? else {
        return Ok(());
    };
    let mut link = tx
        .store()
        .settings()
        .public_url
        .join("magic-link")
        .map_err(|_| Error::Internal("PUBLIC_URL can't carry a path"))?;
    // After the #, so that it never reaches a server's log.
    link.set_fragment(Some(&format!("token={token}")));
    let letter = Letter {
        // A repeat is another mail: it has a new token, and the former one no longer works.
        about: MailId::new().to_string(),
        to: email,
        subject: "Your sign-in link for HumanChat".to_owned(),
        body: format!(
            "Hello,\n\nopen this link and press the button to sign in to HumanChat:\n\n{link}\n\n\
             It works once, for 15 minutes. If you didn't ask for it, ignore this mail.\n"
        ),
        calendar: None,
    };
    let mailer = tx.store().mailer.clone();
    mailer.send(tx, letter).await
}

/// A first name for somebody who came by mail: what stands before the @.
fn name_from(email: &str) -> String {
    let local = email.split('@').next().unwrap_or_default();
    let name: String = local.chars().filter(|c| !c.is_control()).take(80).collect();
    if name.chars().count() < 2 { "New member".to_owned() } else { name }
}
