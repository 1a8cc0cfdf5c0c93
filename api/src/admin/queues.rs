//! `/api/admin/jobs` and `/api/admin/queues`: the work behind the scenes.

use axum::{Json, extract::State, http::StatusCode};
use humanchat_domain::{
    id::JobId,
    queue::{self, Backlog, JobQuery, Queue, QueuedJob},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    edge::{
        command::{Answer, Command, Empty},
        error::ApiError,
        params::{Paging, Params, PathId},
        staff::Staff,
    },
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_jobs))
        .routes(routes!(find_job))
        .routes(routes!(retry_job))
        .routes(routes!(cancel_job))
        .routes(routes!(list_queues))
        .routes(routes!(pause_queue))
        .routes(routes!(resume_queue))
}

/// A page of jobs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct JobsBody {
    /// Newest first.
    jobs: Vec<QueuedJob>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A job.
#[derive(Serialize, ToSchema)]
struct JobBody {
    /// As it is now.
    job: QueuedJob,
}

/// Queues.
#[derive(Serialize, ToSchema)]
struct QueuesBody {
    /// Every queue there is.
    queues: Vec<Backlog>,
}

/// A queue.
#[derive(Serialize, ToSchema)]
struct QueueBody {
    /// As it is now.
    queue: Backlog,
}

/// Jobs, newest first. Finished ones are kept for three days.
#[utoipa::path(get, operation_id = "list_jobs", path = "/api/admin/jobs", tag = "Staff", params(JobQuery, Paging),
    responses((status = 200, body = JobsBody), (status = 403, description = "`forbidden`: not staff")))]
async fn list_jobs(
    State(app): State<App>,
    Staff(caller): Staff,
    Params(query): Params<JobQuery>,
    Params(paging): Params<Paging>,
) -> Result<Json<JobsBody>, ApiError> {
    let page = queue::list(&app.store, caller.user_id, &query, paging.window()).await?;
    Ok(Json(JobsBody { jobs: page.items, next_cursor: page.next }))
}

/// One job.
#[utoipa::path(get, operation_id = "find_job", path = "/api/admin/jobs/{id}", tag = "Staff", params(("id" = JobId, Path)),
    responses((status = 200, body = JobBody), (status = 403, description = "`forbidden`: not staff")))]
async fn find_job(State(app): State<App>, _: Staff, PathId(id): PathId<JobId>) -> Result<Json<JobBody>, ApiError> {
    Ok(Json(JobBody { job: queue::find(&app.store, id).await? }))
}

/// Do a parked or cancelled job after all: now, with all its attempts before it.
#[utoipa::path(post, operation_id = "retry_job", path = "/api/admin/jobs/{id}/retry", tag = "Staff",
    params(("id" = JobId, Path)),
    responses((status = 200, body = JobBody), (status = 403, description = "`forbidden`: not staff"),
        (status = 409, description = "`invalid_transition`: it waits, runs or is done, or another of its kind and key waits")))]
async fn retry_job(
    State(app): State<App>,
    Staff(caller): Staff,
    PathId(id): PathId<JobId>,
    command: Command<Empty>,
) -> Answer {
    let (mut work, ..) = command.begin(&app).await?;
    let job = queue::retry(&mut work.tx, caller.user_id, id).await;
    work.finish(job.map(|job| (StatusCode::OK, JobBody { job }))).await
}

/// Call a job off that waits or is parked.
#[utoipa::path(post, operation_id = "cancel_job", path = "/api/admin/jobs/{id}/cancel", tag = "Staff",
    params(("id" = JobId, Path)),
    responses((status = 200, body = JobBody), (status = 403, description = "`forbidden`: not staff"),
        (status = 409, description = "`invalid_transition`: it runs or is over")))]
async fn cancel_job(
    State(app): State<App>,
    Staff(caller): Staff,
    PathId(id): PathId<JobId>,
    command: Command<Empty>,
) -> Answer {
    let (mut work, ..) = command.begin(&app).await?;
    let job = queue::cancel(&mut work.tx, caller.user_id, id).await;
    work.finish(job.map(|job| (StatusCode::OK, JobBody { job }))).await
}

/// Every queue, and what stands in it.
#[utoipa::path(get, operation_id = "list_queues", path = "/api/admin/queues", tag = "Staff",
    responses((status = 200, body = QueuesBody), (status = 403, description = "`forbidden`: not staff")))]
async fn list_queues(State(app): State<App>, _: Staff) -> Result<Json<QueuesBody>, ApiError> {
    Ok(Json(QueuesBody { queues: queue::backlogs(&app.store).await? }))
}

/// Keep workers from taking more from a queue. What runs goes on to its end.
#[utoipa::path(post, operation_id = "pause_queue", path = "/api/admin/queues/{name}/pause", tag = "Staff",
    params(("name" = String, Path, example = "mail")),
    responses((status = 200, body = QueueBody), (status = 403, description = "`forbidden`: not staff")))]
async fn pause_queue(
    State(app): State<App>,
    Staff(caller): Staff,
    PathId(queue): PathId<Queue>,
    command: Command<Empty>,
) -> Answer {
    let (mut work, ..) = command.begin(&app).await?;
    let queue = queue::pause(&mut work.tx, caller.user_id, queue).await;
    work.finish(queue.map(|queue| (StatusCode::OK, QueueBody { queue }))).await
}

/// Let workers take from a queue again.
#[utoipa::path(post, operation_id = "resume_queue", path = "/api/admin/queues/{name}/resume", tag = "Staff",
    params(("name" = String, Path, example = "mail")),
    responses((status = 200, body = QueueBody), (status = 403, description = "`forbidden`: not staff")))]
async fn resume_queue(
    State(app): State<App>,
    Staff(caller): Staff,
    PathId(queue): PathId<Queue>,
    command: Command<Empty>,
) -> Answer {
    let (mut work, ..) = command.begin(&app).await?;
    let queue = queue::resume(&mut work.tx, caller.user_id, queue).await;
    work.finish(queue.map(|queue| (StatusCode::OK, QueueBody { queue }))).await
}
