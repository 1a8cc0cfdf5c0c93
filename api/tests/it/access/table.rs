//! Who may do what: a row for each operation, and for what differs within one.

use crate::things::Thing::{self, *};

/// An operation, on something, as different people ask for it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// As in `openapi.yaml`: method and path.
    pub operation: &'static str,
    pub on: Thing,
    /// A JSON body, or what stands behind the path; `$id` is the thing's id.
    pub with: &'static str,
    /// What each of [`super::ROLES`] is answered.
    pub answers: [u16; 6],
}

const fn row(operation: &'static str, on: Thing, with: &'static str, answers: [u16; 6]) -> Row {
    Row { operation, on, with, answers }
}

/// Whoever asks is answered the same.
const fn anybody(operation: &'static str, on: Thing, with: &'static str, status: u16) -> Row {
    row(operation, on, with, [status; 6])
}

/// For everybody who is signed in.
const fn members(operation: &'static str, on: Thing, with: &'static str, status: u16) -> Row {
    row(operation, on, with, [401, status, status, status, status, status])
}

/// For managers and admins.
const fn staff(operation: &'static str, on: Thing, with: &'static str, status: u16) -> Row {
    row(operation, on, with, [401, 403, 403, 403, status, status])
}

/// Asks for a socket instead of a page.
pub const UPGRADE: &str = "upgrade";

/// In each row: nobody, another user, the guest (who asked, and takes part), the host (who was asked, and takes part),
/// a manager, an admin.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    anybody("post /api/auth/register", Nothing, r#"{"name": "Casey", "email": "$new@example.com", "password": "correct horse battery"}"#, 201),
    anybody("post /api/auth/login", Account, r#"{"email": "$email", "password": "$password"}"#, 200),
    anybody("post /api/auth/magic-link", Nothing, r#"{"email": "$new@example.com"}"#, 202),
    anybody("post /api/auth/magic-link/verify", Link, r#"{"token": "$token"}"#, 200),
    anybody("post /api/auth/refresh", Account, r#"{"refreshToken": "$token"}"#, 200),
    members("post /api/auth/logout", Nothing, "{}", 204),
    members("get /api/auth/me", Nothing, "", 200),
    members("post /api/ws/ticket", Nothing, "{}", 201),

    members("get /api/users", Nothing, "?q=person", 200),
    members("get /api/users/{id}", Host, "", 200),
    members("patch /api/users/me", Nothing, r#"{"headline": "Bees"}"#, 200),
    members("put /api/users/me/presence", Nothing, r#"{"state": "active"}"#, 200),
    members("get /api/users/me/export", Nothing, "", 200),
    members("delete /api/users/me", Nothing, "", 204),

    members("get /api/conversations", Nothing, "", 200),
    members("post /api/conversations", Somebody, r#"{"participantId": "$id"}"#, 201),
    row("get /api/conversations/{id}", Conversation, "", [401, 404, 200, 200, 404, 404]),
    row("get /api/conversations/{id}/messages", Conversation, "", [401, 404, 200, 200, 404, 404]),
    row("post /api/conversations/{id}/messages", Conversation, r#"{"content": "Hi", "type": "user_text"}"#, [401, 404, 201, 201, 404, 404]),
    row("post /api/conversations/{id}/read", Conversation, r#"{"messageId": 1}"#, [401, 404, 200, 200, 404, 404]),

    members("post /api/conversations/connect", Somebody, r#"{"targetUserId": "$id"}"#, 201),
    members("get /api/conversations/invites/pending", Invite, "", 200),
    row("post /api/conversations/invites/{id}/accept", Invite, "{}", [401, 404, 403, 200, 404, 404]),
    row("post /api/conversations/invites/{id}/decline", Invite, "{}", [401, 404, 403, 200, 404, 404]),
    row("post /api/conversations/invites/{id}/cancel", Invite, "{}", [401, 404, 200, 403, 404, 404]),
    row("post /api/conversations/invites/{id}/convert", Invite, r#"{"to": "request"}"#, [401, 404, 201, 403, 404, 404]),

    members("get /api/requests", Request, "", 200),
    members("post /api/requests", Somebody, r#"{"targetUserId": "$id", "message": "Hello"}"#, 201),
    row("patch /api/requests/{id}/status", Request, r#"{"status": "approved"}"#, [401, 404, 403, 200, 404, 200]),

    members("get /api/availability", Nothing, "", 200),
    members("put /api/availability", Nothing, r#"{"timezone": "UTC", "weekly": []}"#, 200),
    members("get /api/availability/{userId}", Host, "", 200),
    row("get /api/availability/{userId}", Host, "?explain=true", [401, 403, 403, 200, 200, 200]),

    members("get /api/sessions", Booking, "", 200),
    members("post /api/sessions", Somebody, r#"{"hostUserId": "$id", "startTime": "$slot", "durationMinutes": 30, "price": 0}"#, 201),
    // The host offers no time: only the guest comes as far as that.
    row("post /api/sessions", Conversation, r#"{"hostUserId": "$host", "startTime": "$slot", "durationMinutes": 30, "price": 0, "conversationId": "$id"}"#, [401, 422, 409, 422, 422, 422]),
    row("get /api/sessions/{id}", Booking, "", [401, 404, 200, 200, 404, 404]),
    row("get /api/sessions/{id}/calendar.ics", Booking, "", [401, 404, 200, 200, 404, 404]),
    row("patch /api/sessions/{id}", Booking, r#"{"status": "in_progress"}"#, [401, 404, 403, 200, 404, 404]),
    row("patch /api/sessions/{id}", Talk, r#"{"status": "complete"}"#, [401, 404, 403, 200, 404, 404]),
    row("patch /api/sessions/{id}", Booking, r#"{"status": "cancelled"}"#, [401, 404, 200, 200, 404, 404]),
    row("patch /api/sessions/{id}", Booking, r#"{"startTime": "$slot"}"#, [401, 404, 200, 200, 404, 404]),

    members("post /api/sam", Nothing, r#"{"message": "Hello"}"#, 202),
    row("get /api/sam/runs/{id}", Question, "", [401, 404, 200, 404, 404, 404]),
    row("post /api/sam/actions", Proposal, r#"{"actionId": "$id"}"#, [401, 404, 200, 404, 404, 404]),

    members("post /api/payments/donation", Somebody, r#"{"amount": 500, "recipientUserId": "$id"}"#, 201),
    row("post /api/payments/donation", Talk, r#"{"amount": 500, "sessionId": "$id"}"#, [401, 404, 201, 201, 404, 404]),
    row("post /api/payments/session", Unpaid, r#"{"sessionId": "$id", "action": "create"}"#, [401, 404, 201, 403, 404, 404]),
    row("post /api/payments/session", Talked, r#"{"sessionId": "$id", "action": "capture"}"#, [401, 404, 403, 202, 404, 404]),
    row("post /api/payments/session", Authorised, r#"{"sessionId": "$id", "action": "cancel"}"#, [401, 404, 403, 202, 404, 404]),
    row("post /api/payments/{id}/refund", Gift, "{}", [401, 404, 403, 202, 404, 202]),
    row("get /api/payments/{id}", Gift, "", [401, 404, 200, 200, 200, 200]),
    row("get /api/payments/{id}/receipt", Gift, "", [401, 404, 200, 200, 200, 200]),
    members("get /api/payments/account", Nothing, "", 200),
    members("post /api/payments/account", Nothing, "{}", 200),
    members("get /api/payments/donation/total", Gift, "", 200),
    anybody("post /api/payments/webhook", Nothing, r#"{"id": "evt_1", "type": "charge.captured"}"#, 400),

    members("get /api/notifications", Request, "", 200),
    members("post /api/notifications/read", Request, r#"{"all": true}"#, 200),
    members("get /api/notifications/preferences", Nothing, "", 200),
    members("put /api/notifications/preferences", Nothing, r#"{"digest": "off"}"#, 200),

    staff("get /api/admin/metrics", Nothing, "", 200),
    staff("get /api/admin/audit", Nothing, "", 200),
    staff("get /api/admin/users", Nothing, "", 200),
    staff("patch /api/admin/users/{id}", Somebody, r#"{"managed": true}"#, 200),
    staff("patch /api/admin/users/{id}", Somebody, r#"{"suspended": true}"#, 200),
    row("patch /api/admin/users/{id}", Somebody, r#"{"role": "manager"}"#, [401, 403, 403, 403, 403, 200]),
    row("patch /api/admin/users/{id}", Colleague, r#"{"suspended": true}"#, [401, 403, 403, 403, 403, 200]),
    staff("get /api/admin/requests", Nothing, "", 200),
    staff("patch /api/admin/requested-people/{id}", Missed, r#"{"status": "contacted"}"#, 200),
    staff("get /api/admin/sessions", Booking, "", 200),
    staff("get /api/admin/payments", Nothing, "", 200),
    staff("get /api/admin/payments/differences", Nothing, "", 200),
    staff("get /api/admin/jobs", Nothing, "", 200),
    staff("get /api/admin/jobs/{id}", Job, "", 200),
    staff("post /api/admin/jobs/{id}/retry", CancelledJob, "{}", 200),
    staff("post /api/admin/jobs/{id}/cancel", Job, "{}", 200),
    staff("get /api/admin/queues", Nothing, "", 200),
    staff("post /api/admin/queues/{name}/pause", Queue, "{}", 200),
    staff("post /api/admin/queues/{name}/resume", Queue, "{}", 200),
    staff("get /api/admin/announcements", Nothing, "", 200),
    staff("post /api/admin/announcements", Nothing, r#"{"title": "Hello", "body": "Everybody.", "startsAt": "2100-01-01T09:00:00Z"}"#, 202),

    anybody("get /", Nothing, "", 200),
    members("get /", Nothing, UPGRADE, 101),
    members("get /ws", Nothing, UPGRADE, 101),
    row("get /notifications/{userId}", Host, UPGRADE, [401, 404, 404, 101, 404, 404]),
    anybody("get /health/live", Nothing, "", 200),
    anybody("get /health/ready", Nothing, "", 200),
    anybody("get /metrics", Nothing, "", 200),
];
