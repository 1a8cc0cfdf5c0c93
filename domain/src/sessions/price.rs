//! What talking with a host costs.

use std::collections::BTreeMap;

use crate::{
    Store,
    error::{Refusal, Result},
    id::UserId,
    money::Price,
    users::{ConversationType, DisplayMode},
};

use super::{CancellationPolicy, queries};

/// On what terms a host can be booked, as one guest finds them.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub conversation_type: ConversationType,
    pub instant_rate_minor: Option<i64>,
    /// Minutes to price.
    pub scheduled_rates: BTreeMap<String, i64>,
    pub currency: String,
    pub display_mode: DisplayMode,
    pub managed: bool,
    pub confidential_rate: bool,
    pub cancellation_policy: CancellationPolicy,
    /// Whether the host said yes to a request of this guest.
    pub is_approved: bool,
}

/// A price.
#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    /// Major units.
    pub price: Price,
    /// ISO 4217, lower case.
    pub currency: String,
}

impl Terms {
    /// Managed, by-request and confidential hosts are booked by those whose request they approved: nobody else learns
    /// a confidential price.
    pub(super) fn admit(&self) -> Result<(), Refusal> {
        let is_open = !self.managed && self.display_mode == DisplayMode::Normal && !self.confidential_rate;
        if is_open || self.is_approved { Ok(()) } else { Err(Refusal::RequestRequired) }
    }

    /// What a booking of so many minutes costs, in minor units: the price named for just this
    /// length, else the instant rate for each minute.
    ///
    /// # Errors
    /// `Invalid` where the host names no price for this length.
    pub(super) fn booked_minor(&self, minutes: i32) -> Result<i64, Refusal> {
        if self.conversation_type == ConversationType::Free {
            return Ok(0);
        }
        let by_minute = || self.instant_rate_minor.map(|rate| rate * i64::from(minutes));
        match self.scheduled_rates.get(&minutes.to_string()).copied().or_else(by_minute) {
            Some(price) => Ok(price),
            None if self.scheduled_rates.is_empty() => Ok(0),
            None => {
                let mut lengths: Vec<_> =
                    self.scheduled_rates.keys().filter_map(|key| key.parse::<u16>().ok()).collect();
                lengths.sort_unstable();
                let lengths: Vec<_> = lengths.iter().map(ToString::to_string).collect();
                Err(Refusal::field("durationMinutes", format!("this host can be booked for: {}", lengths.join(", "))))
            }
        }
    }

    pub(super) fn quote(&self, price_minor: i64) -> Quote {
        Quote { price: Price::from_minor(price_minor, &self.currency), currency: self.currency.clone() }
    }
}

/// What a booking of so many minutes would cost this guest.
///
/// # Errors
/// `NotFound`; `RequestRequired`; `Invalid` where the host can't be booked for this long.
pub async fn quote(store: &Store, guest: UserId, host: UserId, minutes: i32) -> Result<Quote> {
    let mut connection = store.pool.acquire().await?;
    let terms = queries::terms(&mut connection, host, guest).await?;
    connection.give_back();
    let terms = terms.ok_or(Refusal::NotFound("user"))?;
    terms.admit()?;
    Ok(terms.quote(terms.booked_minor(minutes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(conversation_type: ConversationType, rate: Option<i64>, rates: &[(&str, i64)]) -> Terms {
        Terms {
            conversation_type,
            instant_rate_minor: rate,
            scheduled_rates: rates.iter().map(|(minutes, price)| ((*minutes).to_owned(), *price)).collect(),
            currency: "usd".to_owned(),
            display_mode: DisplayMode::Normal,
            managed: false,
            confidential_rate: false,
            cancellation_policy: CancellationPolicy::default(),
            is_approved: false,
        }
    }

    #[test]
    fn a_length_has_its_own_price_or_that_of_its_minutes() {
        use ConversationType::{Charity, Free, Paid};
        for (terms, minutes, price) in [
            (terms(Free, Some(200), &[("30", 5000)]), 30, Some(0)),
            (terms(Paid, Some(200), &[("30", 5000)]), 30, Some(5000)),
            (terms(Paid, Some(200), &[("30", 5000)]), 45, Some(9000)),
            (terms(Paid, None, &[("30", 5000), ("60", 9000)]), 60, Some(9000)),
            (terms(Paid, None, &[("30", 5000), ("60", 9000)]), 45, None),
            (terms(Charity, None, &[]), 45, Some(0)),
            (terms(Charity, Some(100), &[]), 45, Some(4500)),
            (terms(Charity, None, &[("30", 5000)]), 45, None),
        ] {
            assert_eq!(terms.booked_minor(minutes).ok(), price, "{terms:?} {minutes}");
        }
    }

    #[test]
    fn who_is_not_open_to_everybody_is_booked_after_a_request() {
        let mut terms = terms(ConversationType::Free, None, &[]);
        assert_eq!(terms.admit(), Ok(()));
        terms.display_mode = DisplayMode::ByRequest;
        assert_eq!(terms.admit(), Err(Refusal::RequestRequired));
        terms.is_approved = true;
        assert_eq!(terms.admit(), Ok(()));
        terms = Terms { managed: true, display_mode: DisplayMode::Normal, is_approved: false, ..terms };
        assert_eq!(terms.admit(), Err(Refusal::RequestRequired));
        terms = Terms { managed: false, confidential_rate: true, ..terms };
        assert_eq!(terms.admit(), Err(Refusal::RequestRequired));
    }
}
