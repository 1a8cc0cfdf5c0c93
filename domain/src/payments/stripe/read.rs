//! Looking things up at Stripe. Whether a thing is there is always known in the end: a failure
//! here changes nothing.

use chrono::{DateTime, Utc};
use stripe::StripeError;
use stripe_checkout::checkout_session::{ListCheckoutSession, RetrieveCheckoutSession};
use stripe_connect::account::ListAccount;
use stripe_core::{
    customer::ListCustomer,
    event::ListEvent,
    payment_intent::{ListPaymentIntent, RetrievePaymentIntent, SearchPaymentIntent},
    refund::ListRefund,
    setup_intent::{ListSetupIntent, RetrieveSetupIntent},
};
use stripe_types::{RangeBoundsTs, RangeQueryTs};

use super::{CALL_ID, Checkout, Intent, Notice, Setup, Stripe, USER_ID};
use crate::{
    error::{Error, Refusal, Result},
    id::{PaymentCallId, PaymentId, UserId},
    payments::parties::PartyKind,
};

const PAGE: i64 = 100;

/// A list that is walked to its end, newest first.
macro_rules! walk {
    ($stripe:expr, $request:expr, |$item:ident| $visit:expr) => {{
        let mut after: Option<String> = None;
        loop {
            let mut request = $request.limit(PAGE);
            if let Some(after) = after.take() {
                request = request.starting_after(after);
            }
            let page = $stripe.look_up(&request).await.map_err(failed)?;
            after = page.data.last().map(|last| last.id.to_string());
            for $item in page.data {
                $visit
            }
            if !page.has_more || after.is_none() {
                break;
            }
        }
    }};
}

impl Stripe {
    /// An intent; none when there is no such.
    pub(in crate::payments) async fn intent(&self, id: &str) -> Result<Option<Intent>> {
        let request = RetrievePaymentIntent::new(id).expand(["latest_charge".to_owned()]);
        Ok(found(self.look_up(&request).await)?.map(Into::into))
    }

    /// A checkout; none when there is no such.
    pub(in crate::payments) async fn checkout(&self, id: &str) -> Result<Option<Checkout>> {
        Ok(found(self.look_up(&RetrieveCheckoutSession::new(id)).await)?.map(Into::into))
    }

    /// A setup intent; none when there is no such.
    pub(in crate::payments) async fn setup(&self, id: &str) -> Result<Option<Setup>> {
        Ok(found(self.look_up(&RetrieveSetupIntent::new(id)).await)?.map(Into::into))
    }

    /// The setup intent that was made for a payment about then.
    pub(in crate::payments) async fn setup_of(&self, id: PaymentId, around: Around) -> Result<Option<Setup>> {
        walk!(self, ListSetupIntent::new().created(around.range()), |setup| {
            let setup = Setup::from(setup);
            if setup.payment_id == Some(id) {
                return Ok(Some(setup));
            }
        });
        Ok(None)
    }

    /// Who was made for a user about then.
    pub(in crate::payments) async fn party(
        &self,
        kind: PartyKind,
        user: UserId,
        around: Around,
    ) -> Result<Option<String>> {
        let user = user.to_string();
        match kind {
            PartyKind::Customer => walk!(self, ListCustomer::new().created(around.range()), |customer| {
                if customer.metadata.as_ref().and_then(|metadata| metadata.get(USER_ID)) == Some(&user) {
                    return Ok(Some(customer.id.to_string()));
                }
            }),
            PartyKind::Account => walk!(self, ListAccount::new().created(around.range()), |account| {
                if account.metadata.as_ref().and_then(|metadata| metadata.get(USER_ID)) == Some(&user) {
                    return Ok(Some(account.id.to_string()));
                }
            }),
        }
        Ok(None)
    }

    /// The intent that was made for a payment about then.
    pub(in crate::payments) async fn intent_of(&self, id: PaymentId, around: Around) -> Result<Option<Intent>> {
        let listed = ListPaymentIntent::new().created(around.range()).expand(["data.latest_charge".to_owned()]);
        walk!(self, listed.clone(), |intent| {
            let intent = Intent::from(intent);
            if intent.payment_id == Some(id) {
                return Ok(Some(intent));
            }
        });
        Ok(None)
    }

    /// The checkout that was made for a payment about then.
    pub(in crate::payments) async fn checkout_of(&self, id: PaymentId, around: Around) -> Result<Option<Checkout>> {
        walk!(self, ListCheckoutSession::new().created(around.range()), |checkout| {
            let checkout = Checkout::from(checkout);
            if checkout.payment_id == Some(id) {
                return Ok(Some(checkout));
            }
        });
        Ok(None)
    }

    /// Intents that hold money, of whatever age, as Stripe's index knew them a minute ago.
    pub(in crate::payments) async fn holding(&self) -> Result<Vec<Intent>> {
        let wanted = SearchPaymentIntent::new("status:'requires_capture'").limit(PAGE);
        let (mut intents, mut request) = (Vec::new(), wanted.clone());
        loop {
            let found = self.look_up(&request).await.map_err(failed)?;
            intents.extend(found.data.into_iter().map(Intent::from));
            match found.next_page.filter(|_| found.has_more) {
                Some(next) => request = wanted.clone().page(next),
                None => return Ok(intents),
            }
        }
    }

    /// Whether a call to refund has come to be a refund.
    pub(in crate::payments) async fn has_refund(&self, intent_id: &str, call_id: PaymentCallId) -> Result<bool> {
        let call_id = call_id.to_string();
        walk!(self, ListRefund::new().payment_intent(intent_id), |refund| {
            if refund.metadata.as_ref().and_then(|metadata| metadata.get(CALL_ID)) == Some(&call_id) {
                return Ok(true);
            }
        });
        Ok(false)
    }

    /// What happened from then until before then, the newest first: the page after an event, and where the next
    /// begins.
    pub(in crate::payments) async fn notices_between(
        &self,
        from: DateTime<Utc>,
        until: Option<DateTime<Utc>>,
        after: Option<String>,
    ) -> Result<(Vec<Notice>, Option<String>)> {
        let (gte, lt) = (Some(from.timestamp()), until.map(|until| until.timestamp()));
        let range = RangeQueryTs::Bounds(RangeBoundsTs { gte, lt, ..Default::default() });
        let mut request = ListEvent::new().created(range).limit(PAGE);
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        let page = self.look_up(&request).await.map_err(failed)?;
        let next = page.data.last().filter(|_| page.has_more).map(|last| last.id.to_string());
        let mut notices = Vec::with_capacity(page.data.len());
        for event in page.data {
            let object = miniserde::json::to_string(&event.data.object);
            let object: serde_json::Value = serde_json::from_str(&object)?;
            let event = serde_json::json!({
                "id": event.id.to_string(), "type": event.type_.to_string(), "api_version": event.api_version,
                "created": event.created, "data": {"object": object},
            });
            notices.extend(Notice::of(&event));
        }
        Ok((notices, next))
    }
}

/// When something may have been made, give or take what clocks differ by.
#[derive(Debug, Clone, Copy)]
pub(in crate::payments) struct Around {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Around {
    fn range(self) -> RangeQueryTs {
        let (from, to) = (self.from.timestamp() - 600, self.to.timestamp() + 600);
        RangeQueryTs::Bounds(RangeBoundsTs { gte: Some(from), lte: Some(to), ..Default::default() })
    }
}

pub(super) fn found<T>(answer: Result<T, StripeError>) -> Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(StripeError::Stripe(_, 404)) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// A look that failed. The error itself is not passed on: it may quote an object with its secrets.
pub(super) fn failed(error: StripeError) -> Error {
    match error {
        StripeError::Stripe(error, status) if status < 500 && status != 429 => {
            let kind = error.type_.as_str();
            tracing::warn!(status, kind, "the payment provider refused a look");
            Refusal::UpstreamFailed("the payment provider refused to answer").into()
        }
        _ => Refusal::UpstreamTimeout("the payment provider can't be asked right now").into(),
    }
}
