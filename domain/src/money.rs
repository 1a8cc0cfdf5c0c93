//! Money: integer minor units inside, decimal major units where the specification says so.

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// Currencies that can be asked for, with the digits of their minor unit (ISO 4217).
const CURRENCIES: [(&str, u32); 14] = [
    ("aud", 2),
    ("brl", 2),
    ("cad", 2),
    ("chf", 2),
    ("czk", 2),
    ("dkk", 2),
    ("eur", 2),
    ("gbp", 2),
    ("inr", 2),
    ("jpy", 0),
    ("nok", 2),
    ("nzd", 2),
    ("sek", 2),
    ("usd", 2),
];

/// The most anything may cost, in major units.
const MAX_MAJOR: f64 = 1_000_000.0;

/// An amount on the wire in major units: 220 is $220.00, 12.5 is $12.50.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct Price(f64);

impl std::str::FromStr for Price {
    type Err = std::num::ParseFloatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Serialize for Price {
    /// Whole amounts without a decimal point, as in the specification.
    #[expect(clippy::cast_possible_truncation, reason = "bounded, and checked to be whole")]
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 { serializer.serialize_i64(self.0 as i64) } else { serializer.serialize_f64(self.0) }
    }
}

impl utoipa::PartialSchema for Price {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Number)
            .minimum(Some(0.0))
            .maximum(Some(MAX_MAJOR))
            .description(Some("Major units: 12.5 is $12.50"))
            .examples([12.5])
            .into()
    }
}

impl utoipa::ToSchema for Price {}

fn digits(currency: &str) -> Option<u32> {
    CURRENCIES.iter().find(|(code, _)| *code == currency).map(|(_, digits)| *digits)
}

/// Whether prices can be in this currency.
pub(crate) fn is_supported(currency: &str) -> bool {
    digits(currency).is_some()
}

/// An amount in minor units as people read it: `12.50 USD`.
pub(crate) fn amount_text(amount_minor: i64, currency: &str) -> String {
    let digits = digits(currency).unwrap_or(2);
    let unit = 10_i64.pow(digits);
    let (major, minor) = (amount_minor / unit, amount_minor % unit);
    let code = currency.to_uppercase();
    if digits == 0 {
        format!("{major} {code}")
    } else {
        format!("{major}.{minor:0width$} {code}", width = digits as usize)
    }
}

impl Price {
    /// Minor units as a price.
    #[expect(clippy::cast_precision_loss, reason = "amounts are below 2^53")]
    pub fn from_minor(amount_minor: i64, currency: &str) -> Self {
        Self(amount_minor as f64 / 10f64.powi(digits(currency).unwrap_or(2).cast_signed()))
    }

    /// To the hundredth of a major unit, whatever the currency.
    #[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate")]
    pub(crate) fn hundredths(self) -> i64 {
        (self.0 * 100.0).round() as i64
    }

    /// The price in minor units.
    ///
    /// # Errors
    /// When it is negative, too large, or finer than the currency's minor unit.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by MAX_MAJOR, and checked to be whole")]
    pub(crate) fn to_minor(self, currency: &str) -> Result<i64, &'static str> {
        let digits = digits(currency).ok_or("is in a currency that is not supported")?;
        if !(0.0..=MAX_MAJOR).contains(&self.0) {
            return Err("must be from 0 to 1000000");
        }
        let scale = 10f64.powi(digits.cast_signed());
        let minor = (self.0 * scale).round();
        // The nearest float to a price is this quotient, and no other number is.
        if (minor / scale - self.0).abs() > 0.0 {
            return Err("has more decimal places than the currency");
        }
        Ok(minor as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_major_units() {
        for (amount, currency, shown) in
            [(3000, "usd", "30.00 USD"), (5, "eur", "0.05 EUR"), (1250, "gbp", "12.50 GBP"), (500, "jpy", "500 JPY")]
        {
            assert_eq!(amount_text(amount, currency), shown);
        }
    }

    #[test]
    fn prices_become_minor_units_and_back() {
        for (price, currency, minor) in [
            (220.0, "usd", 22_000),
            (12.5, "eur", 1_250),
            (0.29, "usd", 29),
            (500.0, "jpy", 500),
            (1_000_000.0, "usd", 100_000_000),
        ] {
            assert_eq!(Price(price).to_minor(currency), Ok(minor));
            assert_eq!(Price::from_minor(minor, currency), Price(price));
        }
        for (price, currency) in [
            (-1.0, "usd"),
            (0.001, "usd"),
            (10.000_000_001, "usd"),
            (1e-9, "usd"),
            (0.5, "jpy"),
            (f64::INFINITY, "usd"),
            (f64::NAN, "usd"),
            (1_000_000.01, "usd"),
            (1.0, "xxx"),
        ] {
            assert!(Price(price).to_minor(currency).is_err(), "{price} {currency}");
        }
    }

    #[test]
    fn whole_prices_have_no_decimal_point() {
        assert_eq!(serde_json::to_string(&[Price(220.0), Price(12.5)]).unwrap(), "[220,12.5]");
    }
}
