//! Currencies and the amounts Stripe takes in them: <https://docs.stripe.com/currencies>.

use serde::Serialize;

use crate::api::error::ApiError;
use crate::api::params::Params;

/// The largest amount, in minor units: eight digits.
const LARGEST: i64 = 99_999_999;

/// A currency, by its lower-case code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Currency(&'static str);

/// Code and smallest amount in minor units.
const CURRENCIES: &[(&str, i64)] = &[
    ("usd", 50),
    ("aed", 200),
    ("aud", 50),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("czk", 1500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17500),
    ("inr", 50),
    ("jpy", 50),
    ("mxn", 1000),
    ("nok", 300),
    ("nzd", 50),
    ("pln", 200),
    ("ron", 200),
    ("sek", 300),
    ("sgd", 50),
    ("thb", 1000),
];

/// Currencies whose minor unit is the major one.
const ZERO_DECIMAL: &[&str] = &["jpy"];

impl Currency {
    /// Takes the parameter `currency`.
    pub(crate) fn take(params: &mut Params) -> Result<Self, ApiError> {
        let given = params.needed_text("currency")?.to_lowercase();
        let found = CURRENCIES.iter().find(|(code, _)| *code == given);
        found.map(|(code, _)| Self(code)).ok_or_else(|| {
            let known: Vec<&str> = CURRENCIES.iter().map(|(code, _)| *code).collect();
            let message =
                format!("Invalid currency: {given}. Stripe currently supports these currencies: {}", known.join(", "));
            ApiError::invalid("currency", &message)
        })
    }

    /// Refuses an amount to charge that is too small or too large.
    pub(crate) fn check(self, amount: i64) -> Result<(), ApiError> {
        if amount < 1 {
            return Err(ApiError::invalid_as(
                "parameter_invalid_integer",
                "amount",
                "This value must be greater than or equal to 1.",
            ));
        }
        let least = CURRENCIES.iter().find(|(code, _)| *code == self.0).map_or(1, |(_, least)| *least);
        if amount < least {
            let message = format!("Amount must be at least {}", self.words(least));
            return Err(ApiError::invalid_as("amount_too_small", "amount", &message));
        }
        if amount > LARGEST {
            let message = format!("Amount must be no more than {}", self.words(LARGEST));
            return Err(ApiError::invalid_as("amount_too_large", "amount", &message));
        }
        Ok(())
    }

    /// An amount for people: `12.50 usd`.
    pub(crate) fn words(self, amount: i64) -> String {
        if ZERO_DECIMAL.contains(&self.0) {
            return format!("{amount} {}", self.0);
        }
        format!("{}.{:02} {}", amount / 100, amount % 100, self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Result<Currency, ApiError> {
        Currency::take(&mut Params::parse(format!("currency={code}").as_bytes()))
    }

    #[test]
    fn amounts_have_a_floor_by_currency() {
        let usd = currency("USD").unwrap();
        usd.check(50).unwrap();
        assert_eq!(usd.check(49).unwrap_err().code(), Some("amount_too_small"));
        assert_eq!(usd.check(100_000_000).unwrap_err().code(), Some("amount_too_large"));
        currency("gbp").unwrap().check(30).unwrap();
        assert_eq!(currency("xxx").unwrap_err().param(), Some("currency"));
    }

    #[test]
    fn yen_have_no_minor_unit() {
        assert_eq!(currency("jpy").unwrap().words(500), "500 jpy");
        assert_eq!(currency("eur").unwrap().words(1205), "12.05 eur");
    }
}
