//! Logins that begin while the address of their user is proven, or while the user leaves.

use std::time::Duration;

use garde::{Unvalidated, Valid, Validate};
use humanchat_domain::{
    Store,
    auth::{self, AskMagicLink, Credentials, Registration, UseMagicLink},
    clock::Clock,
    erasure,
    error::{Error, Refusal},
    id::{MagicLinkId, UserId},
    mail,
    testing::{TableLock, TestDatabase, noon},
};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

const EMAIL: &str = "casey@example.com";
const PASSWORD: &str = "correct horse battery";

fn valid<T: Validate<Context = ()> + std::fmt::Debug>(value: T) -> Valid<T> {
    Unvalidated::new(value).validate().unwrap()
}

/// A place with somebody who registered an address without proving it.
async fn place() -> (Store, UserId) {
    let store = TestDatabase::create().await.store(Clock::manual(noon()));
    let (name, email, password) = ("Casey".to_owned(), EMAIL.to_owned(), PASSWORD.to_owned());
    let registration = Registration { name, email, password, timezone: None };
    let auth = auth::register(&store, None, valid(registration)).await.unwrap();
    (store, auth.user.user.id)
}

fn by_password() -> Valid<Credentials> {
    valid(Credentials { email: EMAIL.to_owned(), password: PASSWORD.to_owned() })
}

/// What a mailed link says.
async fn link(store: &Store) -> Valid<UseMagicLink> {
    let mut tx = store.begin(None).await.unwrap();
    auth::ask_magic_link(&mut tx, &valid(AskMagicLink { email: EMAIL.to_owned() })).await.unwrap();
    tx.commit().await.unwrap();
    let id: Uuid = sqlx::query_scalar("select id from magic_links").fetch_one(store.pool()).await.unwrap();
    auth::mail_magic_link(store.begin(None).await.unwrap(), MagicLinkId(id)).await.unwrap();
    let mails = mail::kept(store, Some(EMAIL)).await.unwrap();
    let (_, rest) = mails[0].body.split_once("#token=").unwrap();
    valid(UseMagicLink { token: rest.split_whitespace().next().unwrap().to_owned(), password: None })
}

/// Waits until so many wait for a lock.
async fn until_waiting(store: &Store, count: i64) {
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let come = async {
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(store.pool()).await.unwrap() < count {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), come).await.unwrap();
}

#[tokio::test]
async fn a_password_that_is_voided_while_it_is_checked_opens_no_login() {
    let (store, _) = place().await;
    let lock = TableLock::against_writes(&store, "logins").await;
    let void = async {
        until_waiting(&store, 1).await;
        sqlx::query("update users set password_hash = null").execute(store.pool()).await.unwrap();
        lock.release().await;
    };
    let (login, ()) = tokio::join!(auth::login(&store, None, by_password()), void);
    assert!(matches!(login, Err(Error::Refused(Refusal::InvalidCredentials))), "{login:?}");
}

#[tokio::test]
async fn a_login_that_is_under_way_when_the_address_is_proven_ends_with_the_others() {
    let (store, _) = place().await;
    let link = link(&store).await;
    let lock = TableLock::against_writes(&store, "refresh_tokens").await;
    let prove = async {
        until_waiting(&store, 1).await;
        auth::use_magic_link(&store, None, link).await
    };
    let let_go = async {
        until_waiting(&store, 2).await;
        lock.release().await;
    };
    let (impostor, owner, ()) = tokio::join!(auth::login(&store, None, by_password()), prove, let_go);
    let login = |auth: auth::Auth| store.verify_token(&auth.token).unwrap().login_id;
    let (impostor, owner) = (login(impostor.unwrap()), login(owner.unwrap()));
    let living = auth::authorities(&store, &[impostor, owner]).await.unwrap();
    assert_eq!(living.into_iter().map(|(login, _)| login).collect::<Vec<_>>(), [owner]);
}

#[tokio::test]
async fn who_leaves_while_a_link_of_theirs_is_used_is_gone_and_so_is_the_link() {
    let (store, user_id) = place().await;
    let link = link(&store).await;
    let lock = TableLock::against_writes(&store, "logins").await;
    let leave = async {
        let mut tx = store.begin(None).await.unwrap();
        erasure::erase(&mut tx, user_id).await.unwrap();
        tx.commit().await.unwrap();
    };
    let prove = async {
        until_waiting(&store, 1).await;
        auth::use_magic_link(&store, None, link).await
    };
    let let_go = async {
        until_waiting(&store, 2).await;
        lock.release().await;
    };
    let ((), proof, ()) = tokio::join!(leave, prove, let_go);
    assert!(matches!(proof, Err(Error::Refused(Refusal::LinkExpired))), "{proof:?}");
}
