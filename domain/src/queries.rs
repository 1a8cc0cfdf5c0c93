//! SQL of the unit of work itself: numbering and storing events.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use crate::pool::Pool;

/// Asks the database for a sign of life.
pub(crate) async fn ping(pool: &Pool) -> sqlx::Result<()> {
    sqlx::query!("select 1 as one").fetch_one(pool).await.map(drop)
}

/// From now on this connection gives up at a table's lock before those do who wait behind it.
pub(crate) async fn give_up_at_locks(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("set lock_timeout = '2s'").execute(conn).await.map(drop)
}

/// Tells whoever listens on a Postgres channel.
pub(crate) async fn notify(conn: &mut PgConnection, channel: &str, message: &str) -> sqlx::Result<()> {
    sqlx::query!("select pg_notify($1, $2) as notified", channel, message).fetch_one(conn).await.map(drop)
}

/// Durable events about to be stored, column by column.
#[derive(Debug, Default)]
pub(crate) struct NewEvents {
    channels: Vec<String>,
    kinds: Vec<String>,
    payloads: Vec<Value>,
}

impl NewEvents {
    pub(crate) fn push(&mut self, channel: String, kind: String, payload: Value) {
        self.channels.push(channel);
        self.kinds.push(kind);
        self.payloads.push(payload);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }
}

/// Numbers and stores events. Channel rows are locked in name order, by everybody, so that two
/// units of work can't wait for each other. Returns (channel, seq), ascending within a channel.
pub(crate) async fn insert_events(
    conn: &mut PgConnection,
    events: &NewEvents,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<(String, i64)>> {
    let rows = sqlx::query!(
        r#"with input as (
             select channel, type, payload, ord
             from unnest($1::text[], $2::text[], $3::jsonb[]) with ordinality as t(channel, type, payload, ord)
           ), counted as (
             select channel, count(*) as n from input group by channel order by channel
           ), numbered as (
             insert into event_channels as c (channel, seq) select channel, n from counted order by channel
             on conflict (channel) do update set seq = c.seq + excluded.seq
             returning channel, seq
           ), stored as (
             insert into events (channel, seq, type, payload, created_at)
             select i.channel,
                    n.seq - c.n + row_number() over (partition by i.channel order by i.ord),
                    i.type, i.payload, $4
             from input i join numbered n using (channel) join counted c using (channel)
             returning channel, seq
           )
           select channel as "channel!", seq as "seq!" from stored order by channel, seq"#,
        &events.channels,
        &events.kinds,
        &events.payloads,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.channel, row.seq)).collect())
}
