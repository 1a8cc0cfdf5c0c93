//! How many requests are worked on at once. More than that are refused at once, rather than late.
//!
//! A request counts until its work is done, even where its client has left; but not while its body is on its way, so
//! that clients who send slowly keep nobody out. Sockets have a door of their own.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    body::Body,
    extract::{Request, State},
    http::Response,
    middleware::Next,
    response::IntoResponse,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// How many more requests may be worked on.
#[derive(Debug, Clone)]
pub(crate) struct Admissions(Arc<Semaphore>);

impl Admissions {
    /// So many at once; with 0 any number.
    pub(crate) fn new(limit: u32) -> Self {
        let limit = if limit == 0 { Semaphore::MAX_PERMITS } else { limit as usize };
        Self(Arc::new(Semaphore::new(limit)))
    }
}

/// A request's own admission.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    admissions: Admissions,
    permit: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Admission {
    /// Counts the request, where there is room.
    ///
    /// # Errors
    /// `service_unavailable` where there isn't.
    pub(crate) fn enter(&self) -> Result<(), ApiError> {
        let permit = Arc::clone(&self.admissions.0)
            .try_acquire_owned()
            .map_err(|_| ApiError::unavailable("too many requests are under way"))?;
        *self.permit.lock().unwrap_or_else(PoisonError::into_inner) = Some(permit);
        Ok(())
    }

    /// Counts it no more.
    pub(crate) fn leave(&self) {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Admits a request or refuses it at once.
pub(crate) async fn admit(State(admissions): State<Admissions>, mut request: Request, next: Next) -> Response<Body> {
    let admission = Admission { admissions, permit: Arc::default() };
    if let Err(error) = admission.enter() {
        return error.into_response();
    }
    request.extensions_mut().insert(admission.clone());
    let response = next.run(request).await;
    // The request's extensions may live on with the answer.
    admission.leave();
    response
}
