//! Ids in paths, and paging in queries.

use axum::{
    extract::{FromRequestParts, Query, RawPathParams},
    http::request::Parts,
};
use humanchat_domain::cursor::Window;
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

use super::{caller::Caller, error::ApiError};
use crate::App;

/// The id in a signed-in user's path. Text that is no such id is an id that doesn't exist.
pub(crate) struct PathId<T>(pub T);

impl<T: std::str::FromStr + Named> FromRequestParts<App> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        // Who isn't signed in learns that first, whatever stands in the path.
        Caller::from_request_parts(parts, app).await?;
        let missing = || ApiError::not_found(T::WHAT);
        let params = RawPathParams::from_request_parts(parts, app).await.map_err(|_| missing())?;
        let id = params.iter().next().and_then(|(_, text)| text.parse().ok());
        id.map(Self).ok_or_else(missing)
    }
}

/// What an id's bearer is called in messages.
pub(crate) trait Named {
    const WHAT: &'static str;
}

macro_rules! named {
    ($($id:ident = $what:literal),+ $(,)?) => {
        $(impl Named for humanchat_domain::id::$id { const WHAT: &'static str = $what; })+
    };
}

named!(
    UserId = "user",
    ConversationId = "conversation",
    InviteId = "invite",
    RequestId = "request",
    RunId = "run",
    SessionId = "session",
    PaymentId = "payment",
    JobId = "job",
    RequestedPersonId = "requested person"
);

impl Named for humanchat_domain::queue::Queue {
    const WHAT: &'static str = "queue";
}

/// A query string; what can't be read is 400.
pub(crate) struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        if !parts.uri.query().is_none_or(is_text) {
            return Err(ApiError::malformed("the query is not UTF-8 text without NUL"));
        }
        let query = Query::from_request_parts(parts, app).await;
        query
            .map(|Query(value)| Self(value))
            .map_err(|error| ApiError::malformed(format!("the query can't be read: {}", error.body_text())))
    }
}

/// Whether a query stands for UTF-8 without NUL. The parser would quietly replace what doesn't.
fn is_text(query: &str) -> bool {
    let mut parts = query.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => bytes.extend_from_slice(part.as_bytes()),
        }
    }
    std::str::from_utf8(&bytes).is_ok_and(|text| !text.contains('\0'))
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// Where the former page ended: its `nextCursor`.
    cursor: Option<String>,
    /// How many rows, 1–100.
    #[serde(default = "twenty", deserialize_with = "one_to_hundred")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u8,
}

impl Paging {
    pub(crate) fn window(&self) -> Window<'_> {
        Window { cursor: self.cursor.as_deref(), limit: self.limit }
    }
}

fn twenty() -> u8 {
    20
}

fn one_to_hundred<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let limit = u8::deserialize(deserializer)?;
    if (1..=100).contains(&limit) { Ok(limit) } else { Err(serde::de::Error::custom("limit must be 1 to 100")) }
}
