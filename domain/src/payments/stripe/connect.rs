//! Stripe Connect: the accounts of those who are paid, and what is passed on to them.

use std::collections::HashMap;

use stripe_connect::{
    account::RetrieveAccount,
    account_link::{CreateAccountLink, CreateAccountLinkType},
    transfer::{CreateTransfer, ListTransfer, RetrieveTransfer},
    transfer_reversal::CreateIdTransferReversal,
};
use stripe_core::dispute::ListDispute;
use stripe_shared::{AccountCapabilitiesStatus, DisputeStatus};

use super::{
    Answer, CALL_ID, PAYMENT_ID, Stripe, currency,
    read::{failed, found},
};
use crate::{
    error::Result,
    id::{PaymentCallId, PaymentId},
    payments::payouts::DisputeState,
};

/// How an account stands.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "Stripe tells it so")]
pub(in crate::payments) struct Account {
    pub id: String,
    pub transfers_enabled: bool,
    pub charges_enabled: bool,
    pub payouts_enabled: bool,
    pub details_submitted: bool,
    pub requirements: Vec<String>,
    pub disabled_reason: Option<String>,
}

impl From<stripe_shared::Account> for Account {
    fn from(account: stripe_shared::Account) -> Self {
        let transfers = account.capabilities.and_then(|capabilities| capabilities.transfers);
        let disabled = account.requirements.as_ref().and_then(|wanted| wanted.disabled_reason.as_ref());
        Self {
            transfers_enabled: transfers == Some(AccountCapabilitiesStatus::Active),
            charges_enabled: account.charges_enabled.unwrap_or_default(),
            payouts_enabled: account.payouts_enabled.unwrap_or_default(),
            details_submitted: account.details_submitted.unwrap_or_default(),
            disabled_reason: disabled.map(|reason| reason.as_str().to_owned()),
            requirements: account.requirements.and_then(|wanted| wanted.currently_due).unwrap_or_default(),
            id: account.id.to_string(),
        }
    }
}

/// What is to be passed on, and to whom.
#[derive(Debug)]
pub(in crate::payments) struct PassingOn<'a> {
    pub payment_id: PaymentId,
    pub call_id: PaymentCallId,
    pub amount_minor: i64,
    pub currency: &'a str,
    pub account_id: &'a str,
    /// The charge it comes from, so that nothing has to lie with us.
    pub charge_id: &'a str,
}

/// A transfer as it stands.
#[derive(Debug)]
pub(in crate::payments) struct Transfer {
    pub id: String,
    pub payment_id: Option<PaymentId>,
    pub amount_minor: i64,
    pub reversed_minor: i64,
    /// Our calls that made it, and that took some of it back.
    pub calls: Vec<String>,
}

impl From<stripe_shared::Transfer> for Transfer {
    fn from(transfer: stripe_shared::Transfer) -> Self {
        let call = |metadata: &HashMap<String, String>| metadata.get(CALL_ID).cloned();
        let reversals = transfer.reversals.data.iter().filter_map(|reversal| reversal.metadata.as_ref().and_then(call));
        Self {
            payment_id: transfer.metadata.get(PAYMENT_ID).and_then(|id| id.parse().ok()),
            calls: call(&transfer.metadata).into_iter().chain(reversals).collect(),
            amount_minor: transfer.amount,
            reversed_minor: transfer.amount_reversed,
            id: transfer.id.to_string(),
        }
    }
}

/// What a payer's bank says.
#[derive(Debug)]
pub(in crate::payments) struct Dispute {
    pub id: String,
    pub amount_minor: i64,
    pub reason: String,
    pub state: DisputeState,
}

impl From<stripe_shared::Dispute> for Dispute {
    fn from(dispute: stripe_shared::Dispute) -> Self {
        let state = match dispute.status {
            DisputeStatus::Won | DisputeStatus::WarningClosed | DisputeStatus::Prevented => DisputeState::Won,
            DisputeStatus::Lost => DisputeState::Lost,
            _ => DisputeState::Open,
        };
        Self { id: dispute.id.to_string(), amount_minor: dispute.amount, reason: dispute.reason, state }
    }
}

impl Stripe {
    /// An account; none when there is no such.
    pub(in crate::payments) async fn account(&self, id: &str) -> Result<Option<Account>> {
        Ok(found(Box::pin(self.look_up(&RetrieveAccount::new(id))).await)?.map(Into::into))
    }

    /// A page where an account's owner answers Stripe's questions. Made anew each time, it needs no key.
    pub(in crate::payments) async fn account_link(&self, account_id: &str, back: &str) -> Result<String> {
        let request = CreateAccountLink::new(account_id, CreateAccountLinkType::AccountOnboarding)
            .return_url(back)
            .refresh_url(back);
        Ok(self.look_up(&request).await.map_err(failed)?.url)
    }

    /// Passes on some of what was taken.
    pub(in crate::payments) async fn transfer(&self, key: &str, what: &PassingOn<'_>) -> Answer<Transfer> {
        let metadata = HashMap::from([
            (PAYMENT_ID.to_owned(), what.payment_id.to_string()),
            (CALL_ID.to_owned(), what.call_id.to_string()),
        ]);
        let request = CreateTransfer::new(currency(what.currency), what.account_id)
            .amount(what.amount_minor)
            .source_transaction(what.charge_id)
            .transfer_group(what.payment_id.to_string())
            .metadata(metadata);
        Ok(Box::pin(self.change(key, &request)).await?.into())
    }

    /// Takes back some of what was passed on.
    pub(in crate::payments) async fn reverse(
        &self,
        key: &str,
        transfer_id: &str,
        call_id: PaymentCallId,
        amount_minor: i64,
    ) -> Answer<()> {
        let metadata = HashMap::from([(CALL_ID.to_owned(), call_id.to_string())]);
        let request = CreateIdTransferReversal::new(transfer_id).amount(amount_minor).metadata(metadata);
        Box::pin(self.change(key, &request)).await?;
        Ok(())
    }

    /// A transfer; none when there is no such.
    pub(in crate::payments) async fn transfer_by_id(&self, id: &str) -> Result<Option<Transfer>> {
        Ok(found(Box::pin(self.look_up(&RetrieveTransfer::new(id))).await)?.map(Into::into))
    }

    /// The transfer of a payment's that a call made. Of one payment there are few.
    pub(in crate::payments) async fn transfer_of(
        &self,
        id: PaymentId,
        call: PaymentCallId,
    ) -> Result<Option<Transfer>> {
        let request = ListTransfer::new().transfer_group(id.to_string()).limit(100);
        let page = Box::pin(self.look_up(&request)).await.map_err(failed)?;
        let call = call.to_string();
        Ok(page.data.into_iter().map(Transfer::from).find(|transfer| transfer.calls.contains(&call)))
    }

    /// The latest dispute about an intent.
    pub(in crate::payments) async fn dispute_of(&self, intent_id: &str) -> Result<Option<Dispute>> {
        let request = ListDispute::new().payment_intent(intent_id).limit(1);
        let page = Box::pin(self.look_up(&request)).await.map_err(failed)?;
        Ok(page.data.into_iter().next().map(Into::into))
    }
}
