//! Stripe's API as a function: a request and the world give an answer. No HTTP.

pub(crate) mod error;
pub(crate) mod faults;
pub(crate) mod idempotency;
pub(crate) mod params;
mod routes;
#[cfg(test)]
mod tests;

use serde_json::Value;

use self::error::ApiError;
use self::params::Params;
use crate::world::World;

/// A request, without what only HTTP cares for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `GET` or `POST`.
    pub(crate) method: String,
    /// `/v1/…`
    pub(crate) path: String,
    pub(crate) params: Params,
}

/// Does what is asked, and expands what is asked to be expanded.
pub(crate) fn call(world: &mut World, request: Request) -> Result<Value, ApiError> {
    let Request { method, path, mut params } = request;
    let expansions = params.texts("expand")?;
    let mut answer = routes::route(world, &method, &path, &mut params)?;
    for path in expansions {
        world.expand(&mut answer, &path)?;
    }
    Ok(answer)
}
