//! Many questions, one query: whoever asks while a query is under way shares the next one. However
//! many ask at once, they take one connection to the database, and are answered in order.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
};

use humanchat_domain::error::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use crate::edge::error::chain;

/// Questions answered by one query.
const BATCH: usize = 500;

/// Asks for values by key.
#[derive(Debug)]
pub(crate) struct Batch<K, V>(mpsc::UnboundedSender<(K, oneshot::Sender<Option<V>>)>);

impl<K, V> Clone for Batch<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Batch<K, V>
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Starts the task that asks; `read` finds the values of those keys that have one.
    pub(crate) fn start<F>(what: &'static str, read: impl Fn(Vec<K>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<HashMap<K, V>>> + Send + 'static,
    {
        let (questions, mut asked) = mpsc::unbounded_channel::<(K, oneshot::Sender<Option<V>>)>();
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while asked.recv_many(&mut batch, BATCH).await > 0 {
                // Whoever left meanwhile needs no answer.
                batch.retain(|(_, answer)| !answer.is_closed());
                let mut keys: Vec<_> = batch.iter().map(|(key, _)| *key).collect();
                if keys.is_empty() {
                    continue;
                }
                let mut seen = HashSet::with_capacity(keys.len());
                keys.retain(|key| seen.insert(*key));
                // In a task of its own, so that even a panic fails no more than these questions.
                let values = tokio::spawn(read(keys)).await.unwrap_or(Err(Error::Internal("a query panicked")));
                match values {
                    Ok(values) => {
                        for (key, answer) in batch.drain(..) {
                            answer.send(values.get(&key).cloned()).ok();
                        }
                    }
                    Err(error) => {
                        tracing::warn!(error = chain(&error), count = batch.len(), "{what} could not be read");
                        batch.clear();
                    }
                }
            }
        });
        Self(questions)
    }

    /// The key's value, if it has one.
    ///
    /// # Errors
    /// [`Unreadable`], after it was logged.
    pub(crate) async fn ask(&self, key: K) -> Result<Option<V>, Unreadable> {
        let (answer, answered) = oneshot::channel();
        self.0.send((key, answer)).map_err(|_| Unreadable)?;
        answered.await.map_err(|_| Unreadable)
    }
}

/// The database did not answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unreadable;
