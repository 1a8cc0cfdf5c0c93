//! What requests make people hear later, or by mail: that they were asked, and what the answer was.

use serde_json::json;

use super::{Request, RequestStatus};
use crate::{
    error::Result,
    notifications::{self, Notice, NotificationKind},
    tx::Tx,
    users,
};

/// Of what the target is told.
pub(super) fn asked_key(request: &Request) -> String {
    format!("request:{}", request.id)
}

/// Of what the requester is told.
pub(super) fn decided_key(request: &Request) -> String {
    format!("request:{}:decided", request.id)
}

/// Tells the target that somebody asks.
pub(super) async fn asked(tx: &mut Tx, request: &Request) -> Result<()> {
    let name = users::name(tx, request.requester_user_id).await?;
    let notice = Notice {
        user_id: request.target_user_id,
        kind: NotificationKind::Request,
        key: asked_key(request),
        title: format!("{name} asks to talk with you"),
        body: "Read the request, and approve or decline it.".to_owned(),
        data: json!({"request_id": request.id}),
    };
    notifications::notify(tx, notice).await?;
    Ok(())
}

/// Tells the requester of the answer; what told the target to give one is settled.
pub(super) async fn decided(tx: &mut Tx, request: &Request) -> Result<()> {
    notifications::settle(tx, request.target_user_id, &[asked_key(request)]).await?;
    let name = users::name(tx, request.target_user_id).await?;
    let (title, body, data) = match request.conversation_id {
        Some(id) if request.status == RequestStatus::Approved => (
            format!("{name} would like to talk with you"),
            "Your request was approved: there is a conversation now.",
            json!({"request_id": request.id, "conversation_id": id}),
        ),
        _ => (format!("{name} can't talk with you"), "Your request was declined.", json!({"request_id": request.id})),
    };
    let notice = Notice {
        user_id: request.requester_user_id,
        kind: NotificationKind::RequestDecided,
        key: decided_key(request),
        title,
        body: body.to_owned(),
        data,
    };
    notifications::notify(tx, notice).await?;
    Ok(())
}
