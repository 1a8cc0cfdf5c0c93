//! How fast everybody gets a digest, and how long jobs of other queues wait meanwhile.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use humanchat_domain::{Store, clock::Clock, config::Settings, id::UserId};
use humanchat_jobs::{notifications::PlanDigests, users::EndPresence};
use sqlx::{Connection as _, PgConnection};

use super::{row, table};
use crate::{
    Plan,
    measure::{Better, Row, Series, Target, percentile},
    report::Table,
    say,
    stage::Stage,
};

/// A probe every so often.
const PACE: Duration = Duration::from_millis(25);
/// How many probes an idle stretch has; the other lasts as long as the digests do.
const IDLE: usize = 800;
/// The probes' p99 while digests go out, through that of the idle stretch before.
const TARGET: f64 = 2.0;
const PATIENCE: Duration = Duration::from_mins(10);

/// What one round came to.
struct Outcome {
    /// Digests a second, from when they were due.
    rate: f64,
    /// p99 of a probe's time from due to done, in milliseconds: idle, and while digests go out.
    idle: f64,
    busy: f64,
}

/// A digest of one notification for everybody, each round.
pub(super) async fn measure(stage: &Stage, url: &str, plan: &Plan) -> Result<Table> {
    let store = store(stage, url)?;
    let mut connection = PgConnection::connect(url).await?;
    let people: Vec<UserId> =
        sqlx::query_scalar("select id from users where email like 'person-%' and present_until is null order by id")
            .fetch_all(&mut connection)
            .await?;
    let mut outcomes = Vec::new();
    for number in 0..plan.rounds {
        say(&format!("staff: digests, round {}", number + 1));
        outcomes.push(round(&store, &mut connection, &people, plan.work(IDLE)).await?);
    }
    connection.close().await?;
    let series = |name: &str, figure: fn(&Outcome) -> f64| Series {
        name: name.to_owned(),
        unit: "ms",
        rounds: outcomes.iter().map(figure).collect(),
    };
    let probes = Row {
        what: "a job of another queue, due to done, p99".to_owned(),
        better: Better::Lower,
        ours: series("ours", |outcome| outcome.busy),
        peers: vec![series("idle", |outcome| outcome.idle)],
        targets: vec![Target::ratio("idle", TARGET)],
    };
    let rate = row("digests a second", Better::Higher, "/s", outcomes.iter().map(|one| one.rate).collect(), Vec::new());
    Ok(table("A digest for each of 100,000 users, one worker process", vec![rate, probes]))
}

/// What enqueues as the api does.
fn store(stage: &Stage, url: &str) -> Result<Store> {
    let redis = stage.redis_url();
    let all = HashMap::from([
        ("DATABASE_URL", url),
        ("REDIS_URL", redis.as_str()),
        ("JWT_SECRET", "a secret of the benchmark, 32 bytes or more"),
    ]);
    let settings = Settings::from_lookup(&|name| all.get(name).map(|value| (*value).to_owned()))?;
    Ok(Store::open(settings, Clock::System)?)
}

async fn round(store: &Store, connection: &mut PgConnection, people: &[UserId], idle: usize) -> Result<Outcome> {
    let idle = probe(store, connection, people, async |sent, _| Ok(sent < idle)).await?;
    let everybody = due(connection).await?;
    let began = Instant::now();
    let mut tx = store.begin(None).await?;
    tx.enqueue(&PlanDigests {})?;
    tx.commit().await?;
    let busy = probe(store, connection, people, async |sent, connection| {
        ensure!(began.elapsed() < PATIENCE, "the digests don't end");
        // Twice a second is enough.
        Ok(sent % 20 != 0 || sent == 0 || is_under_way(connection).await?)
    })
    .await?;
    let elapsed = began.elapsed().as_secs_f64();
    let sent: i64 = sqlx::query_scalar("select count(*) from mails").fetch_one(&mut *connection).await?;
    ensure!(u64::try_from(sent)? == everybody, "{sent} digests for {everybody} people");
    let rate = f64::from(u32::try_from(sent)?) / elapsed;
    Ok(Outcome { rate, idle: percentile(&idle, 0.99), busy: percentile(&busy, 0.99) })
}

/// Everybody has one unread notification, and a digest that is due; says how many they are.
async fn due(connection: &mut PgConnection) -> Result<u64> {
    sqlx::raw_sql(
        "truncate notifications, notification_preferences, mails;
         delete from jobs where kind = 'mail_digest';
         insert into notifications (id, user_id, kind, key, title, body, created_at)
         select gen_random_uuid(), id, 'message', 'message:bench', 'Somebody wrote to you', 'There is something new.',
           now() - interval '1 hour'
         from users where email like 'person-%'",
    )
    .execute(&mut *connection)
    .await?;
    let preferences = sqlx::query(
        "insert into notification_preferences (user_id, digest, digested_until, next_digest_at, updated_at)
         select id, 'daily', now() - interval '1 day', now(), now() from users where email like 'person-%'",
    );
    let everybody = preferences.execute(&mut *connection).await?.rows_affected();
    sqlx::raw_sql("analyze notifications, notification_preferences").execute(connection).await?;
    Ok(everybody)
}

async fn is_under_way(connection: &mut PgConnection) -> Result<bool> {
    let left = sqlx::query_scalar(
        "select exists (select from jobs where kind in ('plan_digests', 'mail_digest') and state in ('available', 'running')
                          and run_at <= now())",
    );
    Ok(left.fetch_one(connection).await?)
}

/// Enqueues jobs of the default queue at a steady pace while `goes_on`; says how long each took, in
/// milliseconds.
async fn probe(
    store: &Store,
    connection: &mut PgConnection,
    people: &[UserId],
    mut goes_on: impl AsyncFnMut(usize, &mut PgConnection) -> Result<bool>,
) -> Result<Vec<f64>> {
    sqlx::query("delete from jobs where kind = 'end_presence'").execute(&mut *connection).await?;
    let mut pace = tokio::time::interval(PACE);
    let mut sent = 0;
    while goes_on(sent, connection).await? {
        pace.tick().await;
        let mut tx = store.begin(None).await?;
        // Of somebody who said nothing about being here: there is nothing to wait for.
        tx.enqueue(&EndPresence { user_id: people[sent % people.len()] })?;
        tx.commit().await?;
        sent += 1;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let millis: Vec<f64> = sqlx::query_scalar(
            "select (extract(epoch from finished_at - created_at) * 1000)::float8 from jobs
             where kind = 'end_presence' and state = 'done'",
        )
        .fetch_all(&mut *connection)
        .await?;
        if millis.len() == sent {
            return Ok(millis);
        }
        ensure!(Instant::now() < deadline, "{} of {sent} probes were done", millis.len());
        tokio::time::sleep(PACE).await;
    }
}
