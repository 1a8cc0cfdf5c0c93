//! The queue's SQL, except for the entrance (`humanchat-jobs`).
//!
//! A running job belongs to (`locked_by`, `claims`); whoever changes it names both, so that an
//! acknowledgement that comes too late changes nothing. Leases are on the database's clock, due
//! times on the caller's.

use std::time::Duration;

use chrono::{DateTime, Utc};
use humanchat_domain::pool::Pool;
use humanchat_jobs::Queue;
use serde_json::value::RawValue;
use sqlx::{Connection, PgConnection, types::Json};
use uuid::Uuid;

/// What a fetch asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// From this queue.
    pub queue: Queue,
    /// Of this priority.
    pub priority: i16,
    /// Of these kinds.
    pub kinds: &'a [String],
    /// At most so many.
    pub limit: usize,
    /// Due by then.
    pub now: DateTime<Utc>,
    /// Not before this place in the order of due times and ids. Jobs that were taken stay in the
    /// index until the next vacuum; a fetch that begins behind them needn't step over them.
    pub from: (DateTime<Utc>, Uuid),
    /// For this process.
    pub owner: Uuid,
    /// And so long, unless it is renewed.
    pub lease: Duration,
}

/// A job that was taken.
#[derive(Debug)]
pub struct Row {
    /// Its id.
    pub id: Uuid,
    /// Its kind.
    pub kind: String,
    /// Its payload.
    pub data: Json<Box<RawValue>>,
    /// Which attempt this is.
    pub attempt: i16,
    /// How many there may be.
    pub max_attempts: i16,
    /// Which taking this is.
    pub claims: i32,
    /// Whether another of its key may wait meanwhile.
    pub keyed: bool,
    /// The request it descends from.
    pub request_id: Option<String>,
    /// The span it was asked for in.
    pub traceparent: Option<String>,
    /// When it was due.
    pub run_at: DateTime<Utc>,
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Takes due jobs, the longest due first.
///
/// A crash of the database may undo the taking: then the job was never taken, and what its run has
/// to say is refused. So the commit need not wait for the disk.
pub(crate) async fn fetch(conn: &mut PgConnection, wanted: Wanted<'_>) -> sqlx::Result<Vec<Row>> {
    let mut rows = sqlx::query_as!(
        Row,
        r#"with next as materialized (
             select id from jobs
             where queue = $1 and priority = $2 and state = 'available' and run_at <= $3 and kind = any($4)
               and (run_at, id) >= ($8, $9)
               and not exists (select from queue_pauses p where p.queue = $1)
               and (select set_config('synchronous_commit', 'off', true)) is not null
             order by queue, priority, run_at, id
             limit $5
             for update skip locked
           )
           update jobs set state = 'running', attempt = attempt + 1, claims = claims + 1, started_at = $3,
             locked_by = $6, lease_until = now() + make_interval(secs => $7)
           from next
           where jobs.id = next.id
           returning jobs.id, kind, data as "data: Json<Box<RawValue>>", attempt, max_attempts, claims,
             dedupe_key is not null as "keyed!", request_id, traceparent, run_at"#,
        wanted.queue.as_str(),
        wanted.priority,
        wanted.now,
        wanted.kinds,
        count(wanted.limit),
        wanted.owner,
        wanted.lease.as_secs_f64(),
        wanted.from.0,
        wanted.from.1,
    )
    .fetch_all(conn)
    .await?;
    rows.sort_by_key(|row| (row.run_at, row.id));
    Ok(rows)
}

/// Takes due jobs of a kind of which only `most` may run, over all workers. `None` when another
/// worker is just taking some.
pub(crate) async fn fetch_limited(
    conn: &mut PgConnection,
    kind: &str,
    most: u32,
    wanted: Wanted<'_>,
) -> sqlx::Result<Option<Vec<Row>>> {
    let mut tx = conn.begin().await?;
    let locked = sqlx::query_scalar!(
        r#"select pg_try_advisory_xact_lock(hashtextextended('humanchat:take:' || $1::text, 0)) as "locked!""#,
        kind
    )
    .fetch_one(&mut *tx)
    .await?;
    if !locked {
        return Ok(None);
    }
    // A statement of its own: it has to see what was committed before the lock was had.
    let running =
        sqlx::query_scalar!(r#"select count(*) as "count!" from jobs where kind = $1 and state = 'running'"#, kind)
            .fetch_one(&mut *tx)
            .await?;
    let free = usize::try_from(i64::from(most) - running).unwrap_or(0);
    let rows =
        if free == 0 { Vec::new() } else { fetch(&mut tx, Wanted { limit: wanted.limit.min(free), ..wanted }).await? };
    tx.commit().await?;
    Ok(Some(rows))
}

/// Which of these kinds have a job that is due, in which priority; most urgent first.
pub(crate) async fn due_kinds(
    conn: &mut PgConnection,
    queue: Queue,
    priorities: &[i16],
    kinds: &[String],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<(i16, String)>> {
    let rows = sqlx::query!(
        r#"select p.priority as "priority!", k.kind as "kind!"
           from unnest($2::smallint[]) with ordinality as p(priority, rank), unnest($3::text[]) as k(kind)
           where exists (select from jobs
             where queue = $1 and priority = p.priority and state = 'available' and run_at <= $4 and kind = k.kind)
           order by rank"#,
        queue.as_str(),
        priorities,
        kinds,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.priority, row.kind)).collect())
}

/// The priorities that wait in a queue, most urgent first, and when the next job of each is due
/// after `now`. Reads one index entry each.
pub(crate) async fn look_ahead(
    conn: &mut PgConnection,
    queue: Queue,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<(i16, Option<DateTime<Utc>>)>> {
    let rows = sqlx::query!(
        r#"with recursive waiting as (
             (select priority from jobs where queue = $1 and state = 'available' order by queue, priority limit 1)
             union all
             select (select j.priority from jobs j
                     where j.queue = $1 and j.state = 'available' and j.priority > w.priority
                     order by j.queue, j.priority limit 1)
             from waiting w where w.priority is not null
           )
           select priority as "priority!",
             (select run_at from jobs j
              where j.queue = $1 and j.priority = w.priority and j.state = 'available' and j.run_at > $2
              order by j.queue, j.priority, j.run_at limit 1) as run_at
           from waiting w where priority is not null"#,
        queue.as_str(),
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.priority, row.run_at)).collect())
}

/// What is to become of a running job.
#[derive(Debug, Clone)]
pub struct Change {
    /// The job.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Uuid,
    /// By which taking.
    pub claims: i32,
    /// `available`, `parked` or `cancelled`.
    pub state: &'static str,
    /// When it is due again; `None` leaves the time as it is.
    pub run_at: Option<DateTime<Utc>>,
    /// Attempts to give back: 1 or 0.
    pub refund: i16,
    /// Deaths of its process to count: 1 or 0.
    pub rescue: i16,
    /// What went wrong; `None` leaves what was written before.
    pub error: Option<String>,
    /// Only if its lease has run out.
    pub only_expired: bool,
}

/// Marks jobs of one owner as done, all of which it took for the same time. Returns those that were its own.
///
/// An owner means that the job is running. Not to say so leaves the planner no other way than the primary key, however
/// many jobs it thinks there are.
pub(crate) async fn finish(
    conn: &mut PgConnection,
    owner: Uuid,
    claims: i32,
    ids: &[Uuid],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        "update jobs set state = 'done', finished_at = $4, locked_by = null, lease_until = null
         where id = any($1) and claims = $2 and locked_by = $3
         returning id",
        ids,
        claims,
        owner,
        now,
    )
    .fetch_all(conn)
    .await
}

/// Changes jobs together. Those that become available must have no key. Returns those that were
/// their owner's.
pub(crate) async fn change(conn: &mut PgConnection, changes: &[Change], now: DateTime<Utc>) -> sqlx::Result<Vec<Uuid>> {
    fn column<T>(changes: &[Change], of: impl Fn(&Change) -> T) -> Vec<T> {
        changes.iter().map(of).collect()
    }
    sqlx::query_scalar!(
        "update jobs set state = s.state, run_at = coalesce(s.run_at, jobs.run_at),
           attempt = jobs.attempt - s.refund, rescues = jobs.rescues + s.rescue,
           last_error = coalesce(s.error, jobs.last_error), locked_by = null, lease_until = null,
           finished_at = case when s.state <> 'available' then $10::timestamptz end
         from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::timestamptz[], $6::smallint[],
                $7::smallint[], $8::text[], $9::boolean[])
           as s(id, owner, claims, state, run_at, refund, rescue, error, only_expired)
         where jobs.id = any($1) and jobs.id = s.id and jobs.claims = s.claims and jobs.locked_by = s.owner
           and (not s.only_expired or jobs.lease_until < now())
         returning jobs.id",
        &column(changes, |change| change.id),
        &column(changes, |change| change.owner),
        &column(changes, |change| change.claims),
        &column(changes, |change| change.state.to_owned()),
        &column(changes, |change| change.run_at) as &[Option<DateTime<Utc>>],
        &column(changes, |change| change.refund),
        &column(changes, |change| change.rescue),
        &column(changes, |change| change.error.clone()) as &[Option<String>],
        &column(changes, |change| change.only_expired),
        now,
    )
    .fetch_all(conn)
    .await
}

/// Makes a job with a key available again, or cancels it if another of its key waits by now.
/// Returns whether it was its owner's.
///
/// One job at a time: several keys locked in one transaction could wait for somebody who enqueues
/// the same ones in another order.
pub(crate) async fn put_back(conn: &mut PgConnection, job: &Change, now: DateTime<Utc>) -> sqlx::Result<bool> {
    match change(conn, std::slice::from_ref(job), now).await {
        Ok(changed) => Ok(!changed.is_empty()),
        Err(sqlx::Error::Database(error)) if error.constraint() == Some("jobs_waiting_key") => {
            let superseded = Change {
                state: "cancelled",
                error: Some("superseded by a waiting job of the same key".to_owned()),
                ..job.clone()
            };
            Ok(!change(conn, &[superseded], now).await?.is_empty())
        }
        Err(error) => Err(error),
    }
}

/// Renews the leases of these jobs. Returns those that are still the owner's.
///
/// Rows that are just being acknowledged are passed over: they need no lease, and waiting for them
/// could end in a deadlock.
pub(crate) async fn renew(
    conn: &mut PgConnection,
    owner: Uuid,
    ids: &[Uuid],
    lease: Duration,
) -> sqlx::Result<Vec<(Uuid, i32)>> {
    let rows = sqlx::query!(
        r#"with held as (
             select id, claims from jobs where id = any($1) and locked_by = $2
           ), free as materialized (
             select id from jobs where id = any($1) and locked_by = $2
             for update skip locked
           ), renewed as (
             update jobs set lease_until = now() + make_interval(secs => $3) from free where jobs.id = any($1) and jobs.id = free.id
           )
           select id as "id!", claims as "claims!" from held"#,
        ids,
        owner,
        lease.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.claims)).collect())
}

/// Tries to become the one worker that rescues, until the transaction ends.
pub(crate) async fn lock_rescue(tx: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock(hashtextextended('humanchat:rescue', 0)) as "locked!""#)
        .fetch_one(tx)
        .await
}

/// A job whose lease ran out.
#[derive(Debug)]
pub struct Expired {
    /// The job.
    pub id: Uuid,
    /// Its kind.
    pub kind: String,
    /// Its queue's name.
    pub queue: String,
    /// Who had it.
    pub owner: Uuid,
    /// By which taking.
    pub claims: i32,
    /// Which attempt that was.
    pub attempt: i16,
    /// How many there may be.
    pub max_attempts: i16,
    /// How often its process died before.
    pub rescues: i16,
    /// Whether another of its key may wait.
    pub keyed: bool,
}

/// Running jobs whose lease has run out, the oldest first.
pub(crate) async fn expired(conn: &mut PgConnection, limit: i64) -> sqlx::Result<Vec<Expired>> {
    sqlx::query_as!(
        Expired,
        r#"select id, kind, queue, locked_by as "owner!", claims, attempt, max_attempts, rescues,
             dedupe_key is not null as "keyed!"
           from jobs where state = 'running' and lease_until < now() order by lease_until limit $1"#,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Wakes the fetchers of these queues (comma-separated) in all workers.
pub(crate) async fn nudge(conn: &mut PgConnection, channel: &str, queues: &str) -> sqlx::Result<()> {
    sqlx::query!("select pg_notify($1, $2) as notified", channel, queues).fetch_one(conn).await?;
    Ok(())
}

/// Deletes some jobs that finished before then; parked ones aren't finished. Says how many.
pub(crate) async fn prune_finished(pool: &Pool, before: DateTime<Utc>, limit: i64) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "delete from jobs where id in (
           select id from jobs where state in ('done', 'cancelled') and finished_at < $1
           order by finished_at limit $2 for update skip locked)",
        before,
        limit,
    )
    .execute(pool)
    .await?;
    Ok(result.rows_affected())
}
