//! Connections are lent, come back, and are replaced; nothing of one borrower's reaches the next.

use std::collections::BTreeSet;

use humanchat_domain::{
    Store,
    clock::Clock,
    error::Error,
    event::{Channel, Event},
    id::{ConversationId, InviteId, UserId},
    testing::{TestDatabase, noon},
    users,
};
use humanchat_jobs::invites::ExpireInvite;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

async fn store(connections: &str) -> (TestDatabase, Store) {
    let database = TestDatabase::create().await;
    let store = database.store_with(Clock::manual(noon()), &[("DATABASE_POOL", connections)]);
    (database, store)
}

async fn process(store: &Store) -> sqlx::Result<i32> {
    sqlx::query_scalar("select pg_backend_pid()").fetch_one(store.pool()).await
}

/// A connection that no pool knows.
async fn other(store: &Store) -> PgConnection {
    PgConnection::connect_with(store.pool().connect_options()).await.unwrap()
}

/// Ends a connection from the server's side, as an operator may.
async fn end(store: &Store, process: i32) {
    let mut other = other(store).await;
    let ended: bool =
        sqlx::query_scalar("select pg_terminate_backend($1, 5000)").bind(process).fetch_one(&mut other).await.unwrap();
    assert!(ended);
}

/// What takes as many turns of the runtime.
async fn turns(number: i32) {
    for _ in 0..number {
        tokio::task::yield_now().await;
    }
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
async fn who_waits_too_long_for_a_connection_may_try_again() {
    let (_database, store) = store("2").await;
    let lent = [store.pool().acquire().await.unwrap(), store.pool().acquire().await.unwrap()];
    let error = store.begin(None).await.unwrap_err();
    assert!(matches!(error, Error::Database(sqlx::Error::PoolTimedOut)), "{error:?}");
    assert!(error.is_unavailable());
    let (begun, ()) = tokio::join!(store.begin(None), async { drop(lent) });
    begun.unwrap();
}

#[tokio::test]
async fn who_gives_way_to_others_may_try_again() {
    let (_database, store) = store("2").await;
    for code in ["40P01", "40001"] {
        let give_way = format!("do $$ begin raise exception using errcode = '{code}'; end $$");
        let error = sqlx::raw_sql(AssertSqlSafe(give_way)).execute(store.pool()).await.unwrap_err();
        assert!(Error::from(error).is_unavailable(), "{code}");
    }
}

#[tokio::test]
async fn a_read_that_is_cut_short_leaves_no_answer_behind() {
    let (_database, store) = store("2").await;
    for polls in 0..200 {
        let rows = sqlx::query_scalar::<_, i32>("select generate_series(1, 300)").fetch_all(store.pool());
        tokio::select! {
            biased;
            rows = rows => assert_eq!(rows.unwrap().len(), 300),
            () = turns(polls) => {}
        }
        let answer: i32 = sqlx::query_scalar("select $1::int").bind(polls).fetch_one(store.pool()).await.unwrap();
        assert_eq!(answer, polls);
    }
}

#[tokio::test]
async fn a_unit_of_work_that_is_cut_short_happens_or_does_not() {
    let (_database, store) = store("2").await;
    let user_id = UserId::new();
    for polls in 0..400 {
        let work = async {
            let mut tx = store.begin(None).await?;
            tx.enqueue(&ExpireInvite { invite_id: InviteId::new() })?;
            let conversation_id = ConversationId::new();
            tx.emit(
                Channel::Notifications(user_id),
                Event::ConversationRead { conversation_id, user_id, message_id: 1 },
            );
            tx.commit().await
        };
        tokio::select! {
            biased;
            done = work => done.unwrap(),
            () = turns(polls) => {}
        }
        // Whichever of the two it had: outside of a transaction there is nothing to save.
        let mut lent = [store.pool().acquire().await.unwrap(), store.pool().acquire().await.unwrap()];
        for connection in &mut lent {
            let saved = sqlx::raw_sql("savepoint probe").execute(&mut **connection).await;
            assert!(saved.is_err(), "a connection came back with its transaction open, after {polls} polls");
        }
    }
    let written = "select (select count(*) from jobs), (select count(*) from events)";
    let (jobs, events): (i64, i64) = sqlx::query_as(written).fetch_one(store.pool()).await.unwrap();
    assert!((1..400).contains(&jobs), "none was cut short, or all were: {jobs}");
    assert_eq!(jobs, events);
}

#[tokio::test]
async fn locks_are_free_as_soon_as_their_unit_of_work_is_dropped() {
    let (_database, store) = store("2").await;
    let mut other = other(&store).await;
    let mut tx = store.begin(None).await.unwrap();
    users::end_presence(&mut tx, UserId::new()).await.unwrap();
    let refused = sqlx::raw_sql("begin; lock table users in access exclusive mode nowait").execute(&mut other).await;
    assert!(refused.is_err(), "the unit of work locks nothing");
    drop(tx);
    // Nobody borrows from the pool any more. The lock is waited for, as long as `lock_timeout` lets.
    sqlx::raw_sql("rollback; begin; lock table users in access exclusive mode").execute(&mut other).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_broke_is_replaced() {
    let (_database, store) = store("2").await;
    let first = process(&store).await.unwrap();
    end(&store, first).await;
    // Lent within a second it is taken as it is, and fails whoever asks; then it is gone.
    let second = match process(&store).await {
        Ok(second) => second,
        Err(_) => process(&store).await.unwrap(),
    };
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_connection_that_broke_while_it_was_lent_is_lent_to_nobody_else() {
    let (_database, store) = store("2").await;
    let mut lent = store.pool().acquire().await.unwrap();
    let first: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *lent).await.unwrap();
    end(&store, first).await;
    drop(lent);
    for _ in 0..3 {
        assert_ne!(process(&store).await.unwrap(), first);
    }
}
