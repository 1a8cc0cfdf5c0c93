//! Who asks: a bearer token, and whether its login still lives.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use humanchat_domain::{
    Store,
    auth::{self, Authority, Role},
    id::{LoginId, UserId},
    rate_limits::Subject,
};

use super::error::ApiError;
use crate::{
    App,
    batch::{Batch, Unreadable},
};

/// How long a login's authority may be remembered: what was revoked ends within five seconds.
const FRESH: Duration = Duration::from_secs(3);
/// Beyond this many remembered logins, stale ones are thrown out.
const CROWD: usize = 20_000;

/// The signed-in user a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub user_id: UserId,
    pub login_id: LoginId,
    pub role: Role,
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(*caller);
        }
        let caller = app.identify(&parts.headers).await;
        app.admit(parts, caller).await
    }
}

/// The token of an `Authorization` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl App {
    /// Who a request comes from.
    pub(super) async fn identify(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        match bearer(headers) {
            Some(token) => self.authenticate(token).await,
            None => Err(ApiError::unauthenticated()),
        }
    }

    /// Counts a request, once, against the limit of whoever it turned out to come from.
    pub(crate) async fn admit(&self, parts: &mut Parts, caller: Result<Caller, ApiError>) -> Result<Caller, ApiError> {
        self.admit_as(parts, caller, |caller| Subject::User(caller.user_id)).await
    }

    /// The same, against a limit that depends on who it is.
    pub(super) async fn admit_as(
        &self,
        parts: &mut Parts,
        caller: Result<Caller, ApiError>,
        subject: impl Fn(&Caller) -> Subject,
    ) -> Result<Caller, ApiError> {
        let subject = caller.as_ref().map_or(Subject::Stranger, subject);
        self.count(parts, subject).await?;
        let caller = caller?;
        parts.extensions.insert(caller);
        Ok(caller)
    }

    /// Checks a token, and that its login may still do anything.
    pub(crate) async fn authenticate(&self, token: &str) -> Result<Caller, ApiError> {
        let token = self.store.verify_token(token)?;
        self.caller_of(token.login_id).await
    }

    /// The caller a living login stands for.
    pub(crate) async fn caller_of(&self, login_id: LoginId) -> Result<Caller, ApiError> {
        let authority = self.authorities.of(login_id).await?.ok_or_else(ApiError::unauthenticated)?;
        Ok(Caller { user_id: authority.user_id, login_id, role: authority.role })
    }
}

/// Remembers for a moment what logins may do.
#[derive(Debug, Clone)]
pub(crate) struct Authorities {
    known: Arc<Mutex<HashMap<LoginId, (Instant, Authority)>>>,
    unknown: Batch<LoginId, Authority>,
}

impl Authorities {
    pub(crate) fn start(store: Store) -> Self {
        let unknown = Batch::start("what logins may do", move |logins| {
            let store = store.clone();
            async move { Ok(auth::authorities(&store, &logins).await?.into_iter().collect()) }
        });
        Self { known: Arc::default(), unknown }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<LoginId, (Instant, Authority)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn of(&self, login_id: LoginId) -> Result<Option<Authority>, Unreadable> {
        if let Some((at, authority)) = self.known().get(&login_id).copied()
            && at.elapsed() < FRESH
        {
            return Ok(Some(authority));
        }
        let at = Instant::now();
        let authority = self.unknown.ask(login_id).await?;
        let mut known = self.known();
        if known.len() >= CROWD {
            known.retain(|_, (at, _)| at.elapsed() < FRESH);
        }
        match authority {
            Some(authority) => drop(known.insert(login_id, (at, authority))),
            None => drop(known.remove(&login_id)),
        }
        Ok(authority)
    }

    /// Forgets a login, so that its end shows at once in this process.
    pub(crate) fn forget(&self, login_id: LoginId) {
        self.known().remove(&login_id);
    }
}
