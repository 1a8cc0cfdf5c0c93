//! Where jobs come out: apalis runs the handlers. The only file of the worker that names it.
//!
//! Ours is what apalis' own storages can't do: its backend here is nothing but the line of claims
//! that a fetcher fills. From the outside in, a job passes: a task of its own (aborted when the
//! worker is dropped), a span, its settlement, a net for panics, the handler.

use std::{
    any::Any,
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{self, Poll},
    time::Instant,
};

use apalis::{
    layers::{
        catch_panic::CatchPanicLayer,
        tracing::{MakeSpan, TraceLayer},
    },
    prelude::{ParallelizeExt, Task, WorkerBuilder, WorkerContext},
};
use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    error::BoxDynError,
};
use futures_util::{FutureExt, future::BoxFuture};
use humanchat_domain::{Store, id::JobId, traces};
use humanchat_jobs::Queue;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower::{Layer, Service, layer::util::Identity};
use tracing::Span;

use crate::{
    job::{Context, JobError},
    metrics,
    queue::claim::{Claim, ClaimedJob, Verdict},
};

/// Claims on their way from a fetcher to its worker.
#[derive(Debug, Clone)]
pub(crate) struct Line(Arc<Mutex<mpsc::UnboundedReceiver<Claim>>>);

impl Line {
    pub(crate) fn new(claims: mpsc::UnboundedReceiver<Claim>) -> Self {
        Self(Arc::new(Mutex::new(claims)))
    }

    fn lock(&self) -> MutexGuard<'_, mpsc::UnboundedReceiver<Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets nobody in any more, and sends away who waits: those jobs are handed back.
    pub(crate) fn close(&self) {
        let mut claims = self.lock();
        claims.close();
        while claims.try_recv().is_ok() {}
    }
}

impl Backend for Line {
    type Task = Task<Claim>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut task::Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut task::Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<Claim>, Infallible>>> {
        match self.lock().poll_recv(cx) {
            Poll::Ready(Some(claim)) => Poll::Ready(Some(Ok(Task::new(claim)))),
            // The end of the line is no end for apalis, which would wait for ever: it is told to stop.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_close(&mut self, _: &mut task::Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Line {
    type Args = Claim;
    type Id = uuid::Uuid;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}

/// Runs a queue's jobs until `stop`, and then until the last of them has ended. Returns earlier only
/// if something is wrong. Dropped, it aborts those that still run.
pub(crate) async fn run(queue: Queue, line: Line, store: Arc<Store>, stop: CancellationToken) -> anyhow::Result<()> {
    let context = WorkerContext::new(queue.as_str());
    let worker = WorkerBuilder::new(&context)
        .backend(line.clone())
        .parallelize(spawn)
        .layer(TraceLayer::new().make_span_with(JobSpan).on_request(Quiet).on_response(()).on_failure(()))
        .build(job_service(store));
    let mut work = worker.run().boxed();
    let told = async {
        stop.cancelled().await;
        line.close();
        // It can't be told before it has started.
        while context.stop().is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        ended = &mut work => {
            ended?;
            anyhow::bail!("the worker of queue {} ended by itself", queue.as_str());
        }
        () = told => Ok(work.await?),
    }
}

/// Runs one job on the spot and settles it.
#[cfg(feature = "testing")]
pub(crate) async fn run_one(store: Arc<Store>, claim: Claim) {
    let Ok(()) = job_service(store).call(Task::new(claim)).await;
}

fn spawn<F>(job: F) -> AbortOnDropHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    AbortOnDropHandle::new(tokio::spawn(job))
}

fn job_service(
    store: Arc<Store>,
) -> impl Service<Task<Claim>, Response = (), Error = Infallible, Future = BoxFuture<'static, Result<(), Infallible>>> {
    Settle(CatchPanicLayer::with_panic_handler(panicked).layer(Handle(store)))
}

#[derive(Debug, Clone, Copy)]
struct JobSpan;

impl MakeSpan<Claim> for JobSpan {
    fn make_span(&mut self, task: &Task<Claim>) -> Span {
        let job = &task.args.job;
        let span = tracing::info_span!(
            "job",
            id = %JobId(job.id),
            kind = job.kind.name,
            attempt = job.attempt,
            request_id = job.request_id.as_deref(),
            otel.kind = traces::only(|| "consumer"),
            otel.name = traces::only(|| job.kind.name),
        );
        traces::follow(&span, job.traceparent.as_deref());
        span
    }
}

#[derive(Debug, Clone, Copy)]
struct Quiet;

impl apalis::layers::tracing::OnRequest<Claim> for Quiet {
    fn on_request(&mut self, _: &Task<Claim>, _: &Span) {}
}

/// Why a handler's run is not a success, in apalis' terms: an error.
#[derive(Debug)]
struct Failed(Verdict);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Failed {}

fn panicked(payload: &Box<dyn Any + Send>) -> Failed {
    let said = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Failed(Verdict::Retry(format!("panicked: {}", said.unwrap_or("no message"))))
}

/// Takes the claim's ticket and settles it when the inner service has ended. Dropped before, the
/// ticket hands the job back: only then, because only then nothing of the job runs any more.
#[derive(Debug, Clone)]
struct Settle<S>(S);

impl<S> Service<Task<Claim>> for Settle<S>
where
    S: Service<Task<Claim>, Response = (), Error = BoxDynError, Future: Send + 'static>,
{
    type Response = ();
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<(), Infallible>>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx).map(|_| Ok(()))
    }

    fn call(&mut self, mut task: Task<Claim>) -> Self::Future {
        let ticket = task.args.ticket.take();
        let (kind, began) = (task.args.job.kind.name, Instant::now());
        let run = self.0.call(task);
        Box::pin(async move {
            let verdict = match run.await {
                Ok(()) => Verdict::Done,
                Err(error) => match error.downcast::<Failed>() {
                    Ok(failed) => failed.0,
                    Err(other) => Verdict::Retry(other.to_string()),
                },
            };
            tell(&verdict);
            metrics::ended(kind, &verdict, began.elapsed());
            if let Some(ticket) = ticket {
                ticket.settle(verdict);
            }
            Ok(())
        })
    }
}

fn tell(verdict: &Verdict) {
    match verdict {
        Verdict::Done => tracing::debug!("done"),
        Verdict::Retry(error) => tracing::warn!(error, "failed"),
        Verdict::GiveUp(error) => tracing::error!(error, "failed for good"),
        Verdict::Snooze(pause) => tracing::debug!(?pause, "snoozes"),
        Verdict::Lost => tracing::warn!("aborted: the lease is lost, so somebody else runs it"),
    }
}

/// Decodes the payload and runs the handler, within the kind's time.
#[derive(Debug, Clone)]
struct Handle(Arc<Store>);

impl Service<Task<Claim>> for Handle {
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), BoxDynError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Claim>) -> Self::Future {
        let store = self.0.clone();
        Box::pin(async move { Ok(handle(store, task.args.job).await.map_err(Failed)?) })
    }
}

async fn handle(store: Arc<Store>, job: ClaimedJob) -> Result<(), Verdict> {
    metrics::waited(job.queue, store.clock().now() - job.run_at);
    let context = Context { store, job_id: JobId(job.id), attempt: job.attempt, request_id: job.request_id };
    let run = job.kind.start(&job.data, context).map_err(|error| Verdict::GiveUp(format!("payload: {error}")))?;
    let in_time = tokio::time::timeout(job.kind.timeout, run);
    let ended = tokio::select! {
        biased;
        () = job.lost.cancelled() => return Err(Verdict::Lost),
        ended = in_time => ended,
    };
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(JobError::Retry(error))) => Err(Verdict::Retry(format!("{error:#}"))),
        Ok(Err(JobError::GiveUp(error))) => Err(Verdict::GiveUp(format!("{error:#}"))),
        Ok(Err(JobError::Snooze(pause))) => Err(Verdict::Snooze(pause)),
        Err(_) => Err(Verdict::Retry(format!("took longer than {:?}", job.kind.timeout))),
    }
}
