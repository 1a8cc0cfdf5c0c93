//! SQL of sockets: stored events and who is connected. Process leases use the database's clock,
//! which all processes share.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Standing;
use crate::{
    id::{ConversationId, UserId},
    pool::Pool,
};

/// Wishes, column by column.
#[derive(Debug, Default)]
pub(super) struct Asked {
    channels: Vec<String>,
    conversations: Vec<Option<Uuid>>,
    users: Vec<Uuid>,
    after: Vec<Option<i64>>,
}

impl Asked {
    /// `conversation`: the one that the user has to take part in.
    pub(super) fn push(&mut self, channel: String, conversation: Option<Uuid>, user: Uuid, after: Option<i64>) {
        self.channels.push(channel);
        self.conversations.push(conversation);
        self.users.push(user);
        self.after.push(after);
    }
}

/// Where channels stand, in the order of the wishes; `None` where the user may not listen. Numbers
/// have no gaps: where the one after `after` is kept, so are all that follow it.
pub(super) async fn standings(pool: &Pool, asked: &Asked) -> sqlx::Result<Vec<Option<Standing>>> {
    let rows = sqlx::query!(
        r#"select coalesce(c.seq, 0) as "seq!",
                  (w.after is null or w.after = coalesce(c.seq, 0)
                   or (w.after < c.seq
                       and exists (select from events e where e.channel = w.channel and e.seq = w.after + 1)))
                    as "recovered!",
                  (w.conversation is null
                   or exists (select from conversation_participants p
                              where p.conversation_id = w.conversation and p.user_id = w.person)) as "may!"
           from unnest($1::text[], $2::uuid[], $3::uuid[], $4::bigint[])
                with ordinality as w (channel, conversation, person, after, place)
           left join event_channels c on c.channel = w.channel
           order by w.place"#,
        &asked.channels,
        &asked.conversations as &[Option<Uuid>],
        &asked.users,
        &asked.after as &[Option<i64>],
    )
    .fetch_all(pool)
    .await?;
    let standing = |may: bool, standing| may.then_some(standing);
    Ok(rows.into_iter().map(|row| standing(row.may, Standing { seq: row.seq, recovered: row.recovered })).collect())
}

pub(super) async fn strangers(
    pool: &Pool,
    listeners: &[(UserId, ConversationId)],
) -> sqlx::Result<Vec<(UserId, ConversationId)>> {
    let (people, conversations): (Vec<_>, Vec<_>) = listeners.iter().map(|(person, id)| (person.0, id.0)).unzip();
    let rows = sqlx::query!(
        r#"select person as "person!: UserId", conversation as "conversation!: ConversationId"
           from unnest($1::uuid[], $2::uuid[]) as l (person, conversation)
           where not exists (select from conversation_participants p
                             where p.conversation_id = l.conversation and p.user_id = l.person)"#,
        &people,
        &conversations,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.person, row.conversation)).collect())
}

pub(super) async fn newest(pool: &Pool, channels: &[String]) -> sqlx::Result<Vec<(String, i64)>> {
    let rows = sqlx::query!("select channel, seq from event_channels where channel = any($1)", channels)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(|row| (row.channel, row.seq)).collect())
}

pub(super) struct Stored {
    pub seq: i64,
    pub kind: String,
    /// `None` where those before it fill the measure.
    pub payload: Option<Value>,
    pub created_at: DateTime<Utc>,
}

pub(super) async fn events_after(
    pool: &Pool,
    channel: &str,
    seq: i64,
    limit: i64,
    bytes: i64,
) -> sqlx::Result<Vec<Stored>> {
    sqlx::query_as!(
        Stored,
        "select seq, type as kind, created_at,
                case when sum(size) over (order by seq) - size < $4::bigint then payload end as payload
         from (select seq, type, payload, created_at, octet_length(payload::text) as size
               from events where channel = $1 and seq > $2 order by seq limit $3) as found
         order by seq",
        channel,
        seq,
        limit,
        bytes,
    )
    .fetch_all(pool)
    .await
}

/// Who of these is online.
pub(super) async fn online(conn: &mut PgConnection, ids: &[UserId], now: DateTime<Utc>) -> sqlx::Result<Vec<UserId>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    sqlx::query_scalar!(
        r#"select id as "id: UserId" from users where id = any($1) and user_is_online(presence_state, present_until, id, $2)"#,
        &ids,
        now,
    )
    .fetch_all(conn)
    .await
}

/// Renews a process' lease; true when it had none.
pub(super) async fn process_seen(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"insert into socket_processes (id, seen_at) values ($1, now())
           on conflict (id) do update set seen_at = now() returning (xmax = 0) as "new!""#,
        id,
    )
    .fetch_one(conn)
    .await
}

pub(super) async fn add_sockets(
    conn: &mut PgConnection,
    process: Uuid,
    users: &[UserId],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let ids: Vec<_> = users.iter().map(|id| id.0).collect();
    sqlx::query!(
        "with known as (select id from users where id = any($2)),
         here as (
           insert into presences (user_id, since) select id, $3 from known
           on conflict (user_id) where until is null do nothing
         )
         insert into user_sockets (user_id, process_id)
         select id, $1 from known order by id on conflict do nothing",
        process,
        &ids,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn remove_sockets(conn: &mut PgConnection, process: Uuid, users: &[UserId]) -> sqlx::Result<()> {
    let ids: Vec<_> = users.iter().map(|id| id.0).collect();
    sqlx::query!("delete from user_sockets where process_id = $1 and user_id = any($2)", process, &ids)
        .execute(conn)
        .await?;
    Ok(())
}

/// These people were there until then, if they have no socket left.
pub(super) async fn close_presences(
    conn: &mut PgConnection,
    users: &[UserId],
    until: DateTime<Utc>,
) -> sqlx::Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = users.iter().map(|id| id.0).collect();
    sqlx::query!(
        "update presences p set until = greatest(since, $2)
         where p.user_id = any($1) and p.until is null
           and not exists (select from user_sockets s where s.user_id = p.user_id)",
        &ids,
        until,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// By their places in the table, for they have no key. What is long over isn't changed, and so moves no more.
pub(super) async fn prune_presences(pool: &Pool, before: DateTime<Utc>, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from presences
         where ctid = any(array(select ctid from presences where until < $1 order by until limit $2)) and until < $1",
        before,
        limit,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

pub(super) struct Silent {
    pub id: Uuid,
    /// Since it was last heard of.
    pub silent_millis: i64,
}

/// One process, or all that have not been seen for 20 seconds. They can't report until the unit of
/// work ends: one that does report, while it is given up for dead, waits and then starts anew.
pub(super) async fn lock_processes(conn: &mut PgConnection, one: Option<Uuid>) -> sqlx::Result<Vec<Silent>> {
    sqlx::query_as!(
        Silent,
        r#"select id, (extract(epoch from now() - seen_at) * 1000)::bigint as "silent_millis!" from socket_processes
           where id = $1 or ($1 is null and seen_at < now() - interval '20 seconds') order by id for update"#,
        one,
    )
    .fetch_all(conn)
    .await
}

/// Who has sockets in these processes.
pub(super) async fn people_of(conn: &mut PgConnection, processes: &[Uuid]) -> sqlx::Result<Vec<UserId>> {
    sqlx::query_scalar!(
        r#"select distinct user_id as "user_id: UserId" from user_sockets where process_id = any($1)"#,
        processes,
    )
    .fetch_all(conn)
    .await
}

/// Deletes processes with all their sockets.
pub(super) async fn delete_processes(conn: &mut PgConnection, processes: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query!("delete from socket_processes where id = any($1)", processes).execute(conn).await?;
    Ok(())
}
