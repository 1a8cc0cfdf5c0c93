//! SQL of people.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};

use super::{ConversationType, DisplayMode, Member, OwnUser, PresenceState, ProfileChange, Status, User};
use crate::{auth::Role, id::UserId, money::Price, sessions::CancellationPolicy, text::Timestamp};

#[expect(clippy::struct_excessive_bools, reason = "a row has the columns it has")]
pub(super) struct Row {
    pub id: UserId,
    name: String,
    email: String,
    email_verified: bool,
    role: Role,
    timezone: String,
    avatar_url: Option<String>,
    headline: String,
    bio: String,
    skills: Vec<String>,
    languages: Vec<String>,
    conversation_type: ConversationType,
    instant_rate_minor: Option<i64>,
    scheduled_rates: Json<BTreeMap<String, i64>>,
    currency: String,
    charity_name: Option<String>,
    cancellation_policy: Option<Json<CancellationPolicy>>,
    managed: bool,
    manager_id: Option<UserId>,
    display_mode: DisplayMode,
    confidential_rate: bool,
    presence_state: PresenceState,
    is_online: bool,
    has_active_session: bool,
    answer_rate: Option<f64>,
    median_answer_secs: Option<i64>,
    suspended_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Row {
    fn into_parts(self) -> (User, String, Role, bool) {
        let currency = self.currency;
        let price = |minor: i64| Price::from_minor(minor, &currency);
        let rates = self.scheduled_rates.0.into_iter().map(|(minutes, minor)| (minutes, price(minor))).collect();
        let user = User {
            id: self.id,
            name: self.name,
            avatar_url: self.avatar_url,
            headline: self.headline,
            bio: self.bio,
            skills: self.skills,
            languages: self.languages,
            timezone: self.timezone,
            conversation_type: self.conversation_type,
            instant_rate_per_minute: self.instant_rate_minor.map(price),
            scheduled_rates: Some(rates),
            charity_name: self.charity_name,
            cancellation_policy: self.cancellation_policy.map(|policy| policy.0).unwrap_or_default(),
            is_online: self.is_online,
            presence_state: self.presence_state,
            has_active_session: self.has_active_session,
            managed: self.managed,
            manager_id: self.manager_id,
            display_mode: self.display_mode,
            confidential_rate: self.confidential_rate,
            answer_rate: self.answer_rate,
            median_answer_secs: self.median_answer_secs,
            created_at: self.created_at,
            updated_at: self.updated_at,
            currency,
        };
        (user, self.email, self.role, self.email_verified)
    }

    pub(super) fn shown_to_others(self) -> User {
        let mut user = self.into_parts().0;
        if user.confidential_rate || user.display_mode == DisplayMode::Confidential {
            user.instant_rate_per_minute = None;
            user.scheduled_rates = None;
        }
        user
    }

    pub(super) fn shown_to_self(self) -> OwnUser {
        let (user, email, role, email_verified) = self.into_parts();
        OwnUser { user, email, role, email_verified }
    }

    pub(super) fn shown_to_staff(self) -> Member {
        let suspended_at = self.suspended_at;
        Member { user: self.shown_to_self(), suspended_at }
    }
}

/// People by id, in no order. Suspended people stay visible to those who know their id.
pub(super) async fn load(conn: &mut PgConnection, ids: &[UserId], now: DateTime<Utc>) -> sqlx::Result<Vec<Row>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    sqlx::query_as!(
        Row,
        r#"select id as "id: UserId", name, email, email_verified, role as "role: Role", timezone, avatar_url, headline, bio,
                  skills, languages, conversation_type as "conversation_type: ConversationType", instant_rate_minor,
                  scheduled_rates as "scheduled_rates: Json<BTreeMap<String, i64>>", currency, charity_name,
                  cancellation_policy as "cancellation_policy: Json<CancellationPolicy>", managed,
                  (select m.id from users m where m.id = users.manager_id and m.role <> 'user' and m.suspended_at is null)
                    as "manager_id: UserId",
                  display_mode as "display_mode: DisplayMode", confidential_rate,
                  presence_state as "presence_state: PresenceState",
                  user_is_online(presence_state, present_until, id, $2) as "is_online!",
                  exists (select from engagements e where e.user_id = users.id and e.live) as "has_active_session!",
                  answer_rate as "answer_rate?", median_answer_secs as "median_answer_secs?",
                  suspended_at as "suspended_at: Timestamp", created_at as "created_at: Timestamp",
                  updated_at as "updated_at: Timestamp"
           from users left join lateral (
             select round(avg(answered::integer), 2)::float8 as answer_rate,
               round(percentile_cont(0.5) within group (order by secs) filter (where answered))::bigint as median_answer_secs
             from (select i.status in ('accepted', 'declined') as answered,
                          extract(epoch from i.resolved_at - i.created_at)::float8 as secs
                   from invites i
                   where i.target_user_id = users.id and (i.status in ('accepted', 'declined', 'expired')
                                                          or (i.status = 'pending' and i.expires_at <= $2))
                   order by i.id desc limit 50) latest
             having count(*) >= 3) reached on true
           where id = any($1)"#,
        &ids,
        now,
    )
    .fetch_all(conn)
    .await
}

pub(super) async fn status(conn: &mut PgConnection, ids: &[UserId], now: DateTime<Utc>) -> sqlx::Result<Vec<Status>> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    sqlx::query_as!(
        Status,
        r#"select id as "user_id: UserId", presence_state as "presence_state: PresenceState",
                  user_is_online(presence_state, present_until, id, $2) as "is_online!",
                  exists (select from engagements e where e.user_id = users.id and e.live) as "has_active_session!"
           from users where id = any($1) order by id"#,
        &ids,
        now,
    )
    .fetch_all(conn)
    .await
}

/// Whether somebody exists and isn't suspended.
pub(super) async fn is_member(conn: &mut PgConnection, id: UserId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from users where id = $1 and suspended_at is null) as "is!""#, id.0,)
        .fetch_one(conn)
        .await
}

/// The name of somebody's cause, if it has one.
pub(super) async fn cause(conn: &mut PgConnection, id: UserId) -> sqlx::Result<Option<Option<String>>> {
    sqlx::query_scalar!("select charity_name from users where id = $1 and erased_at is null", id.0)
        .fetch_optional(conn)
        .await
}

pub(super) async fn name(conn: &mut PgConnection, id: UserId) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select name from users where id = $1", id.0).fetch_optional(conn).await
}

pub(super) async fn lock(conn: &mut PgConnection, ids: &[UserId]) -> sqlx::Result<()> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    sqlx::query!("select id from users where id = any($1) order by id for no key update", &ids).fetch_all(conn).await?;
    Ok(())
}

/// The user is locked. Who says it again before it ran out was there all the while: that is one row, made longer.
pub(super) async fn set_presence(
    conn: &mut PgConnection,
    id: UserId,
    state: PresenceState,
    until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with longer as (
           update presences set until = greatest(until, $3) where user_id = $1 and until >= $4 and $3::timestamptz is not null
           returning 1
         ), here as (
           insert into presences (user_id, since, until) select $1, $4, $3
           where $3::timestamptz is not null and not exists (select from longer)
         )
         update users set presence_state = $2, present_until = $3, unanswered = 0, found_away = false where id = $1",
        id.0,
        state as PresenceState,
        until,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether that made them idle.
pub(super) async fn left_unanswered(conn: &mut PgConnection, id: UserId, away_after: i32) -> sqlx::Result<bool> {
    let is_away = sqlx::query_scalar!(
        r#"with before as (select id, presence_state = 'active' and unanswered + 1 >= $2 as is_away from users where id = $1)
           update users u set unanswered = least(u.unanswered + 1, $2), found_away = found_away or is_away,
             presence_state = case when is_away then 'idle' else u.presence_state end
           from before where u.id = before.id returning is_away as "is_away!""#,
        id.0,
        away_after,
    );
    Ok(is_away.fetch_optional(conn).await?.unwrap_or(false))
}

/// Whether that made them active again.
pub(super) async fn answered(conn: &mut PgConnection, id: UserId) -> sqlx::Result<bool> {
    let is_back = sqlx::query_scalar!(
        r#"with before as (select id, found_away from users where id = $1 and unanswered > 0)
           update users u set unanswered = 0, found_away = false,
             presence_state = case when before.found_away then 'active' else u.presence_state end
           from before where u.id = before.id returning before.found_away as "is_back!""#,
        id.0,
    );
    Ok(is_back.fetch_optional(conn).await?.unwrap_or(false))
}

pub(super) async fn present_until(conn: &mut PgConnection, id: UserId) -> sqlx::Result<Option<DateTime<Utc>>> {
    let until = sqlx::query_scalar!("select present_until from users where id = $1", id.0).fetch_optional(conn).await?;
    Ok(until.flatten())
}

pub(super) async fn lock_admins(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended('humanchat:admins', 0)) is null as locked")
        .fetch_one(conn)
        .await?;
    Ok(())
}

pub(super) async fn is_last_admin(conn: &mut PgConnection, id: UserId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select role = 'admin' and suspended_at is null and not exists (
             select from users o where o.role = 'admin' and o.suspended_at is null and o.id <> $1) as "is!"
           from users where id = $1"#,
        id.0,
    )
    .fetch_one(conn)
    .await
}

pub(super) async fn set_role(conn: &mut PgConnection, id: UserId, role: Role, now: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!("update users set role = $2, updated_at = $3 where id = $1", id.0, role as Role, now)
        .execute(conn)
        .await?;
    Ok(())
}

/// The fields that have to hold together.
pub(super) struct Pricing {
    pub conversation_type: ConversationType,
    pub instant_rate_minor: Option<i64>,
    pub scheduled_rates: BTreeMap<String, i64>,
    pub currency: String,
    pub charity_name: Option<String>,
}

pub(super) async fn lock_pricing(conn: &mut PgConnection, id: UserId) -> sqlx::Result<Option<Pricing>> {
    let row = sqlx::query!(
        r#"select conversation_type as "conversation_type: ConversationType", instant_rate_minor,
                  scheduled_rates as "scheduled_rates: Json<BTreeMap<String, i64>>", currency, charity_name
           from users where id = $1 for no key update"#,
        id.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Pricing {
        conversation_type: row.conversation_type,
        instant_rate_minor: row.instant_rate_minor,
        scheduled_rates: row.scheduled_rates.0,
        currency: row.currency,
        charity_name: row.charity_name,
    }))
}

pub(super) async fn update_profile(
    conn: &mut PgConnection,
    id: UserId,
    change: &ProfileChange,
    pricing: &Pricing,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update users set
           name = coalesce($2, name),
           avatar_url = case when $3 then $4 else avatar_url end,
           headline = coalesce($5, headline),
           bio = coalesce($6, bio),
           skills = coalesce($7, skills),
           languages = coalesce($8, languages),
           timezone = coalesce($9, timezone),
           conversation_type = $10, instant_rate_minor = $11, scheduled_rates = $12, currency = $13, charity_name = $14,
           cancellation_policy = coalesce($15, cancellation_policy), updated_at = $16
         where id = $1",
        id.0,
        change.name.as_deref().map(str::trim),
        change.avatar_url.is_some(),
        change.avatar_url.clone().flatten(),
        change.headline,
        change.bio,
        change.skills.as_deref(),
        change.languages.as_deref(),
        change.timezone,
        pricing.conversation_type as ConversationType,
        pricing.instant_rate_minor,
        serde_json::json!(pricing.scheduled_rates),
        pricing.currency,
        pricing.charity_name,
        change.cancellation_policy.map(|policy| Json(CancellationPolicy::from(policy))) as _,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}
