//! Which amounts can be paid, and what the platform keeps of one.

use crate::money::amount_text;

/// The least a card can be charged, in minor units (docs.stripe.com/currencies).
const LEAST: [(&str, i64); 14] = [
    ("aud", 50),
    ("brl", 50),
    ("cad", 50),
    ("chf", 50),
    ("czk", 1500),
    ("dkk", 250),
    ("eur", 50),
    ("gbp", 30),
    ("inr", 50),
    ("jpy", 50),
    ("nok", 300),
    ("nzd", 50),
    ("sek", 300),
    ("usd", 50),
];

/// The most: eight digits.
pub(super) const MOST: i64 = 99_999_999;

/// Checks an amount in minor units.
///
/// # Errors
/// Which field is wrong, and why.
pub(super) fn check(amount_minor: i64, currency: &str) -> Result<(), (&'static str, String)> {
    let least = least(currency).ok_or_else(|| ("currency", "is not supported".to_owned()))?;
    if (least..=MOST).contains(&amount_minor) {
        Ok(())
    } else {
        Err(("amount", format!("must be from {least} to {MOST}")))
    }
}

/// Checks a price that a card would be charged.
///
/// # Errors
/// What a card can be charged, as people read it: `0.50 USD to 999999.99 USD`.
pub(crate) fn chargeable(price_minor: i64, currency: &str) -> Result<(), String> {
    let least = least(currency).unwrap_or(1);
    if (least..=MOST).contains(&price_minor) {
        Ok(())
    } else {
        Err(format!("{} to {}", amount_text(least, currency), amount_text(MOST, currency)))
    }
}

fn least(currency: &str) -> Option<i64> {
    LEAST.iter().find(|(code, _)| *code == currency).map(|(_, least)| *least)
}

/// What stays with the platform of an amount, rounded down.
pub(super) fn fee(amount_minor: i64, percent: i16) -> i64 {
    let fee = i128::from(amount_minor) * i128::from(percent) / 100;
    i64::try_from(fee).unwrap_or(amount_minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_bounds_by_currency() {
        for (amount, currency, wrong) in [
            (50, "usd", None),
            (49, "usd", Some("amount")),
            (0, "usd", Some("amount")),
            (-1, "usd", Some("amount")),
            (i64::MAX, "usd", Some("amount")),
            (i64::MIN, "usd", Some("amount")),
            (MOST, "usd", None),
            (MOST + 1, "usd", Some("amount")),
            (30, "gbp", None),
            (50, "jpy", None),
            (49, "jpy", Some("amount")),
            (100, "xxx", Some("currency")),
            (100, "USD", Some("currency")),
        ] {
            assert_eq!(check(amount, currency).err().map(|(field, _)| field), wrong, "{amount} {currency}");
        }
        for (code, _) in LEAST {
            assert!(crate::money::is_supported(code), "{code}");
        }
    }

    #[test]
    fn what_can_be_charged_is_said_in_major_units() {
        for (price, currency, range) in [
            (49, "usd", Some("0.50 USD to 999999.99 USD")),
            (MOST + 1, "usd", Some("0.50 USD to 999999.99 USD")),
            (49, "jpy", Some("50 JPY to 99999999 JPY")),
            (50, "usd", None),
            (30, "gbp", None),
        ] {
            assert_eq!(chargeable(price, currency).err().as_deref(), range, "{price} {currency}");
        }
    }

    #[test]
    fn the_fee_is_rounded_in_the_hosts_favour() {
        assert_eq!([fee(3000, 10), fee(99, 10), fee(9, 10), fee(MOST, 100), fee(500, 0)], [300, 9, 0, MOST, 0]);
    }
}
