//! Routes for staff: who may use them, and the limit their requests count against.

use axum::{extract::FromRequestParts, http::request::Parts};
use humanchat_domain::{auth::Role, rate_limits::Subject};

use super::{caller::Caller, error::ApiError};
use crate::App;

/// A signed-in manager or admin. It goes before a handler's other arguments: whoever isn't staff
/// learns that first, and a request counts against the limit of who is asked for first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Staff(pub Caller);

impl FromRequestParts<App> for Staff {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let is_staff = |caller: &Caller| caller.role != Role::User;
        let caller = app.identify(&parts.headers).await;
        let caller = app
            .admit_as(parts, caller, |caller| match caller.user_id {
                id if is_staff(caller) => Subject::Staff(id),
                id => Subject::User(id),
            })
            .await?;
        if is_staff(&caller) { Ok(Self(caller)) } else { Err(ApiError::forbidden("only staff may do this")) }
    }
}
