//! Making something of an invite that led to nothing: a request, which its host finds when they are
//! back, or a booking.

use garde::{Unvalidated, Valid, Validate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Invite, InviteStatus, locked,
    outcomes::{Side, parties, resolve},
    queries,
};
use crate::{
    error::{Refusal, Result},
    id::{InviteId, UserId},
    money::Price,
    payments::{self, Payment},
    requests::{self, Request},
    sessions::{self, Booked, Booking, Session},
    text::{Moment, rules, text_enum},
    tx::Tx,
    users,
};

/// What a request says where its sender says nothing.
const WORDS: &str = "I tried to reach you. When could we talk?";

text_enum! {
    /// What an invite can be turned into.
    ConversionTarget {
        /// A request to talk.
        Request,
        /// A session at a time that the host offers.
        Booking,
    }
}

/// What to turn an invite into.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"to": "request", "message": "When could we talk?"}))]
pub struct Conversion {
    /// Into what.
    #[garde(skip)]
    pub to: ConversionTarget,
    /// A request's words, 1–2000 characters; some are put in where there are none.
    #[garde(inner(length(chars, min = 1, max = 2000), custom(rules::text)))]
    #[schema(min_length = 1, max_length = 2000)]
    pub message: Option<String>,
    /// A booking's slot: RFC 3339.
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = "date-time")]
    pub start_time: Option<Moment>,
    /// How long a booking takes, 5–480.
    #[garde(inner(range(min = 5, max = 480)))]
    #[schema(minimum = 5, maximum = 480)]
    pub duration_minutes: Option<i32>,
    /// What the guest takes a booking's price to be: compared, never trusted.
    #[garde(skip)]
    pub price: Option<Price>,
}

/// An invite and what it was turned into.
#[derive(Debug, Serialize, ToSchema)]
pub struct Converted {
    /// The invite; cancelled, where it still waited.
    pub invite: Invite,
    /// The request, where it became one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// The booked session, where it became one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// What makes the session sure, where it costs something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<Payment>,
}

/// Turns an invite that wasn't accepted into something else, whether or not its host is there now.
/// Once: whatever is asked for then, what it became is found again. The flag says whether that is new.
///
/// # Errors
/// `NotFound`, `Forbidden`; `InviteResolved` where it was accepted, or cancelled for another reason;
/// for a booking, `Invalid` and whatever [`sessions::book`] refuses.
pub async fn convert(
    tx: &mut Tx,
    caller: UserId,
    id: InviteId,
    conversion: Valid<Conversion>,
) -> Result<(Converted, bool)> {
    let pair = parties(tx, caller, id, Side::Requester).await?;
    let wish = Wish::of(conversion.into_inner(), pair.1)?;
    users::lock(tx, &[pair.0, pair.1]).await?;
    let invite = locked(tx, id).await?;
    if let Some(request) = invite.request_id {
        let request = Some(requests::locked(tx, request).await?);
        return Ok((Converted { invite, request, session: None, payment: None }, false));
    }
    if let Some(session) = invite.booking_id {
        let payment = payments::of_session(tx, session).await?;
        let session = Some(sessions::load(tx, session).await?);
        return Ok((Converted { invite, request: None, session, payment }, false));
    }
    let invite = match invite.status {
        InviteStatus::Pending => resolve(tx, id, InviteStatus::Cancelled, None).await?,
        InviteStatus::Declined | InviteStatus::Expired => invite,
        InviteStatus::Accepted | InviteStatus::Cancelled => return Err(invite.refusal().into()),
    };
    match wish {
        Wish::Request(words) => {
            let (request, created) = requests::leave(tx, pair, words).await?;
            queries::set_request(tx.conn(), id, request.id).await?;
            Ok((Converted { invite, request: Some(request), session: None, payment: None }, created))
        }
        Wish::Booking(booking) => {
            let Booked { session, payment } = sessions::book(tx, caller, &booking).await?;
            queries::set_booking(tx.conn(), id, session.id).await?;
            Ok((Converted { invite, request: None, session: Some(session), payment }, true))
        }
    }
}

enum Wish {
    Request(String),
    Booking(Valid<Booking>),
}

impl Wish {
    fn of(conversion: Conversion, host: UserId) -> Result<Self, Refusal> {
        let Conversion { to, message, start_time, duration_minutes, price } = conversion;
        let only_for = |field, what| Refusal::field(field, format!("is only for a {what}"));
        let missing = |field| Refusal::field(field, "is missing");
        match to {
            ConversionTarget::Request if start_time.is_some() => Err(only_for("startTime", "booking")),
            ConversionTarget::Request if duration_minutes.is_some() => Err(only_for("durationMinutes", "booking")),
            ConversionTarget::Request if price.is_some() => Err(only_for("price", "booking")),
            ConversionTarget::Request => Ok(Self::Request(message.unwrap_or_else(|| WORDS.to_owned()))),
            ConversionTarget::Booking if message.is_some() => Err(only_for("message", "request")),
            ConversionTarget::Booking => {
                let booking = Booking {
                    host_user_id: host.into(),
                    start_time: start_time.ok_or_else(|| missing("startTime"))?,
                    duration_minutes: duration_minutes.ok_or_else(|| missing("durationMinutes"))?,
                    price: price.ok_or_else(|| missing("price"))?,
                    conversation_id: None,
                };
                let booking = Unvalidated::new(booking).validate();
                Ok(Self::Booking(booking.map_err(|_| Refusal::field("durationMinutes", "must be 5 to 480"))?))
            }
        }
    }
}
