//! The database, seen from beside the product: tables as they are, what still moves, and sabotage.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::de::DeserializeOwned;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, types::Json};
use uuid::Uuid;

use crate::history::shown;

/// Ways to break the product's promises on purpose, to see that the checker notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sabotage {
    /// Now and then an acknowledged message isn't kept.
    LoseMessages,
    /// Now and then an event isn't kept.
    LoseEvents,
    /// Now and then a job is forgotten.
    LoseJobs,
    /// Now and then more is booked in the ledger than was taken.
    CookBooks,
}

/// Connects as the superuser.
pub(crate) async fn connect(url: &str) -> Result<PgConnection> {
    PgConnection::connect(url).await.context("cannot connect to Postgres")
}

/// All rows of a table. What a row says beside the fields of `T` is left out.
pub(crate) async fn rows<T>(conn: &mut PgConnection, table: &str) -> Result<Vec<T>>
where
    T: DeserializeOwned + Send + Unpin + 'static,
{
    let query = AssertSqlSafe(format!("select to_jsonb(row) from {table} row"));
    let rows: Vec<Json<T>> = sqlx::query_scalar(query).fetch_all(conn).await.with_context(|| table.to_owned())?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// What isn't at rest yet, in words. Jobs of the clock come and go, and are never all done.
pub(crate) async fn unrest(conn: &mut PgConnection) -> Result<Vec<String>> {
    let query = "
        select format('%s %s jobs of %s', count(*), state, kind) from jobs
        where kind <> all ($1)
          and (state = 'running' or (state = 'available' and run_at < now() + interval '1 second'))
        group by state, kind
        union all
        select format('%s pending invites', count(*)) from invites where status = 'pending' having count(*) > 0
        union all
        select format('%s open calls to the provider', count(*)) from payment_calls where state = 'open' having count(*) > 0
        union all
        select format('%s holds of unpaid bookings', count(*)) from sessions where hold_expires_at < now() having count(*) > 0
        union all
        select format('%s unanswered questions to Sam', count(*)) from sam_runs where status = 'running' having count(*) > 0";
    Ok(sqlx::query_scalar(query).bind(PERIODIC).fetch_all(conn).await?)
}

/// The jobs that the clock asks for.
pub(crate) const PERIODIC: &[&str] = &[
    "sweep_presence",
    "rotate_events",
    "prune_jobs",
    "prune_credentials",
    "prune_replies",
    "reconcile_payments",
    "prune_presences",
    "prune_notifications",
    "prune_webhook_events",
    "plan_digests",
    "watch_holds",
    "pay_hosts",
];

/// Lets jobs that failed try again now: how long they'd wait proves nothing more. Running ones are left
/// to their owners, and to their leases.
pub(crate) async fn hurry(conn: &mut PgConnection) -> Result<()> {
    let query = "update jobs set run_at = now() where state = 'available' and attempt > 0 and run_at > now()";
    sqlx::query(query).execute(conn).await?;
    Ok(())
}

/// Asks for what the clock asks for every ten minutes: to compare our books with the provider's.
pub(crate) async fn ask_for_reconciliation(conn: &mut PgConnection) -> Result<()> {
    let query = "
        insert into jobs (id, kind, queue, priority, data, run_at, max_attempts, dedupe_key, created_at)
        values (gen_random_uuid(), 'reconcile_payments', 'payments', 20, '{}', now(), 3, 'any', now())
        on conflict do nothing";
    sqlx::query(query).execute(conn).await?;
    Ok(())
}

/// Whether a comparison of the books is still asked for.
pub(crate) async fn is_reconciling(conn: &mut PgConnection) -> Result<bool> {
    let query = "select exists (select from jobs where kind = 'reconcile_payments'
                                and (state = 'running' or (state = 'available' and run_at <= now())))";
    Ok(sqlx::query_scalar(query).fetch_one(conn).await?)
}

/// The process of a connection of the product's that is at work, if there is one.
pub(crate) async fn a_backend(url: &str) -> Result<Option<u32>> {
    let mut conn = connect(url).await?;
    let query = "select pid from pg_stat_activity where usename = 'humanchat' and backend_type = 'client backend'
                 order by state = 'active' desc, random() limit 1";
    let pid: Option<i32> = sqlx::query_scalar(query).fetch_optional(&mut conn).await?;
    conn.close().await?;
    Ok(pid.and_then(|pid| u32::try_from(pid).ok()))
}

/// Breaks a promise from now on.
pub(crate) async fn sabotage(conn: &mut PgConnection, how: Sabotage) -> Result<()> {
    // A deferred trigger strikes within the commit that the product waits for and then acknowledges.
    let (table, condition, deed) = match how {
        Sabotage::LoseMessages => (
            "messages",
            "new.seq % 5 = 0 and new.sender_id is not null",
            "delete from messages where conversation_id = new.conversation_id and seq = new.seq",
        ),
        Sabotage::LoseEvents => {
            ("events", "new.seq % 11 = 0", "delete from events where channel = new.channel and seq = new.seq")
        }
        Sabotage::LoseJobs => {
            ("jobs", "new.kind = 'expire_invite' and random() < 0.2", "delete from jobs where id = new.id")
        }
        Sabotage::CookBooks => (
            "ledger_transactions",
            "new.kind = 'capture'",
            "update ledger_entries set amount_minor = 2 * amount_minor where transaction_id = new.id",
        ),
    };
    if how == Sabotage::CookBooks {
        sqlx::query("alter table ledger_entries disable trigger ledger_entries_stay").execute(&mut *conn).await?;
    }
    let statements = format!(
        "create function sabotage() returns trigger language plpgsql security definer as $$
         begin {deed}; return null; end $$;
         create constraint trigger sabotage after insert on {table} deferrable initially deferred
         for each row when ({condition}) execute function sabotage()"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(conn).await?;
    Ok(())
}

/// Who is in which conversation, by the id as the product shows it.
pub(crate) async fn participants(conn: &mut PgConnection) -> Result<HashSet<(String, Uuid)>> {
    let query = "select conversation_id, user_id from conversation_participants";
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(query).fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(conversation, user)| (shown("conv", conversation), user)).collect())
}
