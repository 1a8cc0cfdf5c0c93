//! What came in, added up.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::queries::{self, Taking};
use crate::{
    Store,
    error::{Refusal, Result},
    id::UserId,
    text::Lookup,
    users,
};

/// What was donated: all that was taken of donations, less what was given back, since the beginning.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DonationTotals {
    /// Whose cause was given to; null where it is about all donations.
    #[schema(required)]
    pub recipient_user_id: Option<UserId>,
    /// Their cause as it is called now, if it has a name.
    #[schema(required)]
    pub charity_name: Option<String>,
    /// One for each currency in which something was given.
    pub totals: Vec<DonationTotal>,
}

/// What was donated in one currency, in minor units.
#[derive(Debug, Serialize, ToSchema)]
pub struct DonationTotal {
    /// ISO 4217, lower case.
    #[schema(example = "usd")]
    pub currency: String,
    /// All of it.
    #[schema(example = 125_000)]
    pub amount: i64,
    /// What of it went to the platform itself rather than to a person and their cause.
    pub amount_to_platform: i64,
}

/// What was donated to somebody's cause or, with nobody named, in all.
///
/// # Errors
/// `NotFound`.
pub async fn donation_totals(store: &Store, recipient: Option<Lookup<UserId>>) -> Result<DonationTotals> {
    let recipient = recipient.map(|id| id.get("user")).transpose()?;
    let mut snapshot = store.snapshot().await?;
    let (charity_name, totals) = match recipient {
        Some(id) => {
            let cause = users::cause(&mut snapshot, id).await?.ok_or(Refusal::NotFound("user"))?;
            (cause, queries::gifts_to(&mut snapshot, id).await?)
        }
        None => (None, queries::gifts(&mut snapshot).await?),
    };
    Ok(DonationTotals { recipient_user_id: recipient, charity_name, totals })
}

/// What came in, in minor units of one currency.
#[derive(Debug, Default)]
pub(crate) struct Takings {
    /// Of sessions and donations, by the UTC day.
    pub by_day: BTreeMap<NaiveDate, i64>,
    /// Of donations alone.
    pub gifts_by_day: BTreeMap<NaiveDate, i64>,
}

/// What was taken less what was given back, since the beginning of `first`.
pub(crate) async fn takings(conn: &mut PgConnection, currency: &str, first: NaiveDate) -> Result<Takings> {
    let mut takings = Takings::default();
    for Taking { day, is_gift, amount_minor } in queries::takings(conn, currency, first).await? {
        *takings.by_day.entry(day).or_default() += amount_minor;
        if is_gift {
            *takings.gifts_by_day.entry(day).or_default() += amount_minor;
        }
    }
    Ok(takings)
}
