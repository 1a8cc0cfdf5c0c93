//! What is stored when everything is at rest: the product's rows, and the provider's objects.

#![expect(dead_code, reason = "what no rule reads is evidence, which Debug prints")]

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    database::rows,
    history::{digest, uuid_of},
};

/// Everything that is stored.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// By the database's clock.
    pub(crate) read_at: DateTime<Utc>,
    pub(crate) users: Vec<User>,
    pub(crate) conversations: Vec<Conversation>,
    pub(crate) messages: Vec<Message>,
    pub(crate) invites: Vec<Invite>,
    pub(crate) requests: Vec<Request>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) channels: Vec<Channel>,
    pub(crate) events: Vec<Event>,
    pub(crate) notifications: Vec<Notification>,
    pub(crate) payments: Vec<Payment>,
    pub(crate) calls: Vec<Call>,
    pub(crate) transactions: Vec<Transaction>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) differences: Vec<Value>,
    pub(crate) proposals: Vec<Proposal>,
    pub(crate) runs: Vec<Run>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) intents: Vec<Intent>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) email: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Conversation {
    pub(crate) id: Uuid,
    pub(crate) r#type: String,
    pub(crate) message_count: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Message {
    pub(crate) conversation_id: Uuid,
    pub(crate) seq: i64,
    pub(crate) sender_id: Option<Uuid>,
    pub(crate) content: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Invite {
    pub(crate) id: Uuid,
    pub(crate) requester_user_id: Uuid,
    pub(crate) target_user_id: Uuid,
    pub(crate) status: String,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) resolved_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: Uuid,
    pub(crate) requester_user_id: Uuid,
    pub(crate) target_user_id: Uuid,
    pub(crate) message: String,
    pub(crate) status: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: Uuid,
    pub(crate) host_user_id: Uuid,
    pub(crate) guest_user_id: Uuid,
    pub(crate) r#type: String,
    pub(crate) status: String,
    pub(crate) start_time: DateTime<Utc>,
    pub(crate) end_time: Option<DateTime<Utc>>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
    pub(crate) hold_expires_at: Option<DateTime<Utc>>,
    pub(crate) owed_minor: Option<i64>,
    pub(crate) payment_status: String,
    pub(crate) version: i32,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Channel {
    pub(crate) channel: String,
    pub(crate) seq: i64,
}

/// An event, with what it is about.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "EventRow")]
pub(crate) struct Event {
    pub(crate) channel: String,
    pub(crate) seq: i64,
    pub(crate) kind: String,
    pub(crate) digest: u64,
    pub(crate) about: About,
}

/// What the checker goes by in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    Message { number: i64 },
    Invite { id: Uuid, event: String },
    Session { id: Uuid, status: String, version: i64 },
    Notification { id: Uuid },
    Other,
}

#[derive(Deserialize)]
struct EventRow {
    channel: String,
    seq: i64,
    r#type: String,
    payload: Value,
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        let payload = &row.payload;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let about = match row.r#type.as_str() {
            "message.created" => payload["messageId"].as_i64().map(|number| About::Message { number }),
            "instant_invite" => {
                uuid_of(&payload["invite"]["id"]).map(|id| About::Invite { id, event: text(&payload["event"]) })
            }
            "session.created" | "session.updated" => {
                let session = &payload["session"];
                let version = session["version"].as_i64().unwrap_or_default();
                uuid_of(&session["id"]).map(|id| About::Session { id, status: text(&session["status"]), version })
            }
            "notification.created" | "announcement" => {
                uuid_of(&payload["notification"]["id"]).map(|id| About::Notification { id })
            }
            _ => None,
        };
        let digest = digest(&row.r#type, payload);
        Self { channel: row.channel, seq: row.seq, kind: row.r#type, digest, about: about.unwrap_or(About::Other) }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Notification {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) key: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Payment {
    pub(crate) id: Uuid,
    pub(crate) session_id: Option<Uuid>,
    pub(crate) status: String,
    pub(crate) amount_minor: i64,
    pub(crate) captured_minor: i64,
    pub(crate) refunded_minor: i64,
    pub(crate) intent_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Call {
    pub(crate) id: Uuid,
    pub(crate) payment_id: Uuid,
    pub(crate) kind: String,
    pub(crate) state: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Transaction {
    pub(crate) id: Uuid,
    pub(crate) payment_id: Uuid,
    pub(crate) kind: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Entry {
    pub(crate) transaction_id: Uuid,
    pub(crate) account: String,
    pub(crate) amount_minor: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) id: Uuid,
    pub(crate) user_id: Uuid,
    pub(crate) deed: Value,
    pub(crate) status: String,
}

impl Proposal {
    /// Whom it is about.
    pub(crate) fn target(&self) -> Option<Uuid> {
        uuid_of(&self.deed["targetUserId"]).or_else(|| uuid_of(&self.deed["hostUserId"]))
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: Uuid,
    pub(crate) status: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) run_at: DateTime<Utc>,
    pub(crate) dedupe_key: Option<String>,
    pub(crate) locked_by: Option<Uuid>,
    /// How often its process died under it.
    pub(crate) rescues: i16,
    pub(crate) last_error: Option<String>,
}

/// A payment intent at the provider, with its money.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) amount: i64,
    pub(crate) held: i64,
    pub(crate) captured: i64,
    pub(crate) captures: i64,
    pub(crate) refunded: i64,
    #[serde(default)]
    pub(crate) metadata: Value,
}

impl Tables {
    /// Reads everything.
    pub(crate) async fn read(conn: &mut PgConnection, provider: &Value) -> Result<Self> {
        Ok(Self {
            read_at: sqlx::query_scalar("select now()").fetch_one(&mut *conn).await?,
            users: rows(conn, "users").await?,
            conversations: rows(conn, "conversations").await?,
            messages: rows(conn, "messages").await?,
            invites: rows(conn, "invites").await?,
            requests: rows(conn, "requests").await?,
            sessions: rows(conn, "sessions").await?,
            channels: rows(conn, "event_channels").await?,
            events: rows(conn, "events").await?,
            notifications: rows(conn, "notifications").await?,
            payments: rows(conn, "payments").await?,
            calls: rows(conn, "payment_calls").await?,
            transactions: rows(conn, "ledger_transactions").await?,
            entries: rows(conn, "ledger_entries").await?,
            differences: rows(conn, "payment_differences").await?,
            proposals: rows(conn, "sam_actions").await?,
            runs: rows(conn, "sam_runs").await?,
            jobs: rows(conn, "jobs").await?,
            intents: serde_json::from_value(provider["intents"].clone())?,
        })
    }
}
