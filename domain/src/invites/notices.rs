//! What invites make people hear later, or by mail: that they were invited, and how it came out.

use serde_json::json;

use super::{Invite, InviteStatus};
use crate::{
    conversations::Conversation,
    error::Result,
    id::UserId,
    notifications::{self, Notice, NotificationKind},
    tx::Tx,
};

/// Tells the host of a new invite, and the requester of its outcome, unless that is their own doing.
pub(super) async fn give(tx: &mut Tx, invite: &Invite, conversation: &Conversation) -> Result<()> {
    let (host, requester) = (invite.target_user_id, invite.requester_user_id);
    let name = |id: UserId| conversation.participant_display_map.get(&id).map(String::as_str).unwrap_or_default();
    let asked = format!("invite:{}", invite.id);
    let outcome = match invite.status {
        InviteStatus::Pending => {
            let title = format!("{} wants to talk with you now", name(requester));
            let body = "Accept or decline the invite before it expires.";
            return give_one(tx, invite, (host, NotificationKind::Invite), asked, (title, body)).await;
        }
        InviteStatus::Accepted => (format!("{} is ready to talk", name(host)), "Your session has begun."),
        InviteStatus::Declined => (format!("{} can't talk now", name(host)), "Your invite was declined."),
        InviteStatus::Expired => (format!("{} did not answer", name(host)), "Your invite has expired."),
        InviteStatus::Cancelled => return notifications::settle(tx, host, &[asked]).await,
    };
    notifications::settle(tx, host, std::slice::from_ref(&asked)).await?;
    let answered = format!("{asked}:answered");
    give_one(tx, invite, (requester, NotificationKind::InviteAnswered), answered, outcome).await
}

async fn give_one(
    tx: &mut Tx,
    invite: &Invite,
    (user_id, kind): (UserId, NotificationKind),
    key: String,
    (title, body): (String, &str),
) -> Result<()> {
    let data = json!({"invite_id": invite.id, "conversation_id": invite.conversation_id});
    let notice = Notice { user_id, kind, key, title, body: body.to_owned(), data };
    notifications::notify(tx, notice).await?;
    Ok(())
}
