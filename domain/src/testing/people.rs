//! People, how they are signed in, and what staff have set for them.

use crate::{
    Store,
    auth::{AccessToken, Role},
    id::{LoginId, UserId},
    users::DisplayMode,
};

/// How many people are known to have a socket.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn people_here(store: &Store) -> i64 {
    let here = sqlx::query_scalar("select count(*) from presences where until is null");
    here.fetch_one(store.pool()).await.expect("the database answers")
}

/// Somebody signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub user_id: UserId,
    /// Their login.
    pub login_id: LoginId,
    /// An access token.
    pub token: String,
}

/// The same person's access token, good for the next ninety days.
///
/// # Panics
/// When it is none of this store's.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub fn lasting_token(store: &Store, token: &str) -> String {
    let now = store.clock().now();
    let AccessToken { user_id, login_id } = store.keys.verify(token, now).expect("a good token");
    let later = now + chrono::TimeDelta::days(90);
    store.keys.sign(user_id, login_id, Role::User, later).expect("a token can be signed").0
}

/// Many people with a login each, made at once.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn sign_in_many(store: &Store, count: usize) -> Vec<SignedIn> {
    let people: Vec<_> = (0..count).map(|_| (UserId::new(), LoginId::new())).collect();
    let (users, logins): (Vec<_>, Vec<_>) = people.iter().map(|(user, login)| (user.0, login.0)).unzip();
    let now = store.clock().now();
    sqlx::query(
        "with people as (
           insert into users (id, name, email, email_verified, timezone, created_at, updated_at)
           select id, 'Person', id || '@example.com', true, 'UTC', $3, $3 from unnest($1::uuid[]) as id
         )
         insert into logins (id, user_id, created_at)
         select login, person, $3 from unnest($2::uuid[], $1::uuid[]) as l (login, person)",
    )
    .bind(users)
    .bind(logins)
    .bind(now)
    .execute(store.pool())
    .await
    .expect("people can be made");
    let sign = |(user_id, login_id)| {
        let (token, _) = store.keys.sign(user_id, login_id, Role::User, now).expect("a token can be signed");
        SignedIn { user_id, login_id, token }
    };
    people.into_iter().map(sign).collect()
}

/// What staff decide about a person.
#[derive(Debug, Clone, Copy)]
pub struct Flags {
    /// How they are reached.
    pub display_mode: DisplayMode,
    /// Whether staff answer for them.
    pub managed: bool,
    /// Whether their rate is hidden from others.
    pub confidential_rate: bool,
    /// Whether they are shut out.
    pub suspended: bool,
}

impl Default for Flags {
    fn default() -> Self {
        Self { display_mode: DisplayMode::Normal, managed: false, confidential_rate: false, suspended: false }
    }
}

/// Sets somebody's flags as staff would.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn set_flags(store: &Store, id: UserId, flags: Flags) {
    sqlx::query(
        "update users set display_mode = $2, managed = $3, confidential_rate = $4,
           suspended_at = case when $5 then $6 end where id = $1",
    )
    .bind(id)
    .bind(flags.display_mode)
    .bind(flags.managed)
    .bind(flags.confidential_rate)
    .bind(flags.suspended)
    .bind(store.clock().now())
    .execute(store.pool())
    .await
    .expect("flags can be set");
}

/// Lets somebody answer for a managed person, or nobody.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn set_manager(store: &Store, id: UserId, manager: Option<UserId>) {
    sqlx::query("update users set managed = $2 is not null, manager_id = $2 where id = $1")
        .bind(id)
        .bind(manager)
        .execute(store.pool())
        .await
        .expect("a manager can be set");
}

/// Makes every api process look as if it had last been seen this much earlier.
///
/// # Panics
/// When the database fails.
#[expect(clippy::expect_used, reason = "only tests call this")]
pub async fn age_socket_processes(store: &Store, by: std::time::Duration) {
    sqlx::query("update socket_processes set seen_at = seen_at - $1")
        .bind(by)
        .execute(store.pool())
        .await
        .expect("processes can be aged");
}
