//! Signing up, signing in, staying signed in.
//!
//! A login is a family of tokens: short-lived access tokens (JWT) that name it, and one valid
//! refresh token, replaced at each use. Ending the login ends them all.

mod magic_link;
mod password;
mod queries;
mod token;

use chrono::TimeDelta;
use garde::{Valid, Validate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use magic_link::{AskMagicLink, UseMagicLink, ask_magic_link, mail_magic_link, use_magic_link};
pub use token::{AccessToken, IssuedTicket, Keys, Role};

use crate::{
    Store,
    error::{Refusal, Result},
    id::{LoginId, UserId},
    text::{Timestamp, rules},
    tx::Tx,
    users::{self, OwnUser},
};

const REFRESH_DAYS: i64 = 30;
const TICKET_SECS: i64 = 60;

/// What a new account is made of.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registration {
    /// Shown to everybody; 2–80 characters.
    #[garde(custom(rules::name))]
    #[schema(min_length = 2, max_length = 80, example = "Casey")]
    pub name: String,
    /// Where sign-in links go; case doesn't matter.
    #[garde(custom(rules::email))]
    #[schema(format = "email", max_length = 254, example = "casey@example.com")]
    pub email: String,
    /// 8–128 characters.
    #[garde(length(chars, min = 8, max = 128), custom(rules::text))]
    #[schema(format = "password", min_length = 8, max_length = 128, example = "correct horse battery")]
    pub password: String,
    /// IANA name; UTC when absent.
    #[garde(inner(custom(rules::timezone)))]
    #[schema(example = "Europe/Berlin")]
    pub timezone: Option<String>,
}

/// An address and its password.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credentials {
    /// Case doesn't matter.
    #[garde(length(max = 254))]
    #[schema(format = "email", max_length = 254, example = "casey@example.com")]
    pub email: String,
    /// At most 128 characters.
    #[garde(length(chars, max = 128))]
    #[schema(format = "password", max_length = 128, example = "correct horse battery")]
    pub password: String,
}

/// A refresh token.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refresh {
    /// The newest one of the login. Using an older one ends the login.
    #[garde(length(max = 128))]
    #[schema(max_length = 128)]
    pub refresh_token: String,
}

/// Proof of being signed in, and who as.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// The access token: `Authorization: Bearer …`, for 15 minutes.
    pub token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// When the access token ends.
    pub expires_at: Timestamp,
    /// Good once, for 30 days.
    pub refresh_token: String,
    /// The signed-in user.
    pub user: OwnUser,
}

/// What a login may do, as of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority {
    /// Who.
    pub user_id: UserId,
    /// As what.
    pub role: Role,
}

/// Makes an account and signs in. Commits itself: no connection is held while the password is
/// hashed.
///
/// # Errors
/// `EmailTaken`.
pub async fn register(store: &Store, request_id: Option<String>, registration: Valid<Registration>) -> Result<Auth> {
    let registration = registration.into_inner();
    let password_hash = password::hash(registration.password).await?;
    let mut tx = store.begin(request_id).await?;
    let now = tx.now();
    let user_id = UserId::new();
    let user = queries::NewUser {
        id: user_id,
        name: registration.name.trim(),
        email: &normal_email(&registration.email),
        email_verified: false,
        password_hash: Some(&password_hash),
        timezone: registration.timezone.as_deref().unwrap_or("UTC"),
    };
    if !queries::insert_user(tx.conn(), &user, now).await? {
        return Err(Refusal::EmailTaken.into());
    }
    let auth = sign_in(&mut tx, user_id, None).await?;
    tx.commit().await?;
    Ok(auth)
}

/// Signs in by password, and commits itself. Takes the same time whether or not the address is known.
///
/// # Errors
/// `InvalidCredentials`.
pub async fn login(store: &Store, request_id: Option<String>, credentials: Valid<Credentials>) -> Result<Auth> {
    let credentials = credentials.into_inner();
    let known = if credentials.email.contains('\0') {
        None
    } else {
        queries::password_of(&store.pool, &normal_email(&credentials.email)).await?
    };
    let (user_id, hash) = known.map_or((None, None), |known| (Some(known.id), known.password_hash));
    let matches = password::verify(credentials.password, hash.clone()).await?;
    match user_id {
        Some(user_id) if matches => {
            let mut tx = store.begin(request_id).await?;
            // Checking took its time, in which the password may have been voided.
            let auth = sign_in(&mut tx, user_id, hash.as_deref()).await?;
            tx.commit().await?;
            Ok(auth)
        }
        _ => Err(Refusal::InvalidCredentials.into()),
    }
}

/// Trades a refresh token for new tokens. `None`: the token is not good; if it had been used
/// before, its login is ended, so commit in either case.
///
/// # Errors
/// The database's.
pub async fn refresh(tx: &mut Tx, refresh: Valid<Refresh>) -> Result<Option<Auth>> {
    let hash = token::hash(&refresh.refresh_token);
    let now = tx.now();
    if let Some(login) = queries::use_refresh_token(tx.conn(), &hash, now).await? {
        return grant(tx, login.user_id, login.login_id).await.map(Some);
    }
    queries::end_login_of_used_token(tx.conn(), &hash, now).await?;
    Ok(None)
}

/// Ends a login: its tokens are refused and its sockets closed within seconds.
///
/// # Errors
/// The database's.
pub async fn logout(tx: &mut Tx, login_id: LoginId) -> Result<()> {
    let now = tx.now();
    queries::end_login(tx.conn(), login_id, now).await?;
    Ok(())
}

/// What these logins may do now. Ended ones, and those of suspended users, are left out.
///
/// # Errors
/// The database's.
pub async fn authorities(store: &Store, logins: &[LoginId]) -> Result<Vec<(LoginId, Authority)>> {
    Ok(queries::authorities(&store.pool, logins).await?)
}

/// A single-use key to open a socket with, good for a minute.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    /// Goes where the token would: `/ws?token=`.
    pub ticket: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Issues a socket ticket to a login of somebody's.
///
/// # Errors
/// The database's.
pub async fn issue_ticket(tx: &mut Tx, user_id: UserId, login_id: LoginId) -> Result<Ticket> {
    let (ticket, hash) = tx.store().keys.issue_ticket(user_id);
    let expires_at = tx.now() + TimeDelta::seconds(TICKET_SECS);
    queries::insert_ticket(tx.conn(), &hash, login_id, expires_at).await?;
    Ok(Ticket { ticket, expires_at: Timestamp(expires_at) })
}

/// Takes a socket ticket, once.
///
/// # Errors
/// The database's.
pub async fn use_ticket(store: &Store, ticket: &IssuedTicket) -> Result<Option<LoginId>> {
    Ok(queries::take_ticket(&store.pool, &ticket.hash, store.clock.now()).await?)
}

/// A sign-in of somebody's.
#[derive(Debug, Serialize)]
pub struct LoginRecord {
    /// Id.
    pub id: LoginId,
    /// When they signed in.
    pub created_at: Timestamp,
    /// When they signed out, or it was ended.
    pub ended_at: Option<Timestamp>,
}

/// Somebody's sign-ins, newest first.
pub(crate) async fn logins(store: &Store, user_id: UserId) -> Result<Vec<LoginRecord>> {
    Ok(queries::logins(&store.pool, user_id).await?)
}

/// Prepares what the first sign-in would otherwise wait for.
pub fn warm_up() {
    password::warm_up();
}

/// Deletes at most so many of each kind of what is past its time. Says how many went of the kind of which most went.
pub(crate) async fn prune(store: &Store, limit: i64) -> Result<u64> {
    let now = store.clock.now();
    let links = queries::prune_links(&store.pool, now, limit).await?;
    let tickets = queries::prune_tickets(&store.pool, now, limit).await?;
    let tokens = queries::prune_tokens(&store.pool, now, limit).await?;
    Ok(links.max(tickets).max(tokens))
}

/// Opens a login. Where it was a password that let somebody in, its hash says which.
async fn sign_in(tx: &mut Tx, user_id: UserId, password_hash: Option<&str>) -> Result<Auth> {
    let login_id = LoginId::new();
    let now = tx.now();
    if !queries::insert_login(tx.conn(), login_id, user_id, password_hash, now).await? {
        // Suspended: told no more than somebody with a wrong password.
        return Err(Refusal::InvalidCredentials.into());
    }
    grant(tx, user_id, login_id).await
}

async fn grant(tx: &mut Tx, user_id: UserId, login_id: LoginId) -> Result<Auth> {
    let (refresh_token, hash) = token::random();
    let now = tx.now();
    queries::insert_refresh_token(tx.conn(), &hash, login_id, now, now + TimeDelta::days(REFRESH_DAYS)).await?;
    let user = users::own(tx, user_id).await?;
    let (token, expires_at) = tx.store().keys.sign(user_id, login_id, user.role, now)?;
    Ok(Auth { token, token_type: "Bearer", expires_at: Timestamp(expires_at), refresh_token, user })
}

fn normal_email(email: &str) -> String {
    email.trim().to_lowercase()
}
