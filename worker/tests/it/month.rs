//! Weeks of use, step by step: what is pruned stays as large as it was, in rows and on the disk.

use std::{fmt::Write as _, time::Duration};

use humanchat_domain::{
    clock::Clock,
    testing::{noon, sign_in_many},
};
use humanchat_worker::{
    schedule::Schedule,
    testing::{Outcome, drain},
};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::harness::Queue;

const STEP: Duration = Duration::from_hours(48);
/// After so many steps everything is gone that was there at first.
const LONGEST_KEPT: u32 = 16;
const MORE: u32 = 4;

/// What use leaves behind at a step, a hundred times: $1 is the time, $2 somebody.
const USE: &[&str] = &[
    "insert into jobs (id, kind, queue, priority, data, state, run_at, attempt, max_attempts, created_at, finished_at)
     select gen_random_uuid(), 'nothing', 'default', 20, '{}', 'done', $1, 1, 3, $1, $1
     from generate_series(1, 100), (select $2::uuid) who",
    "with login as (insert into logins (id, user_id, created_at)
                    select gen_random_uuid(), $2, $1 from generate_series(1, 100) returning id),
          ticket as (insert into socket_tickets (hash, login_id, expires_at)
                     select sha256(uuid_send(id)), id, $1::timestamptz + interval '30 seconds' from login)
     insert into refresh_tokens (hash, login_id, created_at, expires_at)
     select sha256(uuid_send(id)), id, $1, $1::timestamptz + interval '30 days' from login",
    "insert into magic_links (id, email, created_at, expires_at)
     select gen_random_uuid(), 'somebody@example.com', $1, $1::timestamptz + interval '15 minutes'
     from generate_series(1, 100), (select $2::uuid) who",
    "insert into idempotency_keys (user_id, route, key, body_hash, status, reply, created_at)
     select $2, '/', gen_random_uuid(), sha256(''), 201, '{}', $1 from generate_series(1, 100)",
    "insert into presences (user_id, since, until) select $2, $1, $1 from generate_series(1, 100)",
    // Read 85 days ago: it has five more.
    "insert into notifications (id, user_id, kind, key, title, body, created_at, read_at)
     select gen_random_uuid(), $2, 'message', gen_random_uuid(), 'A message', '', $1, $1::timestamptz - interval '85 days'
     from generate_series(1, 100)",
    "insert into webhook_events (id, type, object_id, state, created_at, received_at)
     select gen_random_uuid(), 'charge.captured', 'ch_1', 'done', $1, $1
     from generate_series(1, 100), (select $2::uuid) who",
    "insert into events (channel, seq, type, payload, created_at)
     select 'conversation:' || gen_random_uuid(), 1, 'message.created', '{}', $1
     from generate_series(1, 100), (select $2::uuid) who",
];

const TABLES: &[&str] = &[
    "events",
    "idempotency_keys",
    "jobs",
    "logins",
    "magic_links",
    "notifications",
    "presences",
    "refresh_tokens",
    "socket_tickets",
    "webhook_events",
];

/// A table's rows and bytes, with its indexes and partitions.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
struct Size {
    rows: i64,
    bytes: i64,
}

async fn size(queue: &Queue, table: &str) -> Size {
    let query = format!(
        "select (select count(*) from {table}) as rows,
                coalesce((select sum(pg_total_relation_size(relid)) from pg_partition_tree('{table}'))::bigint,
                         pg_total_relation_size('{table}')) as bytes"
    );
    sqlx::query_as(AssertSqlSafe(query)).fetch_one(queue.pool()).await.unwrap()
}

#[tokio::test]
async fn what_is_pruned_stays_as_large_as_it_was() {
    let clock = Clock::manual(noon());
    let queue = Queue::with_clock(clock.clone()).await;
    let somebody: Uuid = sign_in_many(&queue.store, 1).await[0].user_id.0;
    let vacuum = TABLES.iter().fold(String::new(), |mut all, table| {
        write!(all, "vacuum {table};").unwrap();
        all
    });
    let mut sizes = [Vec::new(), Vec::new()];
    for step in 0..=LONGEST_KEPT + MORE {
        Schedule::all().tick(&queue.store).await.unwrap();
        let outcomes = drain(&queue.store).await;
        assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Done), "{outcomes:?}");
        // As the server does by itself, where it isn't told to leave tests alone.
        for statement in vacuum.split_inclusive(';') {
            sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(queue.pool()).await.unwrap();
        }
        if [LONGEST_KEPT, LONGEST_KEPT + MORE].contains(&step) {
            for table in TABLES {
                sizes[usize::from(step > LONGEST_KEPT)].push(size(&queue, table).await);
            }
        }
        let now = clock.now();
        for statement in USE {
            sqlx::query(*statement).bind(now).bind(somebody).execute(queue.pool()).await.unwrap();
        }
        clock.advance(STEP);
    }
    let [then, later] = sizes;
    for ((table, then), later) in TABLES.iter().zip(then).zip(later) {
        println!("{table}: {} rows in {} bytes, a week later {} in {}", then.rows, then.bytes, later.rows, later.bytes);
        assert_eq!(then.rows, later.rows, "{table}");
        // Where pages are used again may differ a little from day to day.
        assert!(later.bytes <= then.bytes + then.bytes / 4, "{table}: {then:?}, then {later:?}");
    }
}
