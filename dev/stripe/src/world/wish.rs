//! What a merchant may ask of a payment: amount, when to take it, whom to pass it on to.

use super::World;
use super::money::Currency;
use crate::api::error::ApiError;
use crate::api::params::{Metadata, Params};

/// What the merchant asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) capture_method: &'static str,
    pub(crate) customer: Option<String>,
    pub(crate) setup_future_usage: Option<&'static str>,
    pub(crate) more: More,
}

/// What Checkout can ask for as well.
#[derive(Debug, Clone, Default)]
pub(crate) struct More {
    pub(crate) description: Option<String>,
    pub(crate) receipt_email: Option<String>,
    pub(crate) transfer_group: Option<String>,
    /// The connected account that gets the money, and how much of it, if not all.
    pub(crate) transfer_data: Option<(String, Option<i64>)>,
    pub(crate) application_fee_amount: Option<i64>,
    pub(crate) metadata: Metadata,
}

/// When money is taken.
pub(crate) const CAPTURE_METHODS: &[&str] = &["automatic", "automatic_async", "manual"];

/// When a card may be used again.
pub(crate) const FUTURE_USAGES: &[&str] = &["off_session", "on_session"];

impl World {
    /// The parameters of a new payment intent that say what is asked for.
    pub(crate) fn take_wish(&self, params: &mut Params) -> Result<Wish, ApiError> {
        let amount = params.needed_integer("amount")?;
        let currency = Currency::take(params)?;
        currency.check(amount)?;
        Ok(Wish {
            amount,
            currency,
            capture_method: params.word("capture_method", CAPTURE_METHODS)?.unwrap_or("automatic_async"),
            customer: self.customers.named(params, "customer")?,
            setup_future_usage: params.word("setup_future_usage", FUTURE_USAGES)?,
            more: self.take_more(params, amount)?,
        })
    }

    /// The parameters that `payment_intent_data` of Checkout has too.
    pub(crate) fn take_more(&self, params: &mut Params, amount: i64) -> Result<More, ApiError> {
        let application_fee_amount = params.integer("application_fee_amount")?;
        if application_fee_amount.is_some_and(|fee| !(0..=amount).contains(&fee)) {
            let message = "Fees must be no greater than the amount of the charge, and not negative.";
            return Err(ApiError::invalid("application_fee_amount", message));
        }
        let transfer_data = match params.nested("transfer_data")? {
            None => None,
            Some(mut data) => {
                let destination = self.accounts.named(&mut data, "destination")?;
                let destination = destination.ok_or_else(|| ApiError::missing("transfer_data[destination]"))?;
                let part = data.integer("amount")?;
                data.finish()?;
                if part.is_some_and(|part| !(1..=amount).contains(&part)) {
                    let message = "You cannot transfer more than the amount of the charge.";
                    return Err(ApiError::invalid("transfer_data[amount]", message));
                }
                Some((destination, part))
            }
        };
        params.ignore(&["statement_descriptor", "statement_descriptor_suffix", "on_behalf_of"]);
        Ok(More {
            description: params.text("description")?,
            receipt_email: params.text("receipt_email")?,
            transfer_group: params.text("transfer_group")?,
            transfer_data,
            application_fee_amount,
            metadata: params.metadata()?,
        })
    }
}

/// Accepts every way of asking for cards.
pub(crate) fn take_method_types(params: &mut Params) -> Result<(), ApiError> {
    if let Some(mut automatic) = params.nested("automatic_payment_methods")? {
        automatic.boolean("enabled")?.ok_or_else(|| ApiError::missing("automatic_payment_methods[enabled]"))?;
        automatic.word("allow_redirects", &["always", "never"])?;
        automatic.finish()?;
    }
    if params.texts("payment_method_types")?.iter().any(|kind| kind != "card") {
        return Err(ApiError::invalid("payment_method_types", "The simulator knows no payment method type but card."));
    }
    params.ignore(&["payment_method_options"]);
    Ok(())
}
