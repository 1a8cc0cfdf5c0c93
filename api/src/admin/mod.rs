//! `/api/admin`: for staff. Every handler takes [`Staff`](crate::edge::staff::Staff) first.

mod announcements;
mod overview;
mod payments;
mod people;
mod queues;
mod sessions;

use utoipa_axum::router::OpenApiRouter;

use crate::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(overview::routes())
        .merge(people::routes())
        .merge(sessions::routes())
        .merge(payments::routes())
        .merge(queues::routes())
        .merge(announcements::routes())
}
