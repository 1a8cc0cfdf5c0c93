//! What happens on the page of a Checkout session, and when its time is over.

use serde_json::Value;

use super::CheckoutSession;
use crate::api::error::ApiError;
use crate::api::params::Params;
use crate::world::World;
use crate::world::cards::Card;
use crate::world::intents::Status;
use crate::world::table::Row as _;

impl World {
    /// Somebody pays on the page. What the card refuses leaves the session open for another try.
    pub(crate) fn pay_checkout(&mut self, id: &str, card: &'static Card) -> Result<(), ApiError> {
        let session = self.open_checkout(id)?;
        let (wish, intent) = (session.wish.clone(), session.intent.clone());
        let intent = if let Some(intent) = intent {
            intent
        } else {
            let intent = self.add_intent(wish);
            self.emit("payment_intent.created", &intent);
            self.checkouts.find_mut(id)?.intent = Some(intent.clone());
            intent
        };
        let method = self.add_method(card);
        let return_url = format!("{}/checkout/{id}", self.base_url);
        self.confirm_with(&intent, Some(method), Some(return_url), false)?;
        self.complete_checkout(id)
    }

    /// The buyer has, or hasn't, shown who they are.
    pub(crate) fn answer_checkout_challenge(&mut self, id: &str, passed: bool) -> Result<(), ApiError> {
        let intent = self.open_checkout(id)?.intent.clone().unwrap_or_default();
        self.answer_challenge(&intent, passed)?;
        self.complete_checkout(id)
    }

    /// Completes an open session whose money is held or taken.
    pub(crate) fn complete_checkout(&mut self, id: &str) -> Result<(), ApiError> {
        let session = self.checkouts.find_mut(id)?;
        let status = session.intent.as_deref().and_then(|intent| self.intents.get(intent)).map(|intent| intent.status);
        let payment_status = match status {
            Some(Status::Succeeded) => "paid",
            Some(Status::RequiresCapture) => "unpaid",
            _ => return Ok(()),
        };
        if session.status != "open" {
            return Ok(());
        }
        session.status = "complete";
        session.payment_status = payment_status;
        self.emit("checkout.session.completed", id);
        Ok(())
    }

    /// The session whose payment this intent is, if it is one's.
    pub(crate) fn checkout_of(&self, intent: &str) -> Option<&CheckoutSession> {
        self.checkouts.iter().find(|session| session.intent.as_deref() == Some(intent))
    }

    fn open_checkout(&self, id: &str) -> Result<&CheckoutSession, ApiError> {
        let session = self.checkouts.find(id)?;
        if session.status == "open" {
            return Ok(session);
        }
        let message = format!("This Session's status is {}: only open Sessions can be changed.", session.status);
        Err(ApiError::invalid("session", &message))
    }

    /// `POST /v1/checkout/sessions/{id}/expire`
    pub(crate) fn expire_checkout(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        params.finish()?;
        self.open_checkout(id)?;
        self.expire(id)?;
        Ok(self.checkouts.find(id)?.json())
    }

    fn expire(&mut self, id: &str) -> Result<(), ApiError> {
        let session = self.checkouts.find_mut(id)?;
        session.status = "expired";
        if let Some(intent) = session.intent.clone() {
            self.cancel(&intent, None)?;
        }
        self.emit("checkout.session.expired", id);
        Ok(())
    }

    /// Ends sessions whose time is over.
    pub(crate) fn expire_checkouts(&mut self) {
        let over = |session: &&CheckoutSession| session.status == "open" && session.expires_at <= self.now;
        let over: Vec<String> = self.checkouts.iter().filter(over).map(|session| session.id.clone()).collect();
        for id in over {
            // Open sessions' intents haven't succeeded, so they can be cancelled.
            let _ = self.expire(&id);
        }
    }
}
