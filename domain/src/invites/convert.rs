//! Making something of an invite that led to nothing: a request, which its host finds when they are
//! back.

use garde::{Valid, Validate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Invite, InviteStatus, Side, locked, parties, queries, resolve};
use crate::{
    error::Result,
    id::{InviteId, UserId},
    requests::{self, Request},
    text::rules,
    tx::Tx,
    users::{self, text_enum},
};

/// What a request says where its sender says nothing.
const WORDS: &str = "I tried to reach you. When could we talk?";

text_enum! {
    /// What an invite can be turned into.
    ConversionTarget {
        /// A request to talk.
        Request,
    }
}

/// What to turn an invite into.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Conversion {
    /// Into what.
    #[garde(skip)]
    pub to: ConversionTarget,
    /// The request's words, 1–2000 characters; some are put in where there are none.
    #[garde(inner(length(chars, min = 1, max = 2000), custom(rules::text)))]
    #[schema(min_length = 1, max_length = 2000)]
    pub message: Option<String>,
}

/// An invite and what it was turned into.
#[derive(Debug, Serialize, ToSchema)]
pub struct Converted {
    /// The invite; cancelled, where it still waited.
    pub invite: Invite,
    /// The request.
    pub request: Request,
}

/// Turns an invite that wasn't accepted into a request, whether or not its host is there now. Once:
/// the same again finds the same. The flag says whether the request is new.
///
/// # Errors
/// `NotFound`, `Forbidden`; `InviteResolved` where it was accepted, or cancelled for another reason.
pub async fn convert(
    tx: &mut Tx,
    caller: UserId,
    id: InviteId,
    conversion: Valid<Conversion>,
) -> Result<(Converted, bool)> {
    let pair = parties(tx, caller, id, Side::Requester).await?;
    users::lock(tx, &[pair.0, pair.1]).await?;
    let invite = locked(tx, id).await?;
    if let Some(request) = invite.request_id {
        let request = requests::locked(tx, request).await?;
        return Ok((Converted { invite, request }, false));
    }
    let invite = match invite.status {
        InviteStatus::Pending => resolve(tx, id, InviteStatus::Cancelled, None).await?,
        InviteStatus::Declined | InviteStatus::Expired => invite,
        InviteStatus::Accepted | InviteStatus::Cancelled => return Err(invite.refusal().into()),
    };
    let words = conversion.into_inner().message.unwrap_or_else(|| WORDS.to_owned());
    let (request, created) = requests::leave(tx, pair, words).await?;
    queries::set_request(tx.conn(), id, request.id).await?;
    Ok((Converted { invite, request }, created))
}
