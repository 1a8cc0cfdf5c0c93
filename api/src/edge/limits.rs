//! Rate limits at the door: counted once for each request, by the extractor that knows whose it is.

use axum::http::request::Parts;
use humanchat_domain::rate_limits::Subject;

use super::{client_ip::client_ip, error::ApiError};
use crate::App;

impl App {
    /// Counts a request against its subject's limit.
    ///
    /// # Errors
    /// `rate_limited`, with `Retry-After`.
    pub(crate) async fn count(&self, parts: &Parts, subject: Subject) -> Result<(), ApiError> {
        // Without a connection there is nobody to limit.
        let Some(address) = client_ip(parts, &self.store.settings().trusted_proxies) else { return Ok(()) };
        Ok(self.store.rate_limits().take(address, subject).await?)
    }
}
