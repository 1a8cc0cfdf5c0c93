//! Connections are lent, come back, and are replaced.

use std::collections::BTreeSet;

use humanchat_domain::{
    Store,
    clock::Clock,
    testing::{TestDatabase, noon},
};
use sqlx::{Connection, PgConnection};

async fn store(connections: &str) -> (TestDatabase, Store) {
    let database = TestDatabase::create().await;
    let store = database.store_with(Clock::manual(noon()), &[("DATABASE_POOL", connections)]);
    (database, store)
}

async fn process(store: &Store) -> sqlx::Result<i32> {
    sqlx::query_scalar("select pg_backend_pid()").fetch_one(store.pool()).await
}

#[tokio::test]
async fn there_are_never_more_than_there_may_be() {
    let (_database, store) = store("3").await;
    let asked = (0..60).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { process(&store).await.unwrap() })
    });
    let mut processes = BTreeSet::new();
    for asked in asked.collect::<Vec<_>>() {
        processes.insert(asked.await.unwrap());
    }
    assert!((1..=3).contains(&processes.len()), "{processes:?}");
    let connections = store.connections();
    assert_eq!((connections.idle, connections.used), (processes.len(), 0));
    let lent = store.pool().acquire().await.unwrap();
    assert_eq!((store.connections().idle, store.connections().used), (processes.len() - 1, 1));
    drop(lent);
}

#[tokio::test]
async fn a_read_that_is_cut_short_leaves_no_answer_behind() {
    let (_database, store) = store("2").await;
    for polls in 0..200 {
        let cut = async {
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
        };
        let rows = sqlx::query_scalar::<_, i32>("select generate_series(1, 300)").fetch_all(store.pool());
        tokio::select! {
            biased;
            rows = rows => assert_eq!(rows.unwrap().len(), 300),
            () = cut => {}
        }
        let answer: i32 = sqlx::query_scalar("select $1::int").bind(polls).fetch_one(store.pool()).await.unwrap();
        assert_eq!(answer, polls);
    }
}

#[tokio::test]
async fn a_connection_that_broke_is_replaced() {
    let (_database, store) = store("2").await;
    let first = process(&store).await.unwrap();
    let mut other = PgConnection::connect_with(store.pool().connect_options()).await.unwrap();
    let ended: bool =
        sqlx::query_scalar("select pg_terminate_backend($1, 5000)").bind(first).fetch_one(&mut other).await.unwrap();
    assert!(ended);
    // Lent within a second it is taken as it is, and fails whoever asks; then it is gone.
    let second = match process(&store).await {
        Ok(second) => second,
        Err(_) => process(&store).await.unwrap(),
    };
    assert_ne!(first, second);
}
