//! What a call says to the provider, and how it is found out what came of one.

use chrono::{DateTime, Utc};

use super::{Call, CallKind, DISPUTED, End, Seen};
use crate::{
    Store,
    error::Result,
    payments::{
        Payment,
        payouts::DisputeState,
        stripe::{Around, Failure, Held, Intent, Order, Page, PassingOn, Stripe, Transfer},
    },
};

pub(super) async fn send(
    store: &Store,
    stripe: &Stripe,
    call: &Call,
    payment: &Payment,
    party: Option<&str>,
) -> Result<Seen, Failure> {
    let order = Order { payment_id: payment.id, amount_minor: call.amount_minor, currency: &payment.currency };
    let unknown = Failure::Unknown { answered: false };
    let intent_id = payment.intent_id.as_deref();
    Ok(match call.kind {
        CallKind::CreateIntent => Seen::Intent(Box::pin(stripe.create_intent(&call.key, &order)).await?),
        CallKind::CreateSetup => {
            let customer = party.ok_or(unknown)?;
            Seen::Setup(Box::pin(stripe.create_setup(&call.key, customer, payment.id)).await?)
        }
        CallKind::Authorize => {
            let (Some(customer), Some(method)) = (party, &payment.method_id) else { return Err(unknown) };
            Seen::Intent(Box::pin(stripe.authorize(&call.key, &order, customer, method)).await?)
        }
        CallKind::CreateCheckout => {
            let page = |name: &str| store.settings().public_url.join(name).map(|url| url.to_string());
            let (success, cancel) = (page("checkout/thanks"), page("checkout/cancelled"));
            let (Ok(success_url), Ok(cancel_url)) = (&success, &cancel) else { return Err(unknown) };
            let page = Page { title: "Donation", success_url, cancel_url };
            Seen::Checkout(Box::pin(stripe.create_checkout(&call.key, &order, &page)).await?)
        }
        CallKind::Capture => {
            Seen::Intent(stripe.capture(&call.key, intent_id.ok_or(unknown)?, call.amount_minor).await?)
        }
        CallKind::Void => Seen::Intent(stripe.cancel(&call.key, intent_id.ok_or(unknown)?).await?),
        CallKind::Refund => {
            let intent_id = intent_id.ok_or_else(|| unknown.clone())?;
            stripe.refund(&call.key, intent_id, call.id, call.amount_minor).await?;
            // What that makes of the payment.
            Seen::Intent(stripe.intent(intent_id).await.ok().flatten().ok_or(unknown)?)
        }
        CallKind::Transfer => Seen::Transfer(pass_on(stripe, call, payment, party).await?),
        CallKind::ReverseTransfer => {
            let transfer_id = call.transfer_id.as_deref().ok_or_else(|| unknown.clone())?;
            stripe.reverse(&call.key, transfer_id, call.id, call.amount_minor).await?;
            Seen::Transfer(stripe.transfer_by_id(transfer_id).await.ok().flatten().ok_or(unknown)?)
        }
    })
}

/// Passes on what a host earned, unless the payer's bank disputes it: that may not have been heard yet.
async fn pass_on(
    stripe: &Stripe,
    call: &Call,
    payment: &Payment,
    account_id: Option<&str>,
) -> Result<Transfer, Failure> {
    let unknown = || Failure::Unknown { answered: false };
    let refused = |code: &str, message: &str| Failure::Refused { code: code.to_owned(), message: message.to_owned() };
    let not_ready = || refused("account_not_ready", "the host's account takes no transfers now");
    let account_id = account_id.ok_or_else(not_ready)?;
    let intent_id = payment.intent_id.as_deref().ok_or_else(unknown)?;
    let intent = stripe.intent(intent_id).await.ok().flatten().ok_or_else(unknown)?;
    if intent.is_disputed {
        let dispute = stripe.dispute_of(intent_id).await.ok().flatten().ok_or_else(unknown)?;
        if dispute.state != DisputeState::Won {
            return Err(refused(DISPUTED, "the payer's bank disputes the payment"));
        }
    }
    let what = PassingOn {
        payment_id: payment.id,
        call_id: call.id,
        amount_minor: call.amount_minor,
        currency: &payment.currency,
        account_id,
        charge_id: intent.charge_id.as_deref().ok_or_else(unknown)?,
    };
    stripe.transfer(&call.key, &what).await
}

/// What came of a call that may have been made; none while nothing shows.
pub(super) async fn look_up(stripe: &Stripe, call: &Call, payment: &Payment) -> Result<Option<End>> {
    let around = Around { from: call.created_at, to: call.attempted_at.unwrap_or(call.created_at) };
    Ok(match call.kind {
        CallKind::CreateIntent => {
            stripe.intent_of(payment.id, around).await?.map(|intent| End::done(Seen::Intent(intent)))
        }
        CallKind::CreateSetup => stripe.setup_of(payment.id, around).await?.map(|setup| End::done(Seen::Setup(setup))),
        CallKind::Authorize => match stripe.intent_of(payment.id, around).await? {
            Some(intent) if intent.held == Held::Nothing => {
                // Declined; or not yet decided, and then the same call again says how it ends.
                let code = intent.declined.clone();
                code.map(|code| End::refused(&code, "the card was declined", Some(Seen::Intent(intent))))
            }
            intent => intent.map(|intent| End::done(Seen::Intent(intent))),
        },
        CallKind::CreateCheckout => {
            stripe.checkout_of(payment.id, around).await?.map(|checkout| End::done(Seen::Checkout(checkout)))
        }
        CallKind::Capture | CallKind::Void => {
            let Some(intent) = intent_of(stripe, payment).await? else { return Ok(None) };
            let wanted = if call.kind == CallKind::Capture { Held::Taken } else { Held::Released };
            match intent.held {
                held if held == wanted => Some(End::done(Seen::Intent(intent))),
                Held::Taken => Some(End::refused("already_captured", "it was captured", Some(Seen::Intent(intent)))),
                Held::Released => Some(End::refused("already_voided", "it was voided", Some(Seen::Intent(intent)))),
                Held::All | Held::Nothing => None,
            }
        }
        CallKind::Refund => {
            let Some(intent_id) = &payment.intent_id else { return Ok(None) };
            if !stripe.has_refund(intent_id, call.id).await? {
                return Ok(None);
            }
            intent_of(stripe, payment).await?.map(|intent| End::done(Seen::Intent(intent)))
        }
        CallKind::Transfer => {
            stripe.transfer_of(payment.id, call.id).await?.map(|transfer| End::done(Seen::Transfer(transfer)))
        }
        CallKind::ReverseTransfer => {
            let Some(transfer_id) = &call.transfer_id else { return Ok(None) };
            let transfer = stripe.transfer_by_id(transfer_id).await?;
            let done = transfer.filter(|transfer| transfer.calls.contains(&call.id.to_string()));
            done.map(|transfer| End::done(Seen::Transfer(transfer)))
        }
    })
}

async fn intent_of(stripe: &Stripe, payment: &Payment) -> Result<Option<Intent>> {
    match &payment.intent_id {
        Some(id) => stripe.intent(id).await,
        None => Ok(None),
    }
}

/// How the payment stands at the provider after a call was refused.
pub(super) async fn current(
    stripe: &Stripe,
    call: &Call,
    payment: &Payment,
    now: DateTime<Utc>,
) -> Result<Option<Seen>> {
    // A card that is declined leaves an intent behind.
    let intent = match call.kind {
        CallKind::Authorize => stripe.intent_of(payment.id, Around { from: call.created_at, to: now }).await?,
        _ => intent_of(stripe, payment).await?,
    };
    Ok(intent.map(Seen::Intent))
}
