//! How an invite ends: accepted, declined, taken back, or passed by.

use chrono::{DateTime, Utc};
use humanchat_jobs::{JobKey, invites::ExpireInvite};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Invite, InviteStatus, locked, queries, tell};
use crate::{
    conversations::{self, Conversation},
    error::{Error, Refusal, Result},
    id::{InviteId, UserId},
    sessions::{self, Session},
    tx::Tx,
    users,
};

/// After how many unanswered invites in a row somebody counts as not looking.
const AWAY_AFTER: i32 = 3;

/// An accepted invite and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// The invite.
    pub invite: Invite,
    /// The session it started.
    pub session: Session,
    /// The pair's conversation.
    pub conversation: Conversation,
}

/// The host takes an invite: a session begins. Repeating it answers the same.
///
/// # Errors
/// `NotFound`, `Forbidden`, `InviteResolved`, `InviteExpired`, `HostBusy`, `RequesterBusy`.
pub async fn accept(tx: &mut Tx, caller: UserId, id: InviteId) -> Result<Accepted> {
    let (requester, host) = parties(tx, caller, id, Side::Host).await?;
    users::lock(tx, &[requester, host]).await?;
    let invite = locked(tx, id).await?;
    if let (InviteStatus::Accepted, Some(session_id)) = (invite.status, invite.session_id) {
        let session = sessions::load(tx, session_id).await?;
        let conversation = conversations::view(tx, invite.conversation_id, caller).await?;
        return Ok(Accepted { invite, session, conversation });
    }
    if invite.status != InviteStatus::Pending {
        return Err(invite.refusal().into());
    }
    let pair = sessions::Pair { host, guest: requester, conversation_id: invite.conversation_id };
    let session = sessions::start_free(tx, pair).await?;
    let invite = resolve(tx, id, InviteStatus::Accepted, Some(&session)).await?;
    users::answered(tx, host).await?;
    let conversation = conversations::view(tx, invite.conversation_id, caller).await?;
    Ok(Accepted { invite, session, conversation })
}

/// The host says no. Repeating it answers the same.
///
/// # Errors
/// `NotFound`, `Forbidden`, `InviteResolved`, `InviteExpired`.
pub async fn decline(tx: &mut Tx, caller: UserId, id: InviteId) -> Result<Invite> {
    end(tx, caller, id, Side::Host, InviteStatus::Declined).await
}

/// The requester takes the invite back. Repeating it answers the same.
///
/// # Errors
/// `NotFound`, `Forbidden`, `InviteResolved`, `InviteExpired`.
pub async fn cancel(tx: &mut Tx, caller: UserId, id: InviteId) -> Result<Invite> {
    end(tx, caller, id, Side::Requester, InviteStatus::Cancelled).await
}

/// Ends an invite whose time is over, if it still waits. Too early, it says when to come again.
///
/// # Errors
/// The database's.
pub async fn expire(tx: &mut Tx, id: InviteId) -> Result<Option<DateTime<Utc>>> {
    // People before invites, like everybody else: an expiry may change how the host stands.
    let Some(host) = queries::host_of(tx.conn(), id).await? else { return Ok(None) };
    users::lock(tx, &[host]).await?;
    let Some(invite) = queries::lock(tx.conn(), id).await? else { return Ok(None) };
    if invite.status != InviteStatus::Pending {
        return Ok(None);
    }
    if invite.expires_at.0 > tx.now() {
        return Ok(Some(invite.expires_at.0));
    }
    lapse(tx, &invite).await?;
    Ok(None)
}

/// Ends some of what waits for or from somebody who leaves, as if they declined or cancelled it; says how
/// many. Lock the person first.
pub(crate) async fn end_some(tx: &mut Tx, person: UserId, most: i64) -> Result<usize> {
    let waiting = queries::waiting(tx.conn(), person, most).await?;
    for id in &waiting {
        let invite = queries::lock(tx.conn(), *id).await?.ok_or(Error::Internal("an invite vanished"))?;
        if invite.status != InviteStatus::Pending {
            continue;
        }
        let outcome = match invite.clone().at(tx.now()).status {
            InviteStatus::Expired => InviteStatus::Expired,
            _ if invite.target_user_id == person => InviteStatus::Declined,
            _ => InviteStatus::Cancelled,
        };
        resolve(tx, *id, outcome, None).await?;
    }
    Ok(waiting.len())
}

/// Ends an invite that nobody answered. Who left so many unanswered in a row doesn't look. Lock the
/// host first.
pub(super) async fn lapse(tx: &mut Tx, invite: &Invite) -> Result<()> {
    resolve(tx, invite.id, InviteStatus::Expired, None).await?;
    users::left_unanswered(tx, invite.target_user_id, AWAY_AFTER).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Host,
    Requester,
}

/// (requester, host) of an invite, if the caller is the one on `side`.
pub(super) async fn parties(tx: &mut Tx, caller: UserId, id: InviteId, side: Side) -> Result<(UserId, UserId)> {
    let (requester, host) = queries::parties(tx.conn(), id, caller).await?.ok_or(Refusal::NotFound("invite"))?;
    match side {
        Side::Host if caller != host => Err(Refusal::Forbidden("only the host answers an invite").into()),
        Side::Requester if caller != requester => {
            Err(Refusal::Forbidden("only the requester cancels an invite").into())
        }
        _ => Ok((requester, host)),
    }
}

async fn end(tx: &mut Tx, caller: UserId, id: InviteId, side: Side, outcome: InviteStatus) -> Result<Invite> {
    let (_, host) = parties(tx, caller, id, side).await?;
    if side == Side::Host {
        // People before invites, like everybody else: an answer may change how the host stands.
        users::lock(tx, &[host]).await?;
    }
    let invite = locked(tx, id).await?;
    if invite.status == outcome {
        return Ok(invite);
    }
    if invite.status != InviteStatus::Pending {
        return Err(invite.refusal().into());
    }
    let invite = resolve(tx, id, outcome, None).await?;
    if side == Side::Host {
        users::answered(tx, host).await?;
    }
    Ok(invite)
}

/// Gives a pending invite its outcome and tells both sides.
pub(super) async fn resolve(
    tx: &mut Tx,
    id: InviteId,
    outcome: InviteStatus,
    session: Option<&Session>,
) -> Result<Invite> {
    let now = tx.now();
    if !queries::resolve(tx.conn(), id, outcome, session.map(|session| session.id), now).await? {
        return Err(Error::Internal("a locked invite was resolved by somebody else"));
    }
    tx.cancel_jobs(&[JobKey::of(&ExpireInvite { invite_id: id })]).await?;
    let invite = locked(tx, id).await?;
    tell(tx, &invite, session).await?;
    Ok(invite)
}
