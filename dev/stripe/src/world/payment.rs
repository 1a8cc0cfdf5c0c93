//! How a payment intent's money moves: held or taken, captured, let go.

use serde_json::{Value, json};

use super::World;
use super::cards::{AUTHENTICATION_FAILED, AUTHENTICATION_REQUIRED, Behaviour};
use super::charges::Charge;
use super::intents::{PaymentIntent, Status};
use super::table::Row as _;
use crate::api::error::{ApiError, Decline};
use crate::api::params::{Params, merge_metadata};

const DAY: i64 = 86_400;
/// How long a hold lasts when the customer took part.
const HOLD: i64 = 7 * DAY;
/// How long Visa holds for a merchant alone: 4 days and 18 hours.
const VISA_MERCHANT_HOLD: i64 = 4 * DAY + 18 * 3_600;

const CANCELLATION_REASONS: &[&str] = &["duplicate", "fraudulent", "requested_by_customer", "abandoned"];

impl World {
    /// `POST /v1/payment_intents/{id}/confirm`
    pub(crate) fn confirm_intent(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        self.intents.find(id)?;
        let off_session = params.boolean("off_session")?.unwrap_or(false);
        let return_url = params.text("return_url")?;
        let method = self.take_method(params)?;
        params.ignore(&["client_secret", "use_stripe_sdk", "error_on_requires_action", "payment_method_options"]);
        params.finish()?;
        self.confirm_with(id, method, return_url, off_session)?;
        Ok(self.intents.find(id)?.json())
    }

    /// Confirms, with another payment method and place to return to if given.
    pub(crate) fn confirm_with(
        &mut self,
        id: &str,
        method: Option<String>,
        return_url: Option<String>,
        off_session: bool,
    ) -> Result<(), ApiError> {
        let confirmable = [Status::RequiresPaymentMethod, Status::RequiresConfirmation, Status::RequiresAction];
        let intent = self.intents.find_mut(id)?;
        if !confirmable.contains(&intent.status) {
            return Err(self.unexpected_state(id, "confirmed", &confirmable));
        }
        if method.is_some() {
            intent.method = method;
        }
        intent.return_url = return_url.or(intent.return_url.take());
        self.confirm(id, off_session)
    }

    /// Tries to pay with the intent's payment method.
    pub(crate) fn confirm(&mut self, id: &str, off_session: bool) -> Result<(), ApiError> {
        let intent = self.intents.find_mut(id)?;
        let Some(method) = intent.method.clone() else {
            let message = "You cannot confirm this PaymentIntent because it's missing a payment method. You can either \
                           update the PaymentIntent with a payment method and then confirm it again, or confirm it \
                           again directly with a payment method.";
            return Err(ApiError::intent_state("payment_intent", message, intent.json()));
        };
        let method = self.methods.find(&method)?;
        match method.card.behaviour {
            Behaviour::Declines(decline) | Behaviour::SavesOnly(decline) => Err(self.decline(id, decline, true)),
            _ if method.asks() && off_session => Err(self.decline(id, AUTHENTICATION_REQUIRED, true)),
            _ if method.asks() => self.ask(id),
            _ => self.authorize(id, off_session),
        }
    }

    /// The customer has, or hasn't, shown who they are.
    pub(crate) fn answer_challenge(&mut self, id: &str, passed: bool) -> Result<(), ApiError> {
        if self.intents.find(id)?.status != Status::RequiresAction {
            return Err(self.unexpected_state(id, "authenticated", &[Status::RequiresAction]));
        }
        if passed { self.authorize(id, false) } else { Err(self.decline(id, AUTHENTICATION_FAILED, false)) }
    }

    /// `POST /v1/payment_intents/{id}/capture`
    pub(crate) fn capture_intent(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        let intent = self.intents.find(id)?;
        let (capturable, status) = (intent.amount_capturable, intent.status);
        let amount = params.integer("amount_to_capture")?.unwrap_or(capturable);
        let fee = params.integer("application_fee_amount")?;
        let metadata = params.metadata()?;
        params.boolean("final_capture")?;
        params.ignore(&["statement_descriptor", "statement_descriptor_suffix"]);
        params.finish()?;
        if status != Status::RequiresCapture {
            return Err(self.unexpected_state(id, "captured", &[Status::RequiresCapture]));
        }
        if amount < 1 {
            let message = "This value must be greater than or equal to 1.";
            return Err(ApiError::invalid_as("parameter_invalid_integer", "amount_to_capture", message));
        }
        if amount > capturable {
            let message = "The amount_to_capture is greater than the amount_capturable of this PaymentIntent.";
            return Err(ApiError::invalid_as("amount_too_large", "amount_to_capture", message));
        }
        let intent = self.intents.find_mut(id)?;
        merge_metadata(&mut intent.wish.more.metadata, metadata);
        let charge = intent.latest_charge.clone().unwrap_or_default();
        let held = self.charges.find_mut(&charge)?;
        held.application_fee_amount = fee.or(held.application_fee_amount);
        self.take(&charge, amount)?;
        self.emit("charge.captured", &charge);
        self.emit("payment_intent.succeeded", id);
        Ok(self.intents.find(id)?.json())
    }

    /// `POST /v1/payment_intents/{id}/cancel`
    pub(crate) fn cancel_intent(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        self.intents.find(id)?;
        let reason = params.word("cancellation_reason", CANCELLATION_REASONS)?;
        params.finish()?;
        self.cancel(id, reason)?;
        Ok(self.intents.find(id)?.json())
    }

    /// Ends an intent that hasn't succeeded, and lets go of what it holds.
    pub(crate) fn cancel(&mut self, id: &str, reason: Option<&'static str>) -> Result<(), ApiError> {
        let now = self.now;
        let intent = self.intents.find_mut(id)?;
        if matches!(intent.status, Status::Succeeded | Status::Canceled) {
            let open = [
                Status::RequiresPaymentMethod,
                Status::RequiresCapture,
                Status::RequiresConfirmation,
                Status::RequiresAction,
            ];
            return Err(self.unexpected_state(id, "canceled", &open));
        }
        let held = intent.latest_charge.clone().filter(|_| intent.status == Status::RequiresCapture);
        intent.status = Status::Canceled;
        intent.canceled = Some((now, reason));
        intent.amount_capturable = 0;
        intent.next_action = None;
        if let Some(charge) = held {
            self.release(&charge)?;
        }
        self.emit("payment_intent.canceled", id);
        Ok(())
    }

    /// Cancels intents whose holds have run out.
    pub(crate) fn expire_holds(&mut self) {
        let run_out = |intent: &&PaymentIntent| {
            intent.status == Status::RequiresCapture
                && intent
                    .latest_charge
                    .as_ref()
                    .and_then(|charge| self.charges.get(charge))
                    .is_some_and(|charge| charge.capture_before.is_some_and(|time| time <= self.now))
        };
        let run_out: Vec<_> = self
            .intents
            .iter()
            .filter(run_out)
            .map(|intent| (intent.id.clone(), intent.latest_charge.clone()))
            .collect();
        for (id, charge) in run_out {
            // It holds money, so it can be cancelled.
            if self.cancel(&id, Some("automatic")).is_ok() {
                self.emit("charge.expired", &charge.unwrap_or_default());
            }
        }
    }

    /// Asks the customer to show who they are.
    fn ask(&mut self, id: &str) -> Result<(), ApiError> {
        let base_url = self.base_url.clone();
        let intent = self.intents.find_mut(id)?;
        let redirect =
            json!({"return_url": intent.return_url, "url": format!("{base_url}/pay/{}", intent.client_secret)});
        intent.status = Status::RequiresAction;
        intent.next_action = Some(json!({"type": "redirect_to_url", "redirect_to_url": redirect}));
        self.emit("payment_intent.requires_action", id);
        Ok(())
    }

    /// Notes a declined attempt; with a failed charge where the bank was asked.
    fn decline(&mut self, id: &str, decline: Decline, asked_bank: bool) -> ApiError {
        let Some(intent) = self.intents.get(id).cloned() else {
            return ApiError::no_such("payment_intent", "intent", id);
        };
        let charge = asked_bank.then(|| self.add_charge(&intent, Some(decline), None));
        let method = intent.method.as_deref().and_then(|method| self.json(method)).unwrap_or_default();
        if let Some(intent) = self.intents.get_mut(id) {
            intent.status = Status::RequiresPaymentMethod;
            intent.last_payment_error = Some((decline, charge.clone(), method));
            intent.latest_charge = charge.clone().or(intent.latest_charge.take());
            intent.method = None;
            intent.next_action = None;
        }
        if let Some(charge) = &charge {
            self.emit("charge.failed", charge);
        }
        self.emit("payment_intent.payment_failed", id);
        ApiError::card(&decline, charge.as_deref(), "payment_intent", self.json(id).unwrap_or_default())
    }

    /// Holds or takes the money.
    fn authorize(&mut self, id: &str, off_session: bool) -> Result<(), ApiError> {
        let intent = self.intents.find(id)?.clone();
        let manual = intent.wish.capture_method == "manual";
        let visa = intent
            .method
            .as_deref()
            .and_then(|method| self.methods.get(method))
            .is_some_and(|method| method.card.brand == "visa");
        let hold = if off_session && visa { VISA_MERCHANT_HOLD } else { HOLD };
        let charge = self.add_charge(&intent, None, manual.then_some(self.now + hold));
        if let (Some(_), Some(method)) = (intent.wish.setup_future_usage, &intent.method) {
            self.save_method(method, intent.wish.customer.as_deref());
        }
        let intent = self.intents.find_mut(id)?;
        intent.latest_charge = Some(charge.clone());
        intent.last_payment_error = None;
        intent.next_action = None;
        if manual {
            intent.status = Status::RequiresCapture;
            intent.amount_capturable = intent.wish.amount;
            self.emit("charge.succeeded", &charge);
            self.emit("payment_intent.amount_capturable_updated", id);
        } else {
            let amount = intent.wish.amount;
            self.take(&charge, amount)?;
            self.emit("charge.succeeded", &charge);
            self.emit("payment_intent.succeeded", id);
        }
        Ok(())
    }

    fn add_charge(&mut self, intent: &PaymentIntent, failure: Option<Decline>, capture_before: Option<i64>) -> String {
        let id = self.id("ch");
        let method = intent.method.clone().unwrap_or_default();
        let Some(card) = self.methods.get(&method).map(|method| method.card) else { return id };
        let more = &intent.wish.more;
        self.charges.insert(Charge {
            id: id.clone(),
            created: self.now,
            amount: intent.wish.amount,
            currency: intent.wish.currency,
            intent: intent.id.clone(),
            customer: intent.wish.customer.clone(),
            method,
            card,
            failure,
            capture_before,
            captured: false,
            disputed: false,
            amount_captured: 0,
            released: 0,
            returned: 0,
            balance_transaction: None,
            transfer: None,
            transfer_group: more.transfer_group.clone(),
            transfer_data: more.transfer_data.clone(),
            application_fee_amount: more.application_fee_amount,
            description: more.description.clone(),
            receipt_email: more.receipt_email.clone(),
            metadata: more.metadata.clone(),
        });
        id
    }

    /// Takes `amount` of what the charge authorised, and lets go of the rest.
    fn take(&mut self, charge: &str, amount: i64) -> Result<(), ApiError> {
        let (id, currency) = {
            let charge = self.charges.find(charge)?;
            (charge.intent.clone(), charge.currency)
        };
        let transaction = self.book("charge", amount, currency, charge);
        let taken = self.charges.find_mut(charge)?;
        taken.captured = true;
        taken.amount_captured = amount;
        taken.released = taken.amount - amount;
        taken.balance_transaction = Some(transaction);
        let intent = self.intents.find_mut(&id)?;
        intent.status = Status::Succeeded;
        intent.amount_capturable = 0;
        intent.amount_received = amount;
        self.pass_on(charge)?;
        match self.charges.find(charge)?.card.behaviour {
            Behaviour::Disputed => self.dispute(charge),
            _ => Ok(()),
        }
    }

    /// Lets go of everything the charge holds. Stripe tells this as a refund of a charge that isn't captured.
    fn release(&mut self, charge: &str) -> Result<(), ApiError> {
        let held = self.charges.find_mut(charge)?;
        held.released = held.amount;
        self.emit("charge.refunded", charge);
        Ok(())
    }
}
