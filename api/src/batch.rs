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

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn whoever_asks_meanwhile_shares_a_query() {
        let queries = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&queries);
        let halves = Batch::start("halves", move |keys: Vec<u32>| {
            count.fetch_add(1, Ordering::SeqCst);
            async move { Ok(keys.into_iter().filter(|key| key % 2 == 0).map(|key| (key, key / 2)).collect()) }
        });
        let answers = join_all((0..1000).map(|n| halves.ask(n % 400))).await;
        for (answer, n) in answers.into_iter().zip(0..) {
            let key = n % 400;
            assert_eq!(answer.unwrap(), (key % 2 == 0).then_some(key / 2));
        }
        assert_eq!(queries.load(Ordering::SeqCst), 2, "500 at a time");
    }

    #[tokio::test]
    async fn a_query_that_fails_or_panics_fails_alone() {
        let same = Batch::start("the same", |keys: Vec<u32>| async move {
            match keys[0] {
                0 => Err(Error::Internal("no")),
                1 => panic!("no"),
                key => Ok(HashMap::from([(key, key)])),
            }
        });
        assert!(same.ask(0).await.is_err());
        assert!(same.ask(1).await.is_err());
        assert_eq!(same.ask(2).await.unwrap(), Some(2));
    }
}
