//! The unit of work: rows, jobs and events that exist together or not at all.
//!
//! An operation takes a [`Tx`], writes rows on its connection, and says which jobs and events
//! follow. [`Tx::commit`] writes those in the same transaction, commits, and only then rings the
//! bells. If the process dies in between, workers and sockets find the rows by themselves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};
use humanchat_jobs::{Job, JobKey, NewJob, Queue};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use crate::{
    Store,
    bus::Frame,
    error::{Error, Result},
    event::{Channel, Event},
    id::JobId,
    pool::PooledConnection,
    queries, traces,
};

/// A transaction together with the jobs and events that its commit brings into being.
#[derive(Debug)]
pub struct Tx {
    inner: PooledConnection,
    store: Store,
    now: DateTime<Utc>,
    request_id: Option<String>,
    jobs: Vec<NewJob>,
    events: Vec<(Channel, Event)>,
    nudges: BTreeSet<Queue>,
    parts: u32,
}

/// Where a part of a unit of work began, and what there was to follow by then.
#[derive(Debug)]
pub(crate) struct Part {
    number: u32,
    jobs: Vec<NewJob>,
    events: Vec<(Channel, Event)>,
    nudges: BTreeSet<Queue>,
}

impl Store {
    /// Begins a unit of work. `request_id` goes with its jobs into the logs.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(&self, request_id: Option<String>) -> Result<Tx> {
        let inner = self.begin_with("begin").await?;
        let now = self.clock.now();
        let (jobs, events, nudges) = (Vec::new(), Vec::new(), BTreeSet::new());
        Ok(Tx { inner, store: self.clone(), now, request_id, jobs, events, nudges, parts: 0 })
    }

    /// Begins to read everything as it stands at one and the same moment. Statements are planned for
    /// the values they come with: what staff filter by differs too much for one plan.
    pub(crate) async fn snapshot(&self) -> Result<PooledConnection> {
        self.begin_with(
            "begin isolation level repeatable read read only; set local plan_cache_mode = force_custom_plan",
        )
        .await
    }

    async fn begin_with(&self, statement: &'static str) -> Result<PooledConnection> {
        let mut connection = self.pool.acquire().await?;
        connection.begin_transaction(statement).await?;
        Ok(connection)
    }
}

impl Tx {
    /// The time of this unit of work, in whole milliseconds: one and the same until its end.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// The request that this descends from.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The context this works in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Has the workers of a queue look at it once this has committed.
    pub(crate) fn nudge(&mut self, queue: Queue) {
        self.nudges.insert(queue);
    }

    pub(crate) fn conn(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    /// Asks for a job as soon as this has committed.
    ///
    /// # Errors
    /// When the payload can't be written as JSON.
    pub fn enqueue<J: Job>(&mut self, job: &J) -> Result<()> {
        self.enqueue_at(job, self.now)
    }

    /// Asks for a job at `run_at`.
    ///
    /// # Errors
    /// When the payload can't be written as JSON.
    pub fn enqueue_at<J: Job>(&mut self, job: &J, run_at: DateTime<Utc>) -> Result<()> {
        self.enqueue_new(NewJob::new(job, run_at)?);
        Ok(())
    }

    /// Asks for a job that was put together by hand.
    pub fn enqueue_new(&mut self, mut job: NewJob) {
        job.request_id.clone_from(&self.request_id);
        job.traceparent = traces::current();
        self.jobs.push(job);
    }

    /// Takes waiting jobs back by their keys; those that run are left to end.
    ///
    /// # Errors
    /// The database's.
    pub async fn cancel_jobs(&mut self, keys: &[JobKey]) -> Result<()> {
        let is_meant =
            |job: &NewJob| keys.iter().any(|k| k.kind == job.kind && Some(&k.key) == job.dedupe_key.as_ref());
        self.jobs.retain(|job| !is_meant(job));
        Ok(humanchat_jobs::cancel(&mut self.inner, keys, self.now).await?)
    }

    /// Tells a channel's listeners, once this has committed.
    pub fn emit(&mut self, channel: Channel, event: Event) {
        self.events.push((channel, event));
    }

    /// Begins a part that [`Tx::undo_part`] can take back without ending the whole. There may be parts in it.
    pub(crate) async fn begin_part(&mut self) -> Result<Part> {
        self.parts += 1;
        let number = self.parts;
        sqlx::raw_sql(AssertSqlSafe(format!("savepoint part_{number}"))).execute(self.conn()).await?;
        Ok(Part { number, jobs: self.jobs.clone(), events: self.events.clone(), nudges: self.nudges.clone() })
    }

    /// Takes back everything since this part began, jobs, events and parts in it included.
    pub(crate) async fn undo_part(&mut self, part: Part) -> Result<()> {
        let Part { number, jobs, events, nudges } = part;
        sqlx::raw_sql(AssertSqlSafe(format!("rollback to savepoint part_{number}"))).execute(self.conn()).await?;
        (self.jobs, self.events, self.nudges) = (jobs, events, nudges);
        Ok(())
    }

    /// Writes the jobs and events, commits, then rings the bells.
    ///
    /// # Errors
    /// The database's; then nothing of it happened, unless the connection broke while the commit
    /// was under way: then it may have.
    pub async fn commit(mut self) -> Result<()> {
        let asked: Vec<_> = self.jobs.iter().map(|job| (job.kind, job.id)).collect();
        let queues = self.write_jobs().await?;
        let frames = self.write_events().await?;
        self.inner.commit_transaction().await?;
        log(&asked, &frames);
        for frame in frames {
            self.store.bus.publish(frame);
        }
        for queue in queues.into_iter().chain(self.nudges) {
            self.store.nudger.nudge(queue);
        }
        Ok(())
    }

    /// Returns the queues whose workers should look at once. A job due later is found by their
    /// own look-ahead.
    async fn write_jobs(&mut self) -> Result<BTreeSet<Queue>> {
        let jobs = std::mem::take(&mut self.jobs);
        if jobs.is_empty() {
            return Ok(BTreeSet::new());
        }
        let soon = self.now + TimeDelta::milliseconds(1500);
        let queues = jobs.iter().filter(|job| job.run_at <= soon).map(|job| job.queue).collect();
        humanchat_jobs::insert(&mut self.inner, jobs, self.now).await?;
        Ok(queues)
    }

    async fn write_events(&mut self) -> Result<Vec<Frame>> {
        let events = std::mem::take(&mut self.events);
        let mut durable = queries::NewEvents::default();
        let mut parts = Vec::with_capacity(events.len());
        for (channel, event) in events {
            let is_durable = event.is_durable();
            let (kind, payload) = split(&event)?;
            if is_durable {
                durable.push(channel.to_string(), kind.clone(), payload.clone());
            }
            parts.push((channel, is_durable, kind, payload));
        }
        let mut numbers: BTreeMap<String, VecDeque<i64>> = BTreeMap::new();
        if !durable.is_empty() {
            for (channel, seq) in queries::insert_events(&mut self.inner, &durable, self.now).await? {
                numbers.entry(channel).or_default().push_back(seq);
            }
        }
        parts
            .into_iter()
            .map(|(channel, is_durable, kind, payload)| {
                let seq = if is_durable {
                    let next = numbers.get_mut(&channel.to_string()).and_then(VecDeque::pop_front);
                    Some(next.ok_or(Error::Internal("an event was not numbered"))?)
                } else {
                    None
                };
                Frame::new(channel, seq, &kind, &payload, self.now)
            })
            .collect()
    }
}

/// What ties a request to its jobs, and a job to its events: the line is written within the span of
/// either.
fn log(jobs: &[(&str, Uuid)], frames: &[Frame]) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let jobs: Vec<_> = jobs.iter().map(|(kind, id)| format!("{kind} {}", JobId(*id))).collect();
    let events: Vec<_> = frames.iter().filter_map(|frame| Some(format!("{}#{}", frame.channel, frame.seq?))).collect();
    if !jobs.is_empty() || !events.is_empty() {
        tracing::info!(jobs = listed(&jobs), events = listed(&events), "committed");
    }
}

/// A unit of work for many people names the first of them.
fn listed(names: &[String]) -> String {
    const NAMED: usize = 20;
    match names.split_at_checked(NAMED) {
        Some((first, rest)) if !rest.is_empty() => format!("{} and {} more", first.join(", "), rest.len()),
        _ => names.join(", "),
    }
}

pub(crate) fn split(event: &Event) -> Result<(String, Value)> {
    match serde_json::to_value(event)? {
        Value::Object(mut map) => match (map.remove("type"), map.remove("payload")) {
            (Some(Value::String(kind)), Some(payload)) => Ok((kind, payload)),
            _ => Err(Error::Internal("an event has no type or payload")),
        },
        _ => Err(Error::Internal("an event is not an object")),
    }
}

#[cfg(test)]
mod tests {
    use humanchat_jobs::{maintenance::SweepPresence, users::EndPresence};

    use super::*;
    use crate::{
        clock::Clock,
        id::{ConversationId, UserId},
        testing::{TestDatabase, events_of, jobs, noon},
    };

    #[tokio::test]
    async fn a_part_is_taken_back_with_the_parts_in_it_and_nothing_from_before() {
        let store = TestDatabase::create().await.store(Clock::manual(noon()));
        let user_id = UserId::new();
        let channel = Channel::Notifications(user_id);
        let read = |message_id| Event::ConversationRead { conversation_id: ConversationId::new(), user_id, message_id };
        let setting = "select current_setting('test.step')";
        let mut tx = store.begin(None).await.unwrap();
        let set = async |tx: &mut Tx, step: u32| {
            sqlx::raw_sql(AssertSqlSafe(format!("set local test.step = '{step}'"))).execute(tx.conn()).await.unwrap();
        };
        set(&mut tx, 1).await;
        let kept = EndPresence { user_id };
        tx.enqueue(&kept).unwrap();
        tx.emit(channel, read(1));
        let outer = tx.begin_part().await.unwrap();
        set(&mut tx, 2).await;
        tx.cancel_jobs(&[JobKey::of(&kept)]).await.unwrap();
        let _inner = tx.begin_part().await.unwrap();
        set(&mut tx, 3).await;
        tx.enqueue(&SweepPresence {}).unwrap();
        tx.emit(channel, read(2));
        tx.undo_part(outer).await.unwrap();
        let step: String = sqlx::query_scalar(setting).fetch_one(tx.conn()).await.unwrap();
        assert_eq!(step, "1");
        tx.commit().await.unwrap();
        assert_eq!((jobs(&store, "end_presence").await.len(), jobs(&store, "sweep_presence").await.len()), (1, 0));
        assert_eq!(events_of(&store, channel).await.len(), 1);
    }
}
