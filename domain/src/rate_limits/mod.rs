//! Rate limits: how many requests of whom are let through in a minute.
//!
//! Counted in Redis, exactly and across all processes: never more than the limit in any 60 seconds.
//! While Redis is away, and where there is none, each process counts for itself by the same rule, so
//! that passwords can't be guessed any faster then.

mod local;

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use fred::{clients::Client, interfaces::ClientLike, types::scripts::Script};

use crate::{bus::Bus, config::RateLimitSettings, error::Refusal, id::UserId};
use local::LocalLimit;

/// What limits count in.
const WINDOW: Duration = Duration::from_mins(1);
/// How long Redis isn't asked again after it did not answer: each question waits for its time-out.
const RESPITE: Duration = Duration::from_secs(1);

/// Whose request it is, besides the address it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Nobody's, on a route that asks for no login.
    Anonymous,
    /// Nobody's yet, with a refresh token.
    Returning,
    /// Nobody's, on a route that does.
    Stranger,
    /// A signed-in user's.
    User(UserId),
    /// A staff member's, on a route for staff.
    Staff(UserId),
}

/// The process' limits.
#[derive(Debug, Clone)]
pub struct RateLimits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    anonymous: Option<Limit>,
    user: Option<Limit>,
    staff: Option<Limit>,
    redis: Option<Redis>,
}

#[derive(Debug)]
struct Limit {
    count: NonZeroU32,
    local: LocalLimit,
}

#[derive(Debug)]
struct Redis {
    client: Client,
    script: Script,
    silent_until: Mutex<Option<Instant>>,
}

impl RateLimits {
    /// Limits as set, counted where `bus` rings.
    pub(crate) fn new(settings: &RateLimitSettings, bus: &Bus) -> Self {
        let limit = |count: Option<NonZeroU32>| count.map(|count| Limit { count, local: LocalLimit::new(count) });
        Self(Arc::new(Inner {
            anonymous: limit(settings.anonymous),
            user: limit(settings.user),
            staff: limit(settings.staff),
            redis: bus.redis_client().map(Redis::new),
        }))
    }

    /// Counts a request.
    ///
    /// # Errors
    /// `RateLimited`, with the time after which another may come.
    pub async fn take(&self, address: IpAddr, subject: Subject) -> Result<(), Refusal> {
        let limit = match subject {
            Subject::Anonymous => &self.0.anonymous,
            Subject::Returning | Subject::Stranger | Subject::User(_) => &self.0.user,
            Subject::Staff(_) => &self.0.staff,
        };
        let Some(limit) = limit else { return Ok(()) };
        let key = key(address, subject);
        let counted = match &self.0.redis {
            Some(redis) => redis.take(&key, limit.count).await,
            None => None,
        };
        let wait = counted.unwrap_or_else(|| limit.local.take(&key, Instant::now()));
        if wait.is_zero() { Ok(()) } else { Err(Refusal::RateLimited(wait)) }
    }
}

impl Redis {
    fn new(client: Client) -> Self {
        Self { client, script: Script::from_lua(include_str!("take.lua")), silent_until: Mutex::default() }
    }

    /// How long to wait, zero to go ahead; `None` when Redis doesn't say.
    async fn take(&self, key: &str, count: NonZeroU32) -> Option<Duration> {
        if self.is_silent() || !self.client.is_connected() {
            return None;
        }
        let window = u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX);
        let arguments = vec![u64::from(count.get()), window];
        match self.script.evalsha_with_reload::<u64, _, _>(&self.client, vec![key], arguments).await {
            Ok(millis) => Some(Duration::from_millis(millis)),
            Err(error) => {
                tracing::warn!(%error, "Redis did not count a request; this process counts for itself");
                *self.silent_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + RESPITE);
                None
            }
        }
    }

    fn is_silent(&self) -> bool {
        self.silent_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }
}

fn key(address: IpAddr, subject: Subject) -> String {
    let network = network(address);
    match subject {
        Subject::Anonymous => format!("hc:limit:anonymous:{network}"),
        Subject::Returning => format!("hc:limit:returning:{network}"),
        Subject::Stranger => format!("hc:limit:user:{network}"),
        Subject::User(id) => format!("hc:limit:user:{network}:{id}"),
        Subject::Staff(id) => format!("hc:limit:staff:{network}:{id}"),
    }
}

/// What counts as one address: with IPv6, the /64 that a single customer is given.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_customer_is_one_address() {
        for (address, of) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(network(address.parse().unwrap()).to_string(), of);
        }
    }
}
