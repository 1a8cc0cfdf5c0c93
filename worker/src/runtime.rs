//! A worker process: its tasks, and how it ends.
//!
//! For each queue a fetcher and an apalis worker; for the process an ear for nudges, a keeper of
//! leases, an acknowledger and the schedule. If one of them ends by itself, the process must: half a
//! worker looks like a whole one from outside.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use humanchat_domain::Store;
use humanchat_jobs::Queue;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    queue::{
        acknowledge::Acknowledger,
        claim::{InHand, Places},
        fetch::Fetcher,
        keeper::Keeper,
        link::Link,
        wake::{self, Bells},
    },
    registry::{self, Registry},
    runner::{self, Line},
    schedule::Schedule,
};

/// How a worker process works. The default is what production runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The queues it serves.
    pub queues: Vec<Queue>,
    /// How many jobs of a queue run at once.
    pub concurrency: fn(Queue) -> usize,
    /// How long a job may go without its process' renewal before it counts as dead.
    pub lease: Duration,
    /// How often leases are renewed.
    pub renew_every: Duration,
    /// How often expired leases are looked for.
    pub rescue_every: Duration,
    /// A job whose process died twice starts again somewhere within this time.
    pub rescue_spread: Duration,
    /// How long a fetcher waits at most before it looks by itself.
    pub look_every: Duration,
    /// How long running jobs may go on after a stop, before they are aborted and handed back.
    pub drain: Duration,
    /// How long the last acknowledgements may take after that.
    pub flush: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queues: Queue::ALL.to_vec(),
            concurrency: registry::concurrency,
            lease: Duration::from_secs(30),
            renew_every: Duration::from_secs(10),
            rescue_every: Duration::from_secs(5),
            rescue_spread: Duration::from_secs(20),
            look_every: Duration::from_secs(1),
            drain: Duration::from_secs(25),
            flush: Duration::from_secs(4),
        }
    }
}

/// When to end.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Fetch nothing more; end when what runs has ended.
    pub soon: CancellationToken,
    /// Don't wait for what runs.
    pub now: CancellationToken,
}

/// Works until it is stopped.
///
/// # Errors
/// When a part of it ended by itself, or the last acknowledgements could not be written.
pub async fn run(
    store: Store,
    registry: Registry,
    schedule: Schedule,
    options: Options,
    stop: Stop,
) -> anyhow::Result<()> {
    let process = Process::start(&store, registry, schedule, &options);
    process.end(&options, stop).await
}

type Tasks = JoinSet<anyhow::Result<&'static str>>;

struct Process {
    /// Tasks that end only after everything is acknowledged.
    lasting: Tasks,
    /// Tasks that end when they are told to stop.
    fetching: Tasks,
    /// Tasks that end after that, when their last job has ended.
    working: Tasks,
    places: Vec<Places>,
    stop_fetching: CancellationToken,
}

impl Process {
    fn start(store: &Store, registry: Registry, schedule: Schedule, options: &Options) -> Self {
        let owner = Uuid::now_v7();
        let registry = Arc::new(registry);
        let in_hand = Arc::new(InHand::default());
        let bells = Bells::new(&options.queues);
        let (outbox, inbox) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let mut this = Self {
            lasting: JoinSet::new(),
            fetching: JoinSet::new(),
            working: JoinSet::new(),
            places: Vec::new(),
            stop_fetching: stop.clone(),
        };
        let acknowledger = Acknowledger {
            inbox,
            link: Link::new(store.pool()),
            owner,
            clock: store.clock().clone(),
            in_hand: in_hand.clone(),
            bells: bells.clone(),
        };
        let keeper = Keeper {
            link: Link::new(store.pool()),
            rescue_link: Link::new(store.pool()),
            owner,
            registry: registry.clone(),
            in_hand: in_hand.clone(),
            clock: store.clock().clone(),
            lease: options.lease,
            renew_every: options.renew_every,
            rescue_every: options.rescue_every,
            spread: options.rescue_spread,
        };
        let ear = (store.pool().clone(), bells.clone());
        spawn(&mut this.lasting, "acknowledger", acknowledger.run());
        spawn(&mut this.lasting, "keeper", keeper.run());
        spawn(&mut this.lasting, "listener", async move { wake::listen(&ear.0, ear.1).await });
        spawn(&mut this.fetching, "schedule", schedule.run(store.clone(), stop.clone()));
        let shared_store = Arc::new(store.clone());
        for queue in options.queues.iter().copied() {
            let places = Places::new((options.concurrency)(queue));
            let (work, claims) = mpsc::unbounded_channel();
            let fetcher = Fetcher {
                queue,
                registry: registry.clone(),
                places: places.clone(),
                link: Link::new(store.pool()),
                owner,
                lease: options.lease,
                look_every: options.look_every,
                clock: store.clock().clone(),
                in_hand: in_hand.clone(),
                bells: bells.clone(),
                outbox: outbox.clone(),
            };
            this.places.push(places);
            spawn(&mut this.fetching, "fetcher", fetcher.run(work, stop.clone()));
            let worker = runner::run(queue, Line::new(claims), shared_store.clone(), stop.clone());
            this.working.spawn(async move { worker.await.map(|()| "worker") });
        }
        this
    }

    async fn end(mut self, options: &Options, stop: Stop) -> anyhow::Result<()> {
        let failure = tokio::select! {
            () = stop.soon.cancelled() => None,
            Some(ended) = self.lasting.join_next() => Some(early(ended)),
            Some(ended) = self.fetching.join_next() => Some(early(ended)),
            Some(ended) = self.working.join_next() => Some(early(ended)),
        };
        match &failure {
            None => tracing::info!("stopping: no new jobs"),
            Some(error) => tracing::error!(error = format!("{error:#}"), "stopping: a part of the worker has failed"),
        }
        self.stop_fetching.cancel();
        let running = async {
            while self.working.join_next().await.is_some() {}
            while self.fetching.join_next().await.is_some() {}
        };
        let in_time = tokio::select! {
            drained = timeout(options.drain, running) => drained.is_ok(),
            () = stop.now.cancelled() => false,
        };
        if !in_time {
            tracing::warn!("handing back what still runs");
            self.working.shutdown().await;
        }
        let flushed = timeout(options.flush, async {
            for places in &self.places {
                places.all_free().await;
            }
        });
        let flushed = flushed.await.context("not everything could be acknowledged; leases will run out");
        self.lasting.shutdown().await;
        failure.map_or(Ok(()), Err)?;
        flushed
    }
}

fn spawn(tasks: &mut Tasks, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(async move {
        task.await;
        Ok(name)
    });
}

fn early(ended: Result<anyhow::Result<&'static str>, JoinError>) -> anyhow::Error {
    match ended {
        Ok(Ok(name)) => anyhow::anyhow!("the {name} ended by itself"),
        Ok(Err(error)) => error,
        Err(error) => error.into(),
    }
}
