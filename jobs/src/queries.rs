//! The queue's entrance: SQL that puts jobs into the caller's transaction, or takes them out.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{JobKey, NewJob, OnDuplicate};

/// Inserts the jobs on `conn`, in whatever transaction it is in. A job whose key is taken by one
/// that waits is not inserted ([`OnDuplicate`] says what happens instead), and is no error.
///
/// # Errors
/// Only the database's.
pub async fn insert(conn: &mut PgConnection, jobs: Vec<NewJob>, now: DateTime<Utc>) -> sqlx::Result<()> {
    let (keep, replace): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.on_duplicate == OnDuplicate::Keep);
    match keep.as_slice() {
        [] => {}
        [job] => insert_one_or_keep(conn, job, now).await?,
        _ => insert_or_keep(conn, &Columns::of(keep), now).await?,
    }
    if !replace.is_empty() {
        insert_or_replace(conn, &Columns::of(last_of_each_key(replace)), now).await?;
    }
    Ok(())
}

/// Takes waiting jobs out of the queue; those that run are left to end.
///
/// # Errors
/// Only the database's.
pub async fn cancel(conn: &mut PgConnection, keys: &[JobKey], now: DateTime<Utc>) -> sqlx::Result<()> {
    let (kinds, keys): (Vec<_>, Vec<_>) = keys.iter().map(|key| (key.kind.to_owned(), key.key.clone())).unzip();
    sqlx::query!(
        "update jobs set state = 'cancelled', finished_at = $3
         from unnest($1::text[], $2::text[]) as k (kind, key)
         where jobs.kind = k.kind and jobs.dedupe_key = k.key and jobs.state = 'available'",
        &kinds,
        &keys,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// `on conflict do update` refuses to touch a row twice in one statement, and rows locked in the
/// same order by everybody can't deadlock.
fn last_of_each_key(jobs: Vec<NewJob>) -> Vec<NewJob> {
    let mut unkeyed = Vec::new();
    let mut keyed = BTreeMap::new();
    for job in jobs {
        match &job.dedupe_key {
            None => unkeyed.push(job),
            Some(key) => drop(keyed.insert((job.kind, key.clone()), job)),
        }
    }
    unkeyed.into_iter().chain(keyed.into_values()).collect()
}

#[derive(Default)]
struct Columns {
    ids: Vec<uuid::Uuid>,
    kinds: Vec<String>,
    queues: Vec<String>,
    priorities: Vec<i16>,
    max_attempts: Vec<i16>,
    dedupe_keys: Vec<Option<String>>,
    data: Vec<serde_json::Value>,
    run_ats: Vec<DateTime<Utc>>,
    request_ids: Vec<Option<String>>,
    traceparents: Vec<Option<String>>,
}

impl Columns {
    fn of(mut jobs: Vec<NewJob>) -> Self {
        jobs.sort_by(|a, b| (a.kind, &a.dedupe_key).cmp(&(b.kind, &b.dedupe_key)));
        let mut columns = Self::default();
        for job in jobs {
            columns.ids.push(job.id);
            columns.kinds.push(job.kind.to_owned());
            columns.queues.push(job.queue.as_str().to_owned());
            columns.priorities.push(job.priority);
            columns.max_attempts.push(job.max_attempts);
            columns.dedupe_keys.push(job.dedupe_key);
            columns.data.push(job.data);
            columns.run_ats.push(job.run_at);
            columns.request_ids.push(job.request_id);
            columns.traceparents.push(job.traceparent);
        }
        columns
    }
}

/// One job, as there mostly is: plain values cost Postgres less than arrays of one.
async fn insert_one_or_keep(conn: &mut PgConnection, job: &NewJob, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into jobs
           (id, kind, queue, priority, max_attempts, dedupe_key, data, run_at, request_id, traceparent, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict do nothing",
        job.id,
        job.kind,
        job.queue.as_str(),
        job.priority,
        job.max_attempts,
        job.dedupe_key,
        job.data,
        job.run_at,
        job.request_id,
        job.traceparent,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_or_keep(conn: &mut PgConnection, jobs: &Columns, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into jobs
           (id, kind, queue, priority, max_attempts, dedupe_key, data, run_at, request_id, traceparent, created_at)
         select *, $11 from unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::smallint[],
           $6::text[], $7::jsonb[], $8::timestamptz[], $9::text[], $10::text[])
         on conflict do nothing",
        &jobs.ids,
        &jobs.kinds,
        &jobs.queues,
        &jobs.priorities,
        &jobs.max_attempts,
        &jobs.dedupe_keys as &[Option<String>],
        &jobs.data,
        &jobs.run_ats,
        &jobs.request_ids as &[Option<String>],
        &jobs.traceparents as &[Option<String>],
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_or_replace(conn: &mut PgConnection, jobs: &Columns, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into jobs
           (id, kind, queue, priority, max_attempts, dedupe_key, data, run_at, request_id, traceparent, created_at)
         select *, $11 from unnest($1::uuid[], $2::text[], $3::text[], $4::smallint[], $5::smallint[],
           $6::text[], $7::jsonb[], $8::timestamptz[], $9::text[], $10::text[])
         on conflict (kind, dedupe_key) where state = 'available' and dedupe_key is not null
           do update set run_at = excluded.run_at",
        &jobs.ids,
        &jobs.kinds,
        &jobs.queues,
        &jobs.priorities,
        &jobs.max_attempts,
        &jobs.dedupe_keys as &[Option<String>],
        &jobs.data,
        &jobs.run_ats,
        &jobs.request_ids as &[Option<String>],
        &jobs.traceparents as &[Option<String>],
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
