//! Connect: the accounts of those whom money is passed on to, and the pages they are sent to.

use serde_json::{Value, json};

use super::World;
use super::table::Row;
use crate::api::error::ApiError;
use crate::api::params::{Metadata, Params, merge_metadata};

const LINK_LASTS: i64 = 300;

/// A connected account.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    id: String,
    created: i64,
    kind: &'static str,
    country: String,
    email: Option<String>,
    /// Its owner has told Stripe everything it wants to know.
    pub(crate) onboarded: bool,
    metadata: Metadata,
}

impl Row for Account {
    const KIND: &'static str = "account";
    const PARAM: &'static str = "account";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        let due =
            if self.onboarded { json!([]) } else { json!(["external_account", "individual.verification.document"]) };
        let capability = if self.onboarded { "active" } else { "inactive" };
        json!({
            "id": self.id,
            "object": "account",
            "business_profile": null,
            "business_type": null,
            "capabilities": {"card_payments": capability, "transfers": capability},
            "charges_enabled": self.onboarded,
            "country": self.country,
            "created": self.created,
            "default_currency": "usd",
            "details_submitted": self.onboarded,
            "email": self.email,
            "external_accounts":
                {"object": "list", "data": [], "has_more": false, "url": format!("/v1/accounts/{}/external_accounts", self.id)},
            "metadata": self.metadata,
            "payouts_enabled": self.onboarded,
            "requirements": {
                "alternatives": [], "current_deadline": null, "currently_due": due, "disabled_reason":
                    if self.onboarded { Value::Null } else { json!("requirements.past_due") },
                "errors": [], "eventually_due": due, "past_due": due, "pending_verification": [],
            },
            "settings": null,
            "tos_acceptance": {"date": null},
            "type": self.kind,
        })
    }
}

impl World {
    /// `POST /v1/accounts`
    pub(crate) fn create_account(&mut self, params: &mut Params) -> Result<Value, ApiError> {
        let kind = params.word("type", &["express", "standard", "custom"])?.unwrap_or("express");
        let country = params.text("country")?.unwrap_or_else(|| "US".to_owned());
        let email = params.text("email")?;
        let metadata = params.metadata()?;
        params.ignore(&["business_profile", "business_type", "capabilities", "controller", "individual", "settings"]);
        params.finish()?;
        let id = format!("acct_{}", self.letters(16));
        let account = Account { id, created: self.now, kind, country, email, onboarded: false, metadata };
        let json = account.json();
        self.accounts.insert(account);
        Ok(json)
    }

    /// `POST /v1/accounts/{id}`
    pub(crate) fn update_account(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        let account = self.accounts.find_mut(id)?;
        let email = params.text("email")?;
        let metadata = params.metadata()?;
        params.ignore(&["business_profile", "business_type", "capabilities", "individual", "settings"]);
        params.finish()?;
        account.email = email.or(account.email.take());
        merge_metadata(&mut account.metadata, metadata);
        let json = account.json();
        self.emit("account.updated", id);
        Ok(json)
    }

    /// Its owner has filled in everything, on the page that an account link leads to.
    pub(crate) fn onboard(&mut self, id: &str) -> Result<(), ApiError> {
        self.accounts.find_mut(id)?.onboarded = true;
        self.emit("account.updated", id);
        Ok(())
    }

    /// `POST /v1/account_links`
    pub(crate) fn create_account_link(&mut self, params: &mut Params) -> Result<Value, ApiError> {
        let account = self.accounts.named(params, "account")?.ok_or_else(|| ApiError::missing("account"))?;
        params.word("type", &["account_onboarding", "account_update"])?.ok_or_else(|| ApiError::missing("type"))?;
        let return_url = params.needed_text("return_url")?;
        params.needed_text("refresh_url")?;
        params.ignore(&["collect", "collection_options"]);
        params.finish()?;
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("return_url", &return_url).finish();
        Ok(json!({
            "object": "account_link",
            "created": self.now,
            "expires_at": self.now + LINK_LASTS,
            "url": format!("{}/connect/{account}?{query}", self.base_url),
        }))
    }
}
