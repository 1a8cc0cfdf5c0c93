//! Cards saved at Stripe for payments to come, and the customers whom they belong to.
//!
//! Of a customer Stripe learns our id, and no name or address.

use stripe_connect::account::{
    CreateAccount, CreateAccountCapabilities, CreateAccountCapabilitiesTransfers, CreateAccountType,
};
use stripe_core::{
    customer::{CreateCustomer, DeleteCustomer},
    payment_intent::{
        CreatePaymentIntent, CreatePaymentIntentAutomaticPaymentMethods,
        CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects, CreatePaymentIntentOffSession,
    },
    setup_intent::{
        CreateSetupIntent, CreateSetupIntentAutomaticPaymentMethods,
        CreateSetupIntentAutomaticPaymentMethodsAllowRedirects, CreateSetupIntentUsage,
    },
};
use stripe_shared::PaymentIntentCaptureMethod;

use super::{Answer, Intent, Order, Setup, Stripe, USER_ID, currency, read::found, tag};
use crate::{
    error::Result,
    id::{PaymentId, UserId},
    payments::parties::PartyKind,
};

impl Stripe {
    /// Somebody at Stripe: a customer, or an account that can be paid.
    pub(in crate::payments) async fn create_party(&self, kind: PartyKind, key: &str, user: UserId) -> Answer<String> {
        let metadata = [(USER_ID.to_owned(), user.to_string())];
        Ok(match kind {
            PartyKind::Customer => {
                let request = CreateCustomer::new().metadata(metadata);
                Box::pin(self.change(key, &request)).await?.id.to_string()
            }
            PartyKind::Account => {
                let mut capabilities = CreateAccountCapabilities::new();
                let mut transfers = CreateAccountCapabilitiesTransfers::new();
                transfers.requested = Some(true);
                capabilities.transfers = Some(transfers);
                let request = CreateAccount::new()
                    .type_(CreateAccountType::Express)
                    .capabilities(capabilities)
                    .metadata(metadata);
                Box::pin(self.change(key, &request)).await?.id.to_string()
            }
        })
    }

    /// Has a customer deleted, with all their cards. Doing so again does nothing.
    pub(in crate::payments) async fn delete_customer(&self, id: &str) -> Result<()> {
        found(self.look_up(&DeleteCustomer::new(id)).await).map(drop)
    }

    /// Something to save a card of a customer's with.
    pub(in crate::payments) async fn create_setup(&self, key: &str, customer: &str, id: PaymentId) -> Answer<Setup> {
        let mut methods = CreateSetupIntentAutomaticPaymentMethods::new(true);
        methods.allow_redirects = Some(CreateSetupIntentAutomaticPaymentMethodsAllowRedirects::Never);
        let request = CreateSetupIntent::new()
            .customer(customer)
            .usage(CreateSetupIntentUsage::OffSession)
            .automatic_payment_methods(methods)
            .metadata(tag(id));
        Ok(Box::pin(self.change(key, &request)).await?.into())
    }

    /// Authorises a saved card, whose owner isn't there.
    pub(in crate::payments) async fn authorize(
        &self,
        key: &str,
        order: &Order<'_>,
        customer: &str,
        method: &str,
    ) -> Answer<Intent> {
        let mut methods = CreatePaymentIntentAutomaticPaymentMethods::new(true);
        methods.allow_redirects = Some(CreatePaymentIntentAutomaticPaymentMethodsAllowRedirects::Never);
        let request = CreatePaymentIntent::new(order.amount_minor, currency(order.currency))
            .capture_method(PaymentIntentCaptureMethod::Manual)
            .automatic_payment_methods(methods)
            .customer(customer)
            .payment_method(method)
            .off_session(CreatePaymentIntentOffSession::Bool(true))
            .confirm(true)
            .metadata(tag(order.payment_id))
            .expand(["latest_charge".to_owned()]);
        Ok(Box::pin(self.change(key, &request)).await?.into())
    }
}
