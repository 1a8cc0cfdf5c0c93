//! The readers of what comes from outside, without the world around them: for fuzzing.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

pub use crate::sam::testing::{Answer, read_answer, text_so_far};
use crate::{
    auth::{AccessToken, Keys},
    cursor::Scope,
    error::Refusal,
    id::UserId,
    payments,
};

/// Reads an access token.
///
/// # Errors
/// `Unauthenticated` or `TokenExpired`.
pub fn read_access_token(token: &str, secret: &str, now: DateTime<Utc>) -> Result<AccessToken, Refusal> {
    keys(secret).verify(token, now)
}

/// The id and the type of an event that is signed with this secret.
///
/// # Errors
/// `Malformed`.
pub fn read_webhook(
    signature: &str,
    body: &[u8],
    secret: &str,
    now: DateTime<Utc>,
) -> Result<(String, String), Refusal> {
    let notice = payments::read_webhook(signature, body, &[secret.into()], now)?;
    Ok((notice.id, notice.r#type))
}

/// The cursor of a position in a list of nobody's.
///
/// # Errors
/// Where the position can't be written.
pub fn cursor_of(position: &Value, secret: &str) -> serde_json::Result<String> {
    keys(secret).seal(&scope(), position)
}

/// The position that a cursor of that list stands for.
///
/// # Errors
/// `BadCursor`.
pub fn position_of(cursor: &str, secret: &str) -> Result<Value, Refusal> {
    keys(secret).unseal(&scope(), cursor)
}

fn keys(secret: &str) -> Keys {
    Keys::derive(&secret.into())
}

fn scope() -> Scope<'static, ()> {
    Scope { user_id: UserId(Uuid::nil()), route: "/", filter: () }
}
