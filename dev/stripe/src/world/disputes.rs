//! Disputes: what happens when a card's owner tells the bank that a payment was not theirs.

use serde_json::{Value, json};

use super::World;
use super::money::Currency;
use super::table::Row;
use crate::api::error::ApiError;
use crate::api::params::Params;

/// How long there is to answer.
const ANSWER_WITHIN: i64 = 7 * 86_400;
/// Evidence that decides at once: <https://docs.stripe.com/testing#disputes>.
const WINNING: &str = "winning_evidence";
const LOSING: &str = "losing_evidence";

/// A dispute.
#[derive(Debug, Clone)]
pub(crate) struct Dispute {
    id: String,
    created: i64,
    amount: i64,
    currency: Currency,
    charge: String,
    intent: String,
    status: &'static str,
    evidence: Option<String>,
}

impl Row for Dispute {
    const KIND: &'static str = "dispute";
    const PARAM: &'static str = "dispute";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "dispute",
            "amount": self.amount,
            "balance_transactions": [],
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "enhanced_eligibility_types": [],
            "evidence": {"enhanced_evidence": {}, "uncategorized_text": self.evidence},
            "evidence_details": {
                "due_by": self.created + ANSWER_WITHIN, "enhanced_eligibility": {},
                "has_evidence": self.evidence.is_some(), "past_due": false,
                "submission_count": u8::from(self.evidence.is_some()),
            },
            "is_charge_refundable": false,
            "livemode": false,
            "metadata": {},
            "network_reason_code": null,
            "payment_intent": self.intent,
            "payment_method_details": null,
            "reason": "fraudulent",
            "status": self.status,
        })
    }
}

impl World {
    /// The owner of a charge's card disputes it; the bank takes the money until that is decided.
    pub(crate) fn dispute(&mut self, charge: &str) -> Result<(), ApiError> {
        let id = self.id("du");
        let disputed = self.charges.find_mut(charge)?;
        disputed.disputed = true;
        let dispute = Dispute {
            id: id.clone(),
            created: self.now,
            amount: disputed.amount_captured,
            currency: disputed.currency,
            charge: charge.to_owned(),
            intent: disputed.intent.clone(),
            status: "needs_response",
            evidence: None,
        };
        self.book("adjustment", -dispute.amount, dispute.currency, &id);
        self.disputes.insert(dispute);
        self.emit("charge.dispute.created", &id);
        self.emit("charge.dispute.funds_withdrawn", &id);
        Ok(())
    }

    /// `POST /v1/disputes/{id}`: with evidence that decides.
    pub(crate) fn update_dispute(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        self.disputes.find(id)?;
        let text = match params.nested("evidence")? {
            None => None,
            Some(mut evidence) => {
                let text = evidence.text("uncategorized_text")?;
                evidence.finish()?;
                text
            }
        };
        let submit = params.boolean("submit")?.unwrap_or(true);
        params.finish()?;
        let dispute = self.disputes.find_mut(id)?;
        dispute.evidence = text.or(dispute.evidence.take());
        match dispute.evidence.as_deref().filter(|_| submit) {
            Some(WINNING) => self.decide(id, "won"),
            Some(LOSING) => self.decide(id, "lost"),
            Some(_) => {
                dispute.status = "under_review";
                self.emit("charge.dispute.updated", id);
                Ok(())
            }
            None => {
                self.emit("charge.dispute.updated", id);
                Ok(())
            }
        }?;
        Ok(self.disputes.find(id)?.json())
    }

    /// `POST /v1/disputes/{id}/close`: it is lost.
    pub(crate) fn close_dispute(&mut self, id: &str, params: &mut Params) -> Result<Value, ApiError> {
        params.finish()?;
        self.decide(id, "lost")?;
        Ok(self.disputes.find(id)?.json())
    }

    fn decide(&mut self, id: &str, status: &'static str) -> Result<(), ApiError> {
        let dispute = self.disputes.find_mut(id)?;
        if matches!(dispute.status, "won" | "lost") {
            return Err(ApiError::invalid("dispute", "This dispute is already closed."));
        }
        dispute.status = status;
        let (amount, currency) = (dispute.amount, dispute.currency);
        self.emit("charge.dispute.closed", id);
        if status == "won" {
            self.book("adjustment", amount, currency, id);
            self.emit("charge.dispute.funds_reinstated", id);
        }
        Ok(())
    }

    /// `GET /v1/disputes`
    pub(crate) fn list_disputes(&self, params: &mut Params) -> Result<Value, ApiError> {
        let intent = params.text("payment_intent")?;
        let charge = params.text("charge")?;
        self.disputes.page("/v1/disputes", params, |dispute| {
            intent.as_ref().is_none_or(|intent| dispute.intent == *intent)
                && charge.as_ref().is_none_or(|charge| dispute.charge == *charge)
        })
    }
}
