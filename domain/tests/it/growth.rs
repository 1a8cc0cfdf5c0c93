//! Which tables grow with use: each is pruned by an index, bounded by something else, or kept on purpose and named in
//! docs/operations.md.

use std::collections::BTreeSet;

use humanchat_domain::{Store, clock::Clock, testing::TestDatabase};

/// What a chore deletes, and by which column. `worker/tests/it/month.rs` lets it run for weeks.
const PRUNED: &[(&str, &str)] = &[
    ("events_rest", "created_at"),
    ("idempotency_keys", "created_at"),
    ("jobs", "finished_at"),
    ("magic_links", "expires_at"),
    ("notifications", "read_at"),
    ("presences", "until"),
    ("refresh_tokens", "expires_at"),
    ("socket_tickets", "expires_at"),
    ("webhook_events", "received_at"),
];

/// Days of them are dropped as a whole.
const BY_THE_DAY: &[&str] = &["events"];

/// As many rows as there are people, conversations or processes, or as lie open.
const BOUNDED: &[&str] = &[
    "availability",
    "engagements",
    "event_channels",
    // Those that no refresh token belongs to any more are deleted.
    "logins",
    "notification_preferences",
    "payment_parties",
    "payout_accounts",
    "queue_pauses",
    "reconciliation",
    "requested_people",
    "requested_people_askers",
    "socket_processes",
    "user_sockets",
];

/// What is kept for ever.
const KEPT: &[&str] = &[
    "announcements",
    "attendance",
    "audit_log",
    "conversation_participants",
    "conversations",
    "invites",
    "ledger_days",
    "ledger_entries",
    "ledger_transactions",
    "mails",
    "messages",
    "payment_calls",
    "payment_differences",
    "payment_transfers",
    "payments",
    "requests",
    "sam_actions",
    "sam_mentions",
    "sam_runs",
    "sessions",
    "users",
];

async fn names(store: &Store, query: &'static str) -> BTreeSet<String> {
    sqlx::query_scalar(query).fetch_all(store.pool()).await.unwrap().into_iter().collect()
}

#[tokio::test]
async fn every_table_is_pruned_bounded_or_kept_on_purpose() {
    let store = TestDatabase::create().await.store(Clock::default());
    let tables = "select relname::text from pg_class
                  where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and relname !~ '^(events_[0-9]+|_sqlx.*)$'";
    let known = PRUNED.iter().map(|(table, _)| table).chain(BY_THE_DAY).chain(BOUNDED).chain(KEPT);
    assert_eq!(names(&store, tables).await, known.map(ToString::to_string).collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn what_is_pruned_is_found_by_an_index() {
    let store = TestDatabase::create().await.store(Clock::default());
    // The rest of events has one for each channel, and mostly no rows.
    let indexed = "select format('%s %s', c.relname, a.attname) from pg_index i
                   join pg_class c on c.oid = i.indrelid
                   join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]";
    let indexed = names(&store, indexed).await;
    for (table, column) in PRUNED.iter().filter(|(table, _)| *table != "events_rest") {
        assert!(indexed.contains(&format!("{table} {column}")), "no index of {table} begins with {column}");
    }
}

#[test]
fn what_is_kept_is_named_to_operators() {
    let document = include_str!("../../../docs/operations.md");
    for table in KEPT {
        assert!(document.contains(&format!("`{table}`")), "docs/operations.md says nothing of {table}");
    }
}
