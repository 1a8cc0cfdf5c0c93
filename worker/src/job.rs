//! What a handler is given and how it says what became of the job.
//!
//! A job may run more than once: after a failure, a time-out, a lost lease or a dead process.
//! Handlers re-read state and leave when the work is done already.

use std::{sync::Arc, time::Duration};

use humanchat_domain::{Store, error::Result, id::JobId, tx::Tx};

/// How a handler ends.
pub type JobResult = Result<(), JobError>;

/// Why a job isn't done. Every error that `?` can turn into `anyhow`'s is a [`JobError::Retry`].
#[derive(Debug)]
pub enum JobError {
    /// Something failed that may work later: another attempt after a pause, until attempts run out.
    Retry(anyhow::Error),
    /// Another attempt can't help: parked for an operator.
    GiveUp(anyhow::Error),
    /// Not yet: run again after this long. Costs no attempt.
    Snooze(Duration),
}

impl<E: Into<anyhow::Error>> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::Retry(error.into())
    }
}

/// What a handler works in.
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) store: Arc<Store>,
    pub(crate) job_id: JobId,
    pub(crate) attempt: i16,
    pub(crate) request_id: Option<String>,
}

impl Context {
    /// The domain's context.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The job's id: the same in every attempt, so it can serve as an idempotency key.
    pub fn job_id(&self) -> JobId {
        self.job_id
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> i16 {
        self.attempt
    }

    /// The request that the job descends from, if one asked for it.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Begins a unit of work whose jobs carry on the request id.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(&self) -> Result<Tx> {
        self.store.begin(self.request_id.clone()).await
    }
}
