//! The one place that speaks with Stripe: the calls we need, and what each ended in.
//!
//! A call that moves money carries the idempotency key it was written down with. Nothing is retried
//! here. Answers may hold a client's secret: they are never logged.

mod connect;
mod outcome;
mod read;
mod saved;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use secrecy::ExposeSecret;
use stripe::{Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError, StripeRequest};
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData,
    CreateCheckoutSessionPaymentIntentData, ProductData,
};
use stripe_core::{
    payment_intent::{
        CancelPaymentIntent, CapturePaymentIntent, CreatePaymentIntent, CreatePaymentIntentAutomaticPaymentMethods,
    },
    refund::CreateRefund,
};
use stripe_shared::{CheckoutSessionMode, PaymentIntentCaptureMethod};
use stripe_types::Currency;

pub(super) use connect::{Account, Dispute, PassingOn, Transfer};
pub(super) use outcome::{Checkout, Failure, Held, Intent, Notice, Setup};
pub(super) use read::Around;

use crate::{
    config::{SettingError, Settings, unusable},
    id::{PaymentCallId, PaymentId},
    providers,
};

const PROVIDER: &str = "stripe";

/// How long a call that changes something may take; a client waits for it.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);
/// How long to wait for the answer to the same request, between looks.
const UNDER_WAY: Duration = Duration::from_millis(200);
/// How long looking something up may take.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// What ties Stripe's objects to ours.
const PAYMENT_ID: &str = "payment_id";
const CALL_ID: &str = "call_id";
const USER_ID: &str = "user_id";

/// Stripe, with our key. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Stripe {
    client: Client,
}

/// What is to be paid.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub payment_id: PaymentId,
    pub amount_minor: i64,
    pub currency: &'a str,
}

type Answer<T> = Result<T, Failure>;

impl Stripe {
    /// A client for these settings; none where there is no key.
    ///
    /// # Errors
    /// When the settings can't be used.
    pub(crate) fn new(settings: &Settings) -> Result<Option<Self>, SettingError> {
        let Some(key) = &settings.stripe_secret_key else { return Ok(None) };
        let client = ClientBuilder::new(key.expose_secret())
            .url(settings.stripe_api_base.as_str())
            .timeout(READ_TIMEOUT)
            .build()
            .map_err(|_| unusable("STRIPE_SECRET_KEY", "it has characters that no key has"))?;
        Ok(Some(Self { client }))
    }

    /// Something to authorise a card for.
    pub(super) async fn create_intent(&self, key: &str, order: &Order<'_>) -> Answer<Intent> {
        let mut methods = CreatePaymentIntentAutomaticPaymentMethods::new(true);
        methods.allow_redirects = None;
        let request = CreatePaymentIntent::new(order.amount_minor, currency(order.currency))
            .capture_method(PaymentIntentCaptureMethod::Manual)
            .automatic_payment_methods(methods)
            .metadata(tag(order.payment_id))
            .expand(["latest_charge".to_owned()]);
        Ok(self.change(key, &request).await?.into())
    }

    /// A page of Stripe's to pay at, which takes the money at once.
    pub(super) async fn create_checkout(&self, key: &str, order: &Order<'_>, page: &Page<'_>) -> Answer<Checkout> {
        let mut price = CreateCheckoutSessionLineItemsPriceData::new(currency(order.currency));
        price.unit_amount = Some(order.amount_minor);
        price.product_data = Some(ProductData::new(page.title));
        let mut item = CreateCheckoutSessionLineItems::new();
        (item.price_data, item.quantity) = (Some(price), Some(1));
        let mut intent = CreateCheckoutSessionPaymentIntentData::new();
        intent.metadata = Some(tag(order.payment_id));
        let request = CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Payment)
            .line_items([item])
            .payment_intent_data(intent)
            .metadata(tag(order.payment_id))
            .client_reference_id(order.payment_id.to_string())
            .success_url(page.success_url)
            .cancel_url(page.cancel_url);
        Ok(self.change(key, &request).await?.into())
    }

    /// Takes some of what is held, and lets go of the rest.
    pub(super) async fn capture(&self, key: &str, intent_id: &str, amount_minor: i64) -> Answer<Intent> {
        let request =
            CapturePaymentIntent::new(intent_id).amount_to_capture(amount_minor).expand(["latest_charge".to_owned()]);
        Ok(self.change(key, &request).await?.into())
    }

    /// Lets go of what is held, or of the wish for it.
    pub(super) async fn cancel(&self, key: &str, intent_id: &str) -> Answer<Intent> {
        let request = CancelPaymentIntent::new(intent_id).expand(["latest_charge".to_owned()]);
        Ok(self.change(key, &request).await?.into())
    }

    /// Gives some of what was taken back.
    pub(super) async fn refund(
        &self,
        key: &str,
        intent_id: &str,
        call_id: PaymentCallId,
        amount_minor: i64,
    ) -> Answer<()> {
        let metadata = HashMap::from([(CALL_ID.to_owned(), call_id.to_string())]);
        let request = CreateRefund::new().payment_intent(intent_id).amount(amount_minor).metadata(metadata);
        self.change(key, &request).await?;
        Ok(())
    }

    /// Sends a request that changes something, under its key.
    async fn change<R: StripeRequest + Sync>(&self, key: &str, request: &R) -> Answer<R::Output>
    where
        R::Output: miniserde::Deserialize + Send,
    {
        providers::call(PROVIDER, name_of::<R>(), Failure::word, self.send(key, request)).await
    }

    async fn send<R: StripeRequest + Sync>(&self, key: &str, request: &R) -> Answer<R::Output>
    where
        R::Output: miniserde::Deserialize + Send,
    {
        let key = IdempotencyKey::new(key).map_err(|_| Failure::Unknown { answered: false })?;
        let deadline = Instant::now() + CALL_TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let strategy = RequestStrategy::Idempotent(key.clone());
            match request.customize().timeout(left).request_strategy(strategy).send(&self.client).await {
                // The same request is under way already: its answer will be ours.
                Err(StripeError::Stripe(_, 409)) if left > UNDER_WAY => tokio::time::sleep(UNDER_WAY).await,
                answer => return Ok(answer?),
            }
        }
    }

    /// Looks something up, or asks for what can be asked for any number of times.
    async fn look_up<R: StripeRequest + Sync>(&self, request: &R) -> Result<R::Output, StripeError>
    where
        R::Output: miniserde::Deserialize + Send,
    {
        let answer = request.customize().send(&self.client);
        providers::call(PROVIDER, name_of::<R>(), |_| "failed", answer).await
    }
}

/// A request's kind, such as `CapturePaymentIntent`.
fn name_of<R>() -> &'static str {
    let path = std::any::type_name::<R>();
    path.rsplit("::").next().unwrap_or(path)
}

/// What a payer sees at Stripe, and where they go from there.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub title: &'a str,
    pub success_url: &'a str,
    pub cancel_url: &'a str,
}

fn currency(code: &str) -> Currency {
    // It has a variant for codes it doesn't know.
    let Ok(currency) = code.parse();
    currency
}

fn tag(id: PaymentId) -> HashMap<String, String> {
    HashMap::from([(PAYMENT_ID.to_owned(), id.to_string())])
}
