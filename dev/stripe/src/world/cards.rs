//! Test cards: <https://docs.stripe.com/testing>.

use crate::api::error::Decline;

/// What happens when somebody pays with the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// It pays.
    Pays,
    /// It is declined.
    Declines(Decline),
    /// The customer must show who they are, every time.
    Asks,
    /// The customer must show who they are, unless the card was set up for later use.
    AsksUntilSetUp,
    /// It can be saved but not charged.
    SavesOnly(Decline),
    /// It pays; refunds to it fail a while later.
    RefundFails,
    /// It pays; refunds to it are pending for a while.
    RefundPends,
    /// It pays; its owner says that it wasn't them.
    Disputed,
}

/// A test card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) number: &'static str,
    /// The ready-made payment method that stands for it.
    token: &'static str,
    pub(crate) brand: &'static str,
    pub(crate) behaviour: Behaviour,
}

impl Card {
    /// The card behind `pm_card_visa` and the like.
    pub(crate) fn by_token(token: &str) -> Option<&'static Self> {
        CARDS.iter().find(|card| card.token == token)
    }

    /// The card with this number, which may have spaces in it.
    pub(crate) fn by_number(number: &str) -> Option<&'static Self> {
        let digits: String = number.chars().filter(char::is_ascii_digit).collect();
        CARDS.iter().find(|card| card.number == digits)
    }

    /// What people see of the number.
    pub(crate) fn last4(&self) -> &'static str {
        self.number.get(self.number.len() - 4..).unwrap_or_default()
    }
}

const fn card(number: &'static str, token: &'static str, brand: &'static str, behaviour: Behaviour) -> Card {
    Card { number, token, brand, behaviour }
}

const fn declined(reason: &'static str, message: &'static str) -> Decline {
    Decline { code: "card_declined", reason: Some(reason), message }
}

const fn wrong(code: &'static str, message: &'static str) -> Decline {
    Decline { code, reason: None, message }
}

const GENERIC: Decline = declined("generic_decline", "Your card was declined.");

/// An off-session payment by a card whose customer must be asked.
pub(crate) const AUTHENTICATION_REQUIRED: Decline = Decline {
    code: "authentication_required",
    reason: Some("authentication_required"),
    message: "Your card was declined. This transaction requires authentication.",
};

/// A customer who couldn't show who they are.
pub(crate) const AUTHENTICATION_FAILED: Decline = Decline {
    code: "payment_intent_authentication_failure",
    reason: None,
    message: "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new \
              PaymentMethod to attempt to fulfill this PaymentIntent again.",
};

const CARDS: &[Card] = &[
    card("4242424242424242", "pm_card_visa", "visa", Behaviour::Pays),
    card("4000056655665556", "pm_card_visa_debit", "visa", Behaviour::Pays),
    card("5555555555554444", "pm_card_mastercard", "mastercard", Behaviour::Pays),
    card("378282246310005", "pm_card_amex", "amex", Behaviour::Pays),
    card("4000000000000002", "pm_card_chargeDeclined", "visa", Behaviour::Declines(GENERIC)),
    card(
        "4000000000009995",
        "pm_card_chargeDeclinedInsufficientFunds",
        "visa",
        Behaviour::Declines(declined("insufficient_funds", "Your card has insufficient funds.")),
    ),
    card(
        "4000000000009995",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "visa",
        Behaviour::Declines(declined("insufficient_funds", "Your card has insufficient funds.")),
    ),
    card(
        "4000000000009987",
        "pm_card_visa_chargeDeclinedLostCard",
        "visa",
        Behaviour::Declines(declined("lost_card", "Your card was declined.")),
    ),
    card(
        "4000000000000069",
        "pm_card_chargeDeclinedExpiredCard",
        "visa",
        Behaviour::Declines(wrong("expired_card", "Your card has expired.")),
    ),
    card(
        "4000000000000127",
        "pm_card_chargeDeclinedIncorrectCvc",
        "visa",
        Behaviour::Declines(wrong("incorrect_cvc", "Your card's security code is incorrect.")),
    ),
    card(
        "4000000000000119",
        "pm_card_chargeDeclinedProcessingError",
        "visa",
        Behaviour::Declines(wrong(
            "processing_error",
            "An error occurred while processing your card. Try again in a little bit.",
        )),
    ),
    card("4000000000000341", "pm_card_chargeCustomerFail", "visa", Behaviour::SavesOnly(GENERIC)),
    card("4000000000003220", "pm_card_threeDSecure2Required", "visa", Behaviour::Asks),
    card("4000002760003184", "pm_card_authenticationRequired", "visa", Behaviour::Asks),
    card("4000002500003155", "pm_card_authenticationRequiredOnSetup", "visa", Behaviour::AsksUntilSetUp),
    card("4000000000005126", "pm_card_refundFail", "visa", Behaviour::RefundFails),
    card("4000000000000259", "pm_card_createDispute", "visa", Behaviour::Disputed),
    card("4000000000007726", "pm_card_pendingRefund", "visa", Behaviour::RefundPends),
];
