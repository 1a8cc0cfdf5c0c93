//! `/api/availability`: when hosts can be booked.

use axum::{Json, extract::State, http::StatusCode};
use humanchat_domain::{
    auth::Role,
    availability::{self, Availability, Rules, SlotQuery},
    id::UserId,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        caller::Caller,
        command::{Answer, Command},
        error::ApiError,
        params::{Params, PathId},
    },
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(own, set)).routes(routes!(slots))
}

/// The caller's rules.
#[utoipa::path(get, operation_id = "get_availability_rules", path = "/api/availability", tag = "Availability",
    responses((status = 200, body = Rules)))]
async fn own(State(app): State<App>, caller: Caller) -> Result<Json<Rules>, ApiError> {
    Ok(Json(availability::rules(&app.store, caller.user_id).await?))
}

/// Replace the caller's rules. What is booked stays booked.
#[utoipa::path(put, operation_id = "set_availability_rules", path = "/api/availability", tag = "Availability",
    request_body = Rules, responses((status = 200, body = Rules)))]
async fn set(State(app): State<App>, command: Command<Rules>) -> Answer {
    let (mut work, caller, rules) = command.begin(&app).await?;
    let rules = availability::set_rules(&mut work.tx, caller.user_id, rules).await;
    work.finish(rules.map(|rules| (StatusCode::OK, rules))).await
}

/// When somebody can be booked.
///
/// Wall times that clocks skip have no slots; wall times that come twice have them twice.
#[utoipa::path(get, operation_id = "list_slots", path = "/api/availability/{userId}", tag = "Availability",
    params(("userId" = UserId, Path), SlotQuery),
    responses((status = 200, body = Availability),
        (status = 403, description = "`forbidden`: `explain` is for the host and staff"),
        (status = 422, description = "`validation_failed` with `details.fields`")))]
async fn slots(
    State(app): State<App>,
    caller: Caller,
    PathId(host): PathId<UserId>,
    Params(query): Params<SlotQuery>,
) -> Result<Json<Availability>, ApiError> {
    let found = availability::find(&app.store, caller.user_id, host, &query).await?;
    // Not before: nobody is forbidden anything of a host who isn't there.
    if found.missing.is_some() && caller.user_id != host && caller.role == Role::User {
        return Err(ApiError::forbidden("only the host and staff are told why a time is missing"));
    }
    Ok(Json(found))
}
