//! Changing one's own profile.

use std::collections::BTreeMap;

use garde::{Valid, Validate};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::{ConversationType, OwnUser, own, queries};
use crate::{
    error::{Refusal, Result},
    id::UserId,
    money::{self, Price},
    notifications, payments,
    sessions::{INSTANT_MINUTES, NewCancellationPolicy},
    text::rules,
    tx::Tx,
};

/// The profile fields to change; absent ones stay, `null` empties those that may be empty.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileChange {
    /// 2–80 characters.
    #[garde(inner(custom(rules::name)))]
    #[schema(min_length = 2, max_length = 80)]
    pub name: Option<String>,
    /// An https URL, or null.
    #[garde(inner(inner(custom(rules::https_url))))]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = "uri", max_length = 2000)]
    pub avatar_url: Option<Option<String>>,
    /// At most 160 characters.
    #[garde(inner(length(chars, max = 160), custom(rules::line)))]
    #[schema(max_length = 160)]
    pub headline: Option<String>,
    /// At most 4000 characters.
    #[garde(inner(length(chars, max = 4000), custom(no_nul)))]
    #[schema(max_length = 4000)]
    pub bio: Option<String>,
    /// At most 30, each 1–60 characters.
    #[garde(inner(length(max = 30), inner(length(chars, min = 1, max = 60), custom(rules::line))))]
    #[schema(max_items = 30)]
    pub skills: Option<Vec<String>>,
    /// At most 20, each 1–60 characters.
    #[garde(inner(length(max = 20), inner(length(chars, min = 1, max = 60), custom(rules::line))))]
    #[schema(max_items = 20)]
    pub languages: Option<Vec<String>>,
    /// IANA name.
    #[garde(inner(custom(rules::timezone)))]
    pub timezone: Option<String>,
    /// What talking costs. `paid` needs a rate, `charity` a `charityName`.
    #[garde(skip)]
    pub conversation_type: Option<ConversationType>,
    /// Price of an instant minute, or null. 30 minutes have to cost what a card can be charged: in US dollars, from
    /// 0.50 to 999999.99.
    #[garde(skip)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Price>)]
    pub instant_rate_per_minute: Option<Option<Price>>,
    /// Minutes (5–480) to price of a booked session, which is one that a card can be charged: in US dollars, from
    /// 0.50 to 999999.99. Replaces all former ones; at most 20.
    #[garde(skip)]
    #[schema(value_type = Option<std::collections::HashMap<String, Price>>, example = json!({"30": 60}))]
    pub scheduled_rates: Option<BTreeMap<String, Price>>,
    /// ISO 4217, lower case.
    #[garde(inner(custom(supported_currency)))]
    #[schema(example = "usd")]
    pub currency: Option<String>,
    /// At most 120 characters, or null.
    #[garde(inner(inner(length(chars, min = 1, max = 120), custom(rules::line))))]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 120)]
    pub charity_name: Option<Option<String>>,
    /// What guests get back who call a booking off; bookings keep the policy they were made under.
    #[garde(dive)]
    pub cancellation_policy: Option<NewCancellationPolicy>,
}

#[expect(clippy::option_option, reason = "absent, null and a value mean different things")]
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn no_nul<C>(text: &str, _: &C) -> garde::Result {
    if text.contains('\0') { Err(garde::Error::new("must not contain NUL")) } else { Ok(()) }
}

fn supported_currency<C>(code: &str, _: &C) -> garde::Result {
    if money::is_supported(code) {
        Ok(())
    } else {
        Err(garde::Error::new("must be a supported ISO 4217 code in lower case"))
    }
}

/// Changes the caller's profile.
///
/// # Errors
/// `Invalid` when the result would not hold together.
pub async fn change_profile(tx: &mut Tx, id: UserId, change: Valid<ProfileChange>) -> Result<OwnUser> {
    let change = change.into_inner();
    let now = tx.now();
    let mut pricing = queries::lock_pricing(tx.conn(), id).await?.ok_or(Refusal::NotFound("user"))?;
    apply_pricing(&mut pricing, &change)?;
    queries::update_profile(tx.conn(), id, &change, &pricing, now).await?;
    if change.timezone.is_some() {
        notifications::zone_changed(tx, id).await?;
    }
    own(tx, id).await
}

/// Prices are kept in minor units, so what a currency change would silently reinterpret is refused.
fn apply_pricing(pricing: &mut queries::Pricing, change: &ProfileChange) -> Result<(), Refusal> {
    if let Some(currency) = &change.currency
        && *currency != pricing.currency
    {
        let keeps_rate = pricing.instant_rate_minor.is_some() && change.instant_rate_per_minute.is_none();
        let keeps_rates = !pricing.scheduled_rates.is_empty() && change.scheduled_rates.is_none();
        if keeps_rate || keeps_rates {
            return Err(Refusal::field("currency", "can only change together with all rates"));
        }
        pricing.currency.clone_from(currency);
    }
    if let Some(kind) = change.conversation_type {
        pricing.conversation_type = kind;
    }
    if let Some(rate) = change.instant_rate_per_minute {
        pricing.instant_rate_minor = rate.map(|rate| instant(rate, &pricing.currency)).transpose()?;
    }
    if let Some(rates) = &change.scheduled_rates {
        pricing.scheduled_rates = scheduled(rates, &pricing.currency)?;
    }
    if let Some(name) = &change.charity_name {
        pricing.charity_name.clone_from(name);
    }
    match pricing.conversation_type {
        ConversationType::Paid if pricing.instant_rate_minor.is_none() && pricing.scheduled_rates.is_empty() => {
            Err(Refusal::field("conversationType", "paid needs instantRatePerMinute or scheduledRates"))
        }
        ConversationType::Charity if pricing.charity_name.is_none() => {
            Err(Refusal::field("conversationType", "charity needs charityName"))
        }
        _ => Ok(()),
    }
}

fn above_zero(price: Price, currency: &str, field: &str) -> Result<i64, Refusal> {
    let minor = price.to_minor(currency).map_err(|reason| Refusal::field(field, reason))?;
    if minor == 0 { Err(Refusal::field(field, "must be above 0")) } else { Ok(minor) }
}

/// A connection without a word about its length is held for so many minutes.
fn instant(rate: Price, currency: &str) -> Result<i64, Refusal> {
    let field = "instantRatePerMinute";
    let minor = above_zero(rate, currency, field)?;
    payments::chargeable(minor * i64::from(INSTANT_MINUTES), currency)
        .map_err(|range| Refusal::field(field, format!("must make {INSTANT_MINUTES} minutes cost {range}")))?;
    Ok(minor)
}

fn scheduled(rates: &BTreeMap<String, Price>, currency: &str) -> Result<BTreeMap<String, i64>, Refusal> {
    if rates.len() > 20 {
        return Err(Refusal::field("scheduledRates", "must have at most 20 entries"));
    }
    rates
        .iter()
        .map(|(minutes, price)| {
            let field = format!("scheduledRates.{minutes}");
            // Only one way to write a number, so that no two entries mean the same.
            let number = minutes.parse::<u16>().ok().filter(|number| number.to_string() == *minutes);
            let number = number.ok_or_else(|| Refusal::field(&field, "must be named by whole minutes"))?;
            if !(5..=480).contains(&number) {
                return Err(Refusal::field(&field, "must be for 5 to 480 minutes"));
            }
            let minor = above_zero(*price, currency, &field)?;
            payments::chargeable(minor, currency)
                .map_err(|range| Refusal::field(&field, format!("must be from {range}")))?;
            Ok((minutes.clone(), minor))
        })
        .collect()
}
