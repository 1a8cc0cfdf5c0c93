//! What payments make people hear, and by mail: that money is held, was taken, let go or given back,
//! and that something did not work. Each is said once.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::json;

use super::{Payment, PaymentKind, PaymentState, observe, queries};
use crate::{
    error::Result,
    id::{PaymentId, SessionId, UserId},
    money::amount_text,
    notifications::{self, Notice, NotificationKind},
    sessions,
    tx::Tx,
};

/// A payment has moved on: says what that means to payer and payee.
pub(super) async fn moved(tx: &mut Tx, from: &Payment, to: &Payment) -> Result<()> {
    use PaymentState as S;
    match (from.status, to.status) {
        (S::RequiresPayment, S::Authorized) => held(tx, to).await,
        (S::Authorized | S::Capturing, S::Voided) => let_go(tx, to).await,
        (S::RequiresPayment | S::Authorized | S::Capturing, S::Captured | S::Refunded) => taken(tx, to).await,
        _ if to.amount_refunded > from.amount_refunded => given_back(tx, from, to).await,
        _ if to.amount_refunded < from.amount_refunded => refund_failed(tx, from, to).await,
        _ => Ok(()),
    }
}

async fn held(tx: &mut Tx, payment: &Payment) -> Result<()> {
    let names = queries::people(tx.conn(), payment.id).await?;
    let amount = amount_text(payment.amount, &payment.currency);
    let title = format!("{amount} is held on your card");
    let body = format!("It is for your {}. Nothing is taken before that is over.", what(payment, names.payee_name));
    say(tx, payment, payment.payer_user_id, "authorized", (title, body)).await
}

async fn let_go(tx: &mut Tx, payment: &Payment) -> Result<()> {
    let names = queries::people(tx.conn(), payment.id).await?;
    let amount = amount_text(payment.amount, &payment.currency);
    let title = format!("{amount} on your card is free again");
    let body = format!("It was held for your {}. Nothing was taken.", what(payment, names.payee_name));
    say(tx, payment, payment.payer_user_id, "voided", (title, body)).await
}

/// The payer's is the receipt.
async fn taken(tx: &mut Tx, payment: &Payment) -> Result<()> {
    let names = queries::people(tx.conn(), payment.id).await?;
    let amount = amount_text(payment.amount_captured, &payment.currency);
    let talked = match (payment.kind, payment.session_id) {
        (PaymentKind::Session, Some(session)) => {
            let spans = sessions::talks(tx, session).await?;
            let seconds: i64 = spans.iter().map(|span| (span.end - span.start).num_seconds()).sum();
            if seconds > 0 { format!(", {} min", (seconds + 59) / 60) } else { String::new() }
        }
        _ => String::new(),
    };
    let on = local(tx.now(), &names.payer_timezone, "%-d %B %Y");
    let title = format!("You paid {amount}");
    let body =
        format!("For your {}{talked}: {amount}, on {on}. Receipt {}.", what(payment, names.payee_name), payment.id);
    say(tx, payment, payment.payer_user_id, "captured", (title, body)).await?;
    let Some(payee) = payment.payee_user_id else { return Ok(()) };
    let title = format!("{} paid {amount}", names.payer_name);
    let body = match payment.kind {
        PaymentKind::Session => format!("It is for your talk{talked}."),
        PaymentKind::Donation => "It is a donation.".to_owned(),
    };
    say(tx, payment, payee, "captured", (title, body)).await
}

async fn given_back(tx: &mut Tx, from: &Payment, to: &Payment) -> Result<()> {
    let names = queries::people(tx.conn(), to.id).await?;
    let amount = amount_text(to.amount_refunded - from.amount_refunded, &to.currency);
    let about = format!("refunded:{}", to.amount_refunded);
    let title = format!("{amount} was given back to you");
    let body = format!("It was paid for your {}. Banks take some days to show it.", what(to, names.payee_name));
    say(tx, to, to.payer_user_id, &about, (title, body)).await?;
    let Some(payee) = to.payee_user_id else { return Ok(()) };
    let title = format!("{amount} was given back to {}", names.payer_name);
    say(tx, to, payee, &about, (title, "It is off what you are owed.".to_owned())).await
}

async fn refund_failed(tx: &mut Tx, from: &Payment, to: &Payment) -> Result<()> {
    let amount = amount_text(from.amount_refunded - to.amount_refunded, &to.currency);
    // The same refund, given again, is to be told of again.
    let again = format!("{}:refunded:{}", key(to.id), from.amount_refunded);
    notifications::settle(tx, to.payer_user_id, &[again]).await?;
    let title = format!("{amount} could not be given back to you");
    let body = "Your bank did not take it. We have been told, and will see to it.".to_owned();
    let about = format!("refund_failed:{}:{}", from.amount_refunded, tx.now().timestamp());
    say(tx, to, to.payer_user_id, &about, (title, body)).await
}

/// What a host earned is on its way to their account.
pub(super) async fn passed_on(tx: &mut Tx, payment: &Payment, amount_minor: i64) -> Result<()> {
    let Some(payee) = payment.payee_user_id else { return Ok(()) };
    let names = queries::people(tx.conn(), payment.id).await?;
    let title = format!("{} is on its way to you", amount_text(amount_minor, &payment.currency));
    let body = format!("It is for your talk with {}.", names.payer_name);
    let about = format!("passed_on:{amount_minor}:{}", tx.now().timestamp());
    say(tx, payment, payee, &about, (title, body)).await
}

/// Nothing is held for a session that is to come: the guest can pay again for a while.
pub(super) async fn to_be_paid_again(tx: &mut Tx, payment: &Payment, until: DateTime<Utc>) -> Result<()> {
    let names = queries::people(tx.conn(), payment.id).await?;
    let until = local(until, &names.payer_timezone, "%A, %-d %B at %H:%M (%Z)");
    let title = "Your card needs your attention".to_owned();
    let body = format!(
        "Nothing could be held for your {}. Pay for it again until {until}, or it is called off.",
        what(payment, names.payee_name)
    );
    say(tx, payment, payment.payer_user_id, "again", (title, body)).await?;
    let Some(payee) = payment.payee_user_id else { return Ok(()) };
    let title = format!("{} has to pay again", names.payer_name);
    let body = "The card could not be charged. We tell you when it is paid for, or called off.".to_owned();
    say(tx, payment, payee, "again", (title, body)).await
}

/// A session that had to be paid for again is sure again. Its host was promised to hear of that.
pub(crate) async fn paid_again(tx: &mut Tx, session: SessionId) -> Result<()> {
    settle_again(tx, session).await?;
    let Some(id) = queries::live(tx.conn(), session).await? else { return Ok(()) };
    let payment = observe::load(tx, id).await?;
    let Some(payee) = payment.payee_user_id else { return Ok(()) };
    let names = queries::people(tx.conn(), id).await?;
    let title = format!("{} has seen to the payment", names.payer_name);
    let body = "Your talk takes place as agreed.".to_owned();
    say(tx, &payment, payee, "paid_again", (title, body)).await
}

/// A session is not to be paid for again any more. What asked for that is settled, whichever of the session's
/// payments it was about: the guest may have paid with another one.
pub(crate) async fn settle_again(tx: &mut Tx, session: SessionId) -> Result<()> {
    let payments = queries::payments_of(tx.conn(), session).await?;
    let keys: Vec<_> = payments.into_iter().map(|id| format!("{}:again", key(id))).collect();
    let terms = observe::terms(tx, session).await?;
    for person in [terms.guest, terms.host] {
        notifications::settle(tx, person, &keys).await?;
    }
    Ok(())
}

fn what(payment: &Payment, payee: Option<String>) -> String {
    match (payment.kind, payee) {
        (PaymentKind::Session, Some(name)) => format!("talk with {name}"),
        (PaymentKind::Donation, Some(name)) => format!("donation to {name}"),
        (PaymentKind::Session, None) => "talk".to_owned(),
        (PaymentKind::Donation, None) => "donation".to_owned(),
    }
}

fn local(at: DateTime<Utc>, zone: &str, format: &str) -> String {
    at.with_timezone(&zone.parse().unwrap_or(Tz::UTC)).format(format).to_string()
}

fn key(id: PaymentId) -> String {
    format!("payment:{id}")
}

async fn say(
    tx: &mut Tx,
    payment: &Payment,
    user_id: UserId,
    about: &str,
    (title, body): (String, String),
) -> Result<()> {
    let mut data = json!({"payment_id": payment.id});
    if let Some(session) = payment.session_id {
        data["session_id"] = json!(session);
    }
    let (kind, key) = (NotificationKind::Payment, format!("{}:{about}", key(payment.id)));
    notifications::notify(tx, Notice { user_id, kind, key, title, body, data }).await?;
    Ok(())
}
