//! Fresh databases for integration tests, copied from a migrated template.
//!
//! `bin/test` starts a throw-away cluster and names it in `TEST_DATABASE_URL`.

mod contents;
mod input;
mod traces;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use humanchat_jobs::sessions::RemindOfSession;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use url::Url;
use uuid::Uuid;

pub use contents::contents;
pub use input::{Answer, cursor_of, position_of, read_access_token, read_answer, read_webhook, text_so_far};
pub use traces::{rows_that_say, tables_of_people};

use crate::{
    Store,
    auth::{AccessToken, Role},
    bus::Frame,
    clock::Clock,
    config::Settings,
    event::Channel,
    id::{ActionId, ConversationId, LoginId, PaymentId, RunId, SessionId, UserId},
    realtime,
    users::DisplayMode,
};

const TEMPLATE: &str = "humanchat_template";

/// A database of a test's own. It ends with the throw-away cluster.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    url: Url,
}

/// A variable of the environment: how much of something to test, say.
pub fn env(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "tests are told by bin/test where the cluster is")]
    std::env::var(name).ok()
}

impl TestDatabase {
    /// Copies the migrated template into a new database.
    ///
    /// # Panics
    /// When no throw-away cluster is running: tests are run by `bin/test`.
    #[expect(clippy::expect_used, reason = "only tests call this")]
    pub async fn create() -> Self {
        let admin = env("TEST_DATABASE_URL").expect("TEST_DATABASE_URL is not set: run tests with bin/test");
        let mut url = Url::parse(&admin).expect("TEST_DATABASE_URL is a URL");
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(&admin).await.expect("the throw-away cluster answers");
        let statement = format!("create database {name} template {TEMPLATE} strategy file_copy");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("a database can be created");
        url.set_path(&name);
        Self { url }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// A context in it with the given clock, no Redis, and settings changed as told.
    ///
    /// # Panics
    /// When a setting can't be used.
    #[expect(clippy::expect_used, reason = "only tests call this")]
    pub fn store_with(&self, clock: Clock, settings: &[(&str, &str)]) -> Store {
        let mut all = HashMap::from([
            ("DATABASE_URL", self.url()),
            ("DATABASE_POOL", "8"),
            ("JWT_SECRET", "a secret of the tests, 32 bytes or more"),
            ("RATE_LIMIT_ANON", "0"),
            ("RATE_LIMIT_USER", "0"),
            ("RATE_LIMIT_ADMIN", "0"),
        ]);
        all.extend(settings.iter().copied());
        let settings = Settings::from_lookup(&|name| all.get(name).map(|value| (*value).to_owned()));
        Store::open(settings.expect("the test's settings are valid"), clock).expect("the test's settings can be used")
    }

    /// A context in it with the given clock and no Redis.
    pub fn store(&self, clock: Clock) -> Store {
        self.store_with(clock, &[])
    }
}

/// Where the throw-away Redis is, if there is one.
pub fn redis_url() -> Option<String> {
    env("TEST_REDIS_URL")
}

/// A time to start manual clocks at: far from any daylight-saving night.
pub fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_794_830_400, 0).unwrap_or_default()
}

/// All that is stored of a channel's events.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn events_of(store: &Store, channel: Channel) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    loop {
        let after = frames.last().and_then(|frame| frame.seq).unwrap_or(0);
        let events = realtime::events_after(store, channel, after, 1 << 20).await.expect("events can be read");
        frames.extend(events.frames);
        if !events.more {
            return frames;
        }
    }
}

/// What a guest owes of a session that is over, in minor units.
///
/// # Panics
/// When the database fails, or the session isn't over.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn owed(store: &Store, session: SessionId) -> i64 {
    let owed = sqlx::query_scalar("select owed_minor from sessions where id = $1").bind(session.0);
    owed.fetch_one(store.pool()).await.expect("the session is over")
}

/// How many people are known to have a socket.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn people_here(store: &Store) -> i64 {
    let here = sqlx::query_scalar("select count(*) from presences where until is null");
    here.fetch_one(store.pool()).await.expect("the database answers")
}

/// Somebody signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub user_id: UserId,
    /// Their login.
    pub login_id: LoginId,
    /// An access token.
    pub token: String,
}

/// The same person's access token, good for the next ninety days.
///
/// # Panics
/// When it is none of this store's.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub fn lasting_token(store: &Store, token: &str) -> String {
    let now = store.clock().now();
    let AccessToken { user_id, login_id } = store.keys.verify(token, now).expect("a good token");
    let later = now + chrono::TimeDelta::days(90);
    store.keys.sign(user_id, login_id, Role::User, later).expect("a token can be signed").0
}

/// Many people with a login each, made at once.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn sign_in_many(store: &Store, count: usize) -> Vec<SignedIn> {
    let people: Vec<_> = (0..count).map(|_| (UserId::new(), LoginId::new())).collect();
    let (users, logins): (Vec<_>, Vec<_>) = people.iter().map(|(user, login)| (user.0, login.0)).unzip();
    let now = store.clock().now();
    sqlx::query(
        "with people as (
           insert into users (id, name, email, email_verified, timezone, created_at, updated_at)
           select id, 'Person', id || '@example.com', true, 'UTC', $3, $3 from unnest($1::uuid[]) as id
         )
         insert into logins (id, user_id, created_at)
         select login, person, $3 from unnest($2::uuid[], $1::uuid[]) as l (login, person)",
    )
    .bind(users)
    .bind(logins)
    .bind(now)
    .execute(store.pool())
    .await
    .expect("people can be made");
    let sign = |(user_id, login_id)| {
        let (token, _) = store.keys.sign(user_id, login_id, Role::User, now).expect("a token can be signed");
        SignedIn { user_id, login_id, token }
    };
    people.into_iter().map(sign).collect()
}

/// How many connections there are to this database.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn connections(store: &Store) -> usize {
    let count: i64 = sqlx::query_scalar("select count(*) from pg_stat_activity where datname = current_database()")
        .fetch_one(store.pool())
        .await
        .expect("connections can be counted");
    usize::try_from(count).unwrap_or_default()
}

/// Takes somebody out of a conversation, which no operation does.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn remove_participant(store: &Store, conversation: ConversationId, user: UserId) {
    sqlx::query("delete from conversation_participants where conversation_id = $1 and user_id = $2")
        .bind(conversation.0)
        .bind(user.0)
        .execute(store.pool())
        .await
        .expect("a participant can be removed");
}

/// A booked session of thirty minutes between a host and a guest, as if it had been agreed now.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn book(
    store: &Store,
    (host, guest): (UserId, UserId),
    conversation: ConversationId,
    start: DateTime<Utc>,
) -> SessionId {
    let id = SessionId::new();
    sqlx::query(
        "insert into sessions (id, host_user_id, guest_user_id, conversation_id, type, status, start_time, end_time,
                               duration_minutes, booked_minutes, currency, payment_mode, cancellation_policy, confirmed_at,
                               created_at, updated_at)
         values ($1, $2, $3, $4, 'scheduled', 'pending', $5, $5 + interval '30 minutes', 30, 30, 'usd', 'free',
                 '{\"full_refund_hours\": 24, \"half_refund_hours\": 1}', $6, $6, $6)",
    )
    .bind(id)
    .bind(host)
    .bind(guest)
    .bind(conversation)
    .bind(start)
    .bind(store.clock().now())
    .execute(store.pool())
    .await
    .expect("a session can be booked");
    id
}

/// How many notifications everybody has who has any.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn notifications_by_person(store: &Store) -> HashMap<UserId, i64> {
    let rows: Vec<(UserId, i64)> = sqlx::query_as("select user_id, count(*) from notifications group by user_id")
        .fetch_all(store.pool())
        .await
        .expect("notifications can be counted");
    rows.into_iter().collect()
}

/// How many rows there are about what people asked Sam: questions, proposals, people and skills they count for.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn traces_of_sam(store: &Store) -> i64 {
    let count = "select (select count(*) from sam_runs) + (select count(*) from sam_actions)
                      + (select count(*) from requested_people_askers)";
    sqlx::query_scalar(count).fetch_one(store.pool()).await.expect("the database answers")
}

/// A change of somebody's headline, as Sam would propose it in answer to a question of theirs.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn propose(store: &Store, user: UserId, run: RunId) -> ActionId {
    let (id, now) = (ActionId::new(), store.clock().now());
    let deed = "{\"type\": \"update_profile\", \"fields\": {\"headline\": \"Learns about bees\"}}";
    sqlx::query(
        "insert into sam_actions (id, run_id, user_id, deed, terms, expires_at, created_at)
         values ($1, $2, $3, $4::jsonb, '{\"headline\": \"\"}', $5 + interval '10 minutes', $5)",
    )
    .bind(id)
    .bind(run)
    .bind(user)
    .bind(deed)
    .bind(now)
    .execute(store.pool())
    .await
    .expect("a proposal can be stored");
    id
}

/// How many times of hosts are kept for proposals.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn kept_offers(store: &Store) -> i64 {
    let count = "select count(*) from engagements where offer_id is not null";
    sqlx::query_scalar(count).fetch_one(store.pool()).await.expect("the database answers")
}

/// What the model took for somebody until now, and what is counted for questions on their way: tokens.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn tokens_of(store: &Store, user: UserId) -> i64 {
    let sum = sqlx::query_scalar(
        "select coalesce(sum(input_tokens + output_tokens), 0)::bigint from sam_runs where user_id = $1",
    );
    sum.bind(user).fetch_one(store.pool()).await.expect("the database answers")
}

/// What staff decide about a person.
#[derive(Debug, Clone, Copy)]
pub struct Flags {
    /// How they are reached.
    pub display_mode: DisplayMode,
    /// Whether staff answer for them.
    pub managed: bool,
    /// Whether their rate is hidden from others.
    pub confidential_rate: bool,
    /// Whether they are shut out.
    pub suspended: bool,
}

impl Default for Flags {
    fn default() -> Self {
        Self { display_mode: DisplayMode::Normal, managed: false, confidential_rate: false, suspended: false }
    }
}

/// Sets somebody's flags as staff would.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn set_flags(store: &Store, id: UserId, flags: Flags) {
    sqlx::query(
        "update users set display_mode = $2, managed = $3, confidential_rate = $4,
           suspended_at = case when $5 then $6 end where id = $1",
    )
    .bind(id)
    .bind(flags.display_mode)
    .bind(flags.managed)
    .bind(flags.confidential_rate)
    .bind(flags.suspended)
    .bind(store.clock().now())
    .execute(store.pool())
    .await
    .expect("flags can be set");
}

/// Lets somebody answer for a managed person, or nobody.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn set_manager(store: &Store, id: UserId, manager: Option<UserId>) {
    sqlx::query("update users set managed = $2 is not null, manager_id = $2 where id = $1")
        .bind(id)
        .bind(manager)
        .execute(store.pool())
        .await
        .expect("a manager can be set");
}

/// Makes every api process look as if it had last been seen this much earlier.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn age_socket_processes(store: &Store, by: std::time::Duration) {
    sqlx::query("update socket_processes set seen_at = seen_at - $1")
        .bind(by)
        .execute(store.pool())
        .await
        .expect("processes can be aged");
}

/// A job's row.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct JobRow {
    /// Where it stands.
    pub state: String,
    /// When it was due.
    pub run_at: DateTime<Utc>,
    /// When it was last begun.
    pub started_at: Option<DateTime<Utc>>,
    /// How often its process died while it ran.
    pub rescues: i16,
}

/// Everything that stands in the queue, a line a job.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn queue_in_words(store: &Store) -> String {
    let jobs: Vec<String> = sqlx::query_scalar("select jobs::text from jobs order by id")
        .fetch_all(store.pool())
        .await
        .expect("jobs can be read");
    jobs.join("\n")
}

/// The jobs of a kind, oldest first.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn jobs(store: &Store, kind: &str) -> Vec<JobRow> {
    sqlx::query_as("select state, run_at, started_at, rescues from jobs where kind = $1 order by id")
        .bind(kind)
        .fetch_all(store.pool())
        .await
        .expect("jobs can be read")
}

/// Makes the leases of all running jobs look this much older; who lives renews theirs.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn age_leases(store: &Store, by: std::time::Duration) {
    sqlx::query("update jobs set lease_until = lease_until - $1 where state = 'running'")
        .bind(by)
        .execute(store.pool())
        .await
        .expect("leases can be aged");
}

/// Asks for a reminder of a session that was never moved, as if it were due now.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn remind_now(store: &Store, session_id: SessionId, minutes_before: i32) {
    let mut tx = store.begin(None).await.expect("the database answers");
    tx.enqueue(&RemindOfSession { session_id, version: 1, minutes_before }).expect("a job can be written");
    tx.commit().await.expect("a job can be stored");
}

/// Jobs of a kind that nobody can write about.
#[derive(Debug)]
pub struct JobLock(PgConnection);

#[expect(clippy::expect_used, reason = "only tests call these")]
impl JobLock {
    /// Locks the jobs' rows, on a connection that isn't the store's.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn take(store: &Store, kind: &str) -> Self {
        let options = store.pool().connect_options();
        let mut holder = PgConnection::connect_with(options).await.expect("the database answers");
        sqlx::raw_sql("begin").execute(&mut holder).await.expect("a transaction begins");
        let lock = sqlx::query("select id from jobs where kind = $1 for update").bind(kind);
        lock.execute(&mut holder).await.expect("the jobs can be locked");
        Self(holder)
    }

    /// Lets everybody at the jobs again, but for those who wait for them now: whoever died waiting would
    /// still be heard.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn release_after_sending_away(mut self) {
        let send_away = "select pg_terminate_backend(pid) from pg_stat_activity
                         where datname = current_database() and wait_event_type = 'Lock'; commit";
        sqlx::raw_sql(send_away).execute(&mut self.0).await.expect("the lock can be released");
    }
}

/// A table that nobody can read or write.
#[derive(Debug)]
pub struct TableLock {
    holder: PgConnection,
    watcher: PgConnection,
    table: &'static str,
}

#[expect(clippy::expect_used, reason = "only tests call these")]
impl TableLock {
    /// Locks a table, on a connection that isn't the store's.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn take(store: &Store, table: &'static str) -> Self {
        Self::lock(store, table, "access exclusive").await
    }

    /// The same, but the table can be read.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn against_writes(store: &Store, table: &'static str) -> Self {
        Self::lock(store, table, "share").await
    }

    async fn lock(store: &Store, table: &'static str, mode: &str) -> Self {
        let options = store.pool().connect_options();
        let connect = async || PgConnection::connect_with(options).await.expect("the database answers");
        let (mut holder, watcher) = (connect().await, connect().await);
        let statement = format!("begin; lock table {table} in {mode} mode");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut holder).await.expect("the table can be locked");
        Self { holder, watcher, table }
    }

    /// How many wait for the table.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn waiting(&mut self) -> i64 {
        // Databases copied from one template have the same numbers for their tables.
        sqlx::query_scalar(
            "select count(*) from pg_locks l join pg_database d on d.oid = l.database
             where not l.granted and l.relation = $1::regclass and d.datname = current_database()",
        )
        .bind(self.table)
        .fetch_one(&mut self.watcher)
        .await
        .expect("locks can be read")
    }

    /// Lets everybody at the table again.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn release(mut self) {
        sqlx::raw_sql("commit").execute(&mut self.holder).await.expect("the lock can be released");
    }
}

/// What is booked for a payment: account and amount, oldest first.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn booked(store: &Store, payment: PaymentId) -> Vec<(String, i64)> {
    sqlx::query_as(
        "select account, e.amount_minor from ledger_entries e join ledger_transactions t on t.id = e.transaction_id
         where t.payment_id = $1 order by t.id, account desc",
    )
    .bind(payment)
    .fetch_all(store.pool())
    .await
    .expect("the ledger can be read")
}

/// How many calls to the payment provider are not settled.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn open_calls(store: &Store) -> i64 {
    sqlx::query_scalar("select count(*) from payment_calls where state = 'open'")
        .fetch_one(store.pool())
        .await
        .expect("calls can be counted")
}

/// What was asked of the payment provider for a payment, and done, in all.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn done_calls(store: &Store, payment: PaymentId, kind: &str) -> i64 {
    sqlx::query_scalar(
        "select coalesce(sum(amount_minor), 0)::bigint from payment_calls
         where payment_id = $1 and kind = $2 and state = 'done'",
    )
    .bind(payment)
    .bind(kind)
    .fetch_one(store.pool())
    .await
    .expect("calls can be added up")
}

/// How webhook events stand: type and state, in the order they came.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn heard(store: &Store) -> Vec<(String, String)> {
    sqlx::query_as("select type, state from webhook_events order by received_at, id")
        .fetch_all(store.pool())
        .await
        .expect("events can be read")
}

/// What the database says to a statement that it should refuse.
///
/// # Panics
/// When it doesn't.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn refusal_of(store: &Store, statement: &str) -> String {
    let refused = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(store.pool()).await;
    refused.expect_err("the statement is refused").to_string()
}

/// Has a payment's hold end at another time than the provider's, as a bank may say.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn set_capture_before(store: &Store, payment: PaymentId, at: DateTime<Utc>) {
    sqlx::query("update payments set capture_before = $2 where id = $1")
        .bind(payment.0)
        .bind(at)
        .execute(store.pool())
        .await
        .expect("a hold can be shortened");
}

/// What the platform owes somebody by its books, in minor units.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn owed_to(store: &Store, user: UserId) -> i64 {
    sqlx::query_scalar("select coalesce(-sum(amount_minor), 0)::bigint from ledger_entries where user_id = $1")
        .bind(user.0)
        .fetch_one(store.pool())
        .await
        .expect("the ledger can be read")
}
