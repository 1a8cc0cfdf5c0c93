//! Hosts' accounts at the provider, which what they earned is passed on to. The provider asks its
//! questions on pages of its own; here is only how an account stands.

mod queries;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    parties::{self, PartyKind},
    stripe::Account,
};
use crate::{
    Store,
    error::{Refusal, Result},
    id::UserId,
    text::text_enum,
};

text_enum! {
    /// How far an account is.
    AccountStatus {
        /// There is none.
        None,
        /// The provider has questions.
        Incomplete,
        /// What was answered is looked at, or the account is shut.
        Restricted,
        /// What was earned is passed on to it.
        Ready,
    }
}

/// How a host's account at the payment provider stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PayoutAccount {
    /// How far it is.
    pub status: AccountStatus,
    /// Whether cards can be charged for it; not needed here.
    pub charges_enabled: bool,
    /// Whether the provider pays it out.
    pub payouts_enabled: bool,
    /// What the provider still wants to know, in its words.
    pub requirements: Vec<String>,
    /// Why it is shut, in the provider's words.
    #[schema(required)]
    pub disabled_reason: Option<String>,
}

impl PayoutAccount {
    const NONE: Self = Self {
        status: AccountStatus::None,
        charges_enabled: false,
        payouts_enabled: false,
        requirements: Vec::new(),
        disabled_reason: None,
    };
}

impl From<Account> for PayoutAccount {
    fn from(account: Account) -> Self {
        let status = match (account.transfers_enabled, account.details_submitted) {
            (true, _) => AccountStatus::Ready,
            (false, true) if account.requirements.is_empty() => AccountStatus::Restricted,
            (false, _) => AccountStatus::Incomplete,
        };
        Self {
            status,
            charges_enabled: account.charges_enabled,
            payouts_enabled: account.payouts_enabled,
            requirements: account.requirements,
            disabled_reason: account.disabled_reason,
        }
    }
}

/// An account, and where the provider asks its questions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Onboarding {
    /// As it is now.
    pub account: PayoutAccount,
    /// A page of the provider's, good for a few minutes.
    pub onboarding_url: String,
}

/// The caller's account, made where there is none, and the page where the provider asks its
/// questions.
///
/// # Errors
/// `UpstreamTimeout` while it isn't known what the provider did: ask again. `UpstreamFailed`,
/// `Unavailable`.
pub async fn onboard(store: &Store, caller: UserId) -> Result<Onboarding> {
    let stripe = store.stripe()?;
    let account_id = parties::named(store, PartyKind::Account, caller).await?;
    let gone = || Refusal::UpstreamFailed("the payment provider does not know this account");
    let account = look(store, caller, &account_id).await?.ok_or_else(gone)?;
    let back = store.settings().public_url.as_str();
    let onboarding_url = stripe.account_link(&account_id, back).await?;
    Ok(Onboarding { account, onboarding_url })
}

/// The caller's account. One that isn't ready is looked at: its owner may come from the provider's
/// pages before its event does.
///
/// # Errors
/// `UpstreamTimeout`, `UpstreamFailed`, `Unavailable`.
pub async fn account(store: &Store, caller: UserId) -> Result<PayoutAccount> {
    store.stripe()?;
    let found = match queries::find(&store.pool, caller).await? {
        Some(account) if !account.transfers_enabled => look(store, caller, &account.id).await?,
        found => found.map(Into::into),
    };
    Ok(found.unwrap_or(PayoutAccount::NONE))
}

/// Asks how an account of ours stands; false where it is none of ours.
pub(super) async fn sync(store: &Store, account_id: &str) -> Result<bool> {
    let Some(owner) = parties::owner(store, PartyKind::Account, account_id).await? else { return Ok(false) };
    Ok(look(store, owner, account_id).await?.is_some())
}

/// The account that what somebody earned can be passed on to now.
pub(super) async fn ready(store: &Store, user: UserId) -> Result<Option<String>> {
    Ok(queries::find(&store.pool, user).await?.filter(|account| account.transfers_enabled).map(|account| account.id))
}

/// Looks at an account, and keeps what was seen. An older look that is kept last is made up for by
/// the event of whatever changed since.
async fn look(store: &Store, owner: UserId, account_id: &str) -> Result<Option<PayoutAccount>> {
    let at = store.clock.now();
    let Some(account) = store.stripe()?.account(account_id).await? else { return Ok(None) };
    queries::keep(&store.pool, owner, &account, at).await?;
    Ok(Some(account.into()))
}
