//! Members as staff see them, and what staff decide about them.

mod queries;

use garde::{Valid, Validate};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Store,
    audit::{self, AuditAction},
    auth::Role,
    cursor::{Page, Scope, Window, cut},
    error::{Error, Refusal, Result},
    id::UserId,
    text::Lookup,
    tx::Tx,
    users::{self, DisplayMode, Member},
};

/// Which members to list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PeopleQuery {
    /// An id; what a name or address begins with, sign by sign; or words in name, headline, skills or
    /// bio, of which the last may be a beginning. At most 200 characters.
    #[param(max_length = 200)]
    pub search: Option<String>,
    /// Only those with this role.
    #[param(inline)]
    pub role: Option<Role>,
    /// Only those whom staff answer for, or only the others.
    pub managed: Option<bool>,
}

/// What staff decide about a member; absent fields stay.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"managed": true, "displayMode": "by_request"}))]
pub struct MemberChange {
    /// Only admins change roles.
    #[garde(skip)]
    pub role: Option<Role>,
    /// Whether staff answer for them. `false` takes their manager away.
    #[garde(skip)]
    pub managed: Option<bool>,
    /// Who does: a manager or admin, or null. Only for who is managed.
    #[garde(skip)]
    #[serde(default, deserialize_with = "users::present")]
    #[schema(value_type = Option<UserId>)]
    pub manager_id: Option<Option<Lookup<UserId>>>,
    /// How they are reached.
    #[garde(skip)]
    pub display_mode: Option<DisplayMode>,
    /// Whether their rate is hidden from others.
    #[garde(skip)]
    pub confidential_rate: Option<bool>,
    /// Shuts them out: their tokens and sockets end within five seconds, and they can't sign in.
    #[garde(skip)]
    pub suspended: Option<bool>,
}

/// The fields that staff decide about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub id: UserId,
    pub role: Role,
    pub managed: bool,
    pub manager_id: Option<UserId>,
    pub display_mode: DisplayMode,
    pub confidential_rate: bool,
    pub suspended: bool,
}

impl Standing {
    fn runs_the_place(&self) -> bool {
        self.role == Role::Admin && !self.suspended
    }

    fn is_staff(&self) -> bool {
        self.role != Role::User && !self.suspended
    }

    /// How they stand after a change. Who isn't managed has no manager.
    fn changed(self, change: &MemberChange, manager: Option<Self>) -> Result<Self, Refusal> {
        let is_managed = change.managed.unwrap_or(self.managed);
        if manager.is_some() && !is_managed {
            return Err(Refusal::field("managerId", "is only for who is managed"));
        }
        let stays = change.manager_id.is_none();
        let manager_id = manager.map(|manager| manager.id).or(self.manager_id.filter(|_| stays));
        Ok(Self {
            id: self.id,
            role: change.role.unwrap_or(self.role),
            managed: is_managed,
            manager_id: manager_id.filter(|_| is_managed),
            display_mode: change.display_mode.unwrap_or(self.display_mode),
            confidential_rate: change.confidential_rate.unwrap_or(self.confidential_rate),
            suspended: change.suspended.unwrap_or(self.suspended),
        })
    }

    /// The fields in which two differ, as each has them.
    fn difference(&self, other: &Self) -> (Value, Value) {
        let (one, other) = (self.fields(), other.fields());
        let only = |of: &Map<String, Value>, than: &Map<String, Value>| {
            let differing = of.iter().filter(|(name, value)| than.get(*name) != Some(value));
            Value::Object(differing.map(|(name, value)| (name.clone(), value.clone())).collect())
        };
        (only(&one, &other), only(&other, &one))
    }

    fn fields(&self) -> Map<String, Value> {
        let fields = [
            ("role", json!(self.role)),
            ("managed", json!(self.managed)),
            ("manager_id", json!(self.manager_id)),
            ("display_mode", json!(self.display_mode)),
            ("confidential_rate", json!(self.confidential_rate)),
            ("suspended", json!(self.suspended)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Members, newest first; suspended ones too.
///
/// # Errors
/// `BadCursor`, or `Malformed` where too much is looked for.
pub async fn list(store: &Store, caller: UserId, query: &PeopleQuery, window: Window<'_>) -> Result<Page<Member>> {
    let scope = Scope { user_id: caller, route: "admin/users", filter: query };
    let before: Option<UserId> = window.cursor.map(|cursor| store.unseal(&scope, cursor)).transpose()?;
    let search = query.search.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let filter =
        queries::Filter { role: query.role, managed: query.managed, before, limit: i64::from(window.limit) + 1 };
    users::check_words(search.unwrap_or_default())?;
    let mut snapshot = store.snapshot().await?;
    let ids = match search {
        Some(text) => {
            // Who looks for these signs means them, and words have none.
            let is_meant = text.contains(['%', '_', '\\']);
            let words = if is_meant { None } else { users::tsquery(&mut snapshot, text).await? };
            let search = queries::Search { id: text.parse().ok(), prefix: text.to_lowercase(), words };
            queries::search(&mut snapshot, &search, &filter).await?
        }
        None => queries::list(&mut snapshot, &filter).await?,
    };
    let (ids, more) = cut(ids, window.limit);
    let next = ids.last().filter(|_| more).map(|id| store.seal(&scope, id)).transpose()?;
    Ok(Page { items: users::members(&mut snapshot, &ids, store.clock.now()).await?, next })
}

/// Decides about a member. What is so already changes nothing.
///
/// # Errors
/// `NotFound`, `Forbidden`, `LastAdmin`, `Invalid`.
pub async fn change(tx: &mut Tx, caller: UserId, id: UserId, change: &Valid<MemberChange>) -> Result<Member> {
    let manager = change.manager_id.as_ref().and_then(Option::as_ref);
    let manager = manager.map(|manager| manager.get("user").or(Err(not_staff()))).transpose();
    users::lock_admins(tx).await?;
    let named = [Some(caller), Some(id), manager.as_ref().ok().copied().flatten()];
    let standings = queries::lock(tx.conn(), &named.into_iter().flatten().collect::<Vec<_>>()).await?;
    let of = |id: UserId| standings.iter().find(|standing| standing.id == id).copied();
    let actor = of(caller).filter(|actor| !actor.suspended).ok_or(Refusal::Unauthenticated)?;
    let before = of(id).ok_or(Refusal::NotFound("user"))?;
    let manager = manager?.map(|manager| of(manager).filter(Standing::is_staff).ok_or(not_staff())).transpose()?;
    let after = before.changed(change, manager)?;
    may_decide(actor, before, after)?;
    if before.runs_the_place() && !after.runs_the_place() && users::is_last_admin(tx, id).await? {
        return Err(Refusal::LastAdmin.into());
    }
    if caller == id && (after.role, after.suspended) != (before.role, before.suspended) {
        return Err(Refusal::Forbidden("another admin has to change your own role").into());
    }
    let now = tx.now();
    if after != before {
        queries::update(tx.conn(), &after, now).await?;
        let (was, is) = before.difference(&after);
        audit::record(tx, caller, AuditAction::UserChanged, &id.to_string(), (&was, &is)).await?;
    }
    let member = users::members(tx.conn(), &[id], now).await?.pop();
    member.ok_or(Error::Internal("a member vanished"))
}

fn not_staff() -> Refusal {
    Refusal::field("managerId", "must be a manager or an admin")
}

fn may_decide(actor: Standing, before: Standing, after: Standing) -> Result<(), Refusal> {
    match actor.role {
        Role::Manager if before.role != Role::User => Err(Refusal::Forbidden("only admins decide about staff")),
        Role::Manager if after.role != before.role => Err(Refusal::Forbidden("only admins change roles")),
        Role::Admin | Role::Manager => Ok(()),
        Role::User => Err(Refusal::Forbidden("only staff may do this")),
    }
}
