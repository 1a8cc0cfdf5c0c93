//! Connecting at once: an invite that the host accepts, declines or lets pass.
//!
//! An invite has exactly one outcome. Whoever moves its row first decides it; reads tell of an
//! expiry before the job has written it.

mod convert;
mod notices;
mod outcomes;
mod queries;

use std::time::Duration;

use chrono::{DateTime, Utc};
use garde::{Valid, Validate};
use humanchat_jobs::invites::ExpireInvite;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

pub use convert::{Conversion, ConversionTarget, Converted, convert};
pub(crate) use outcomes::end_some;
pub use outcomes::{Accepted, accept, cancel, decline, expire};

use outcomes::lapse;

use crate::{
    Store,
    conversations::{self, Conversation},
    error::{Error, Refusal, Result},
    event::{Channel, Event},
    id::{ConversationId, InviteId, RequestId, SessionId, UserId},
    payments::{self, Payment},
    sessions::{self, Session},
    text::{Lookup, Timestamp, text_enum},
    tx::Tx,
    users::{self, ConversationType, DisplayMode},
};

text_enum! {
    /// How an invite stands. All but the first are final.
    InviteStatus {
        /// Waiting for the host.
        Pending,
        /// Taken; there is a session.
        Accepted,
        /// The host said no.
        Declined,
        /// The requester took it back.
        Cancelled,
        /// Nobody answered in time.
        Expired,
    }
}

impl InviteStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// An invite to talk at once, as its two people see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Invite {
    /// Id.
    pub id: InviteId,
    /// The pair's conversation.
    pub conversation_id: ConversationId,
    /// Who asks.
    pub requester_user_id: UserId,
    /// Who is asked.
    pub target_user_id: UserId,
    /// How it stands.
    pub status: InviteStatus,
    /// When it ends by itself.
    pub expires_at: Timestamp,
    /// The server's clock when this was written; stands still once the invite is resolved.
    pub server_now: Timestamp,
    /// When it got its outcome.
    #[schema(required)]
    pub resolved_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    #[serde(skip)]
    session_id: Option<SessionId>,
    #[serde(skip)]
    request_id: Option<RequestId>,
    #[serde(skip)]
    booking_id: Option<SessionId>,
}

impl Invite {
    /// Completes what the row says with what the clock says.
    fn at(mut self, now: DateTime<Utc>) -> Self {
        if self.status == InviteStatus::Pending && self.expires_at.0 <= now {
            self.status = InviteStatus::Expired;
            self.resolved_at = Some(self.expires_at);
        }
        self.server_now = self.resolved_at.unwrap_or(Timestamp(now));
        self
    }

    fn refusal(&self) -> Refusal {
        match self.status {
            InviteStatus::Expired => Refusal::InviteExpired,
            status => Refusal::InviteResolved(status.as_str()),
        }
    }
}

/// Whom to connect with.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Connect {
    /// The host.
    #[garde(skip)]
    #[schema(value_type = UserId)]
    pub target_user_id: Lookup<UserId>,
    /// For paid hosts: how long to hold money for, 5–480; 30 when absent.
    #[garde(inner(range(min = 5, max = 480)))]
    #[schema(minimum = 5, maximum = 480)]
    pub minutes: Option<i64>,
}

/// What connecting led to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "flow", rename_all = "snake_case")]
pub enum Connected {
    /// The host has been asked.
    Invite {
        /// The pair's conversation.
        conversation: Box<Conversation>,
        /// The invite.
        invite: Box<Invite>,
    },
    /// A session of the pair's: the one they are in, or a paid one, `pending` until the guest has paid and the host
    /// begins it.
    Session {
        /// The pair's conversation.
        conversation: Box<Conversation>,
        /// Their session.
        session: Box<Session>,
        /// What the guest pays it with, where it costs something: `POST /api/payments/session` says how.
        #[serde(skip_serializing_if = "Option::is_none")]
        payment: Option<Box<Payment>>,
    },
}

/// Asks a host to talk at once. What the pair has already, a live invite or session, is returned
/// again; the flag says whether something new came to be.
///
/// # Errors
/// `Invalid` for oneself, `NotFound`, `RequestRequired`, `RequesterBusy`, `HostBusy`,
/// `Unavailable` for paid and charity hosts where nothing can be paid.
pub async fn connect(tx: &mut Tx, caller: UserId, connect: &Valid<Connect>) -> Result<(Connected, bool)> {
    let target = connect.target_user_id.get("user")?;
    if target == caller {
        return Err(Refusal::field("targetUserId", "must be somebody else").into());
    }
    users::lock(tx, &[caller, target]).await?;
    let now = tx.now();
    let host = queries::host(tx.conn(), target, now).await?.ok_or(Refusal::NotFound("user"))?;
    let active = sessions::live(tx, [caller, target]).await?;
    if let [(_, one), (_, other)] = active[..]
        && one == other
    {
        return Ok((in_session(tx, caller, one).await?, false));
    }
    if let Some(conversation_id) = conversations::queries::find_pair(tx.conn(), caller, target).await? {
        if let Some(invite) = live(tx, conversation_id).await? {
            let conversation = conversations::view(tx, conversation_id, caller).await?;
            return Ok((Connected::Invite { conversation: Box::new(conversation), invite: Box::new(invite) }, false));
        }
        if let Some(waiting) = sessions::waiting_instant(tx, conversation_id).await? {
            return Ok((in_session(tx, caller, waiting).await?, false));
        }
    }
    host.takes_instant()?;
    if active.iter().any(|(person, _)| *person == caller) {
        return Err(Refusal::RequesterBusy.into());
    }
    if !active.is_empty() {
        return Err(Refusal::HostBusy.into());
    }
    let (conversation_id, _) = conversations::between(tx, caller, target).await?.ok_or(Refusal::NotFound("user"))?;
    if host.is_paid() {
        let pair = sessions::Pair { host: target, guest: caller, conversation_id };
        let answer_within = time_to_answer(tx, host.is_online);
        let session = sessions::ask_instant(tx, pair, connect.minutes, answer_within).await?;
        return Ok((in_session(tx, caller, session).await?, true));
    }
    let invite = invite(tx, conversation_id, caller, target, host.is_online).await?;
    let conversation = conversations::view(tx, conversation_id, caller).await?;
    Ok((Connected::Invite { conversation: Box::new(conversation), invite: Box::new(invite) }, true))
}

/// The invites that wait for the caller, or that the caller waits for, newest first.
///
/// # Errors
/// The database's.
pub async fn pending(store: &Store, caller: UserId) -> Result<Vec<Invite>> {
    let now = store.clock.now();
    let invites = queries::pending(&store.pool, caller, now).await?;
    Ok(invites.into_iter().map(|invite| invite.at(now)).collect())
}

/// What decides whether somebody can be invited.
pub(crate) struct Host {
    conversation_type: ConversationType,
    display_mode: DisplayMode,
    managed: bool,
    confidential_rate: bool,
    is_online: bool,
}

impl Host {
    fn takes_instant(&self) -> Result<(), Refusal> {
        // What a session holds on a card tells the rate.
        let is_open = !self.managed && self.display_mode == DisplayMode::Normal && !self.confidential_rate;
        if is_open { Ok(()) } else { Err(Refusal::RequestRequired) }
    }

    fn is_paid(&self) -> bool {
        self.conversation_type != ConversationType::Free
    }
}

/// A session of the pair's, as what connecting led to.
async fn in_session(tx: &mut Tx, caller: UserId, id: SessionId) -> Result<Connected> {
    let session = Box::new(sessions::load(tx, id).await?);
    let conversation = Box::new(conversations::view(tx, session.conversation_id, caller).await?);
    let payment = payments::of_session(tx, id).await?.map(Box::new);
    Ok(Connected::Session { conversation, session, payment })
}

/// How long a host has to answer.
fn time_to_answer(tx: &Tx, online: bool) -> Duration {
    let settings = tx.store().settings();
    if online { settings.invite_ttl_online } else { settings.invite_ttl_offline }
}

async fn invite(
    tx: &mut Tx,
    conversation_id: ConversationId,
    requester: UserId,
    target: UserId,
    online: bool,
) -> Result<Invite> {
    let now = tx.now();
    let expires_at = now + time_to_answer(tx, online);
    let id = InviteId::new();
    let new = queries::NewInvite { id, conversation_id, requester, target, expires_at };
    queries::insert(tx.conn(), &new, now).await?;
    tx.enqueue_at(&ExpireInvite { invite_id: id }, expires_at)?;
    let invite = locked(tx, id).await?;
    tell(tx, &invite, None).await?;
    Ok(invite)
}

/// A pair's live invite; one whose time is over gets its outcome first.
async fn live(tx: &mut Tx, conversation_id: ConversationId) -> Result<Option<Invite>> {
    let Some(invite) = queries::lock_pending(tx.conn(), conversation_id).await? else { return Ok(None) };
    let invite = invite.at(tx.now());
    if invite.status == InviteStatus::Pending {
        return Ok(Some(invite));
    }
    lapse(tx, &invite).await?;
    Ok(None)
}

/// Every invite of somebody's, on either side, newest first.
pub(crate) async fn all_of(
    conn: &mut PgConnection,
    person: UserId,
    before: Option<InviteId>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Invite>> {
    let invites = queries::all_of(conn, person, before, limit).await?;
    Ok(invites.into_iter().map(|invite| invite.at(now)).collect())
}

async fn locked(tx: &mut Tx, id: InviteId) -> Result<Invite> {
    let now = tx.now();
    let invite = queries::lock(tx.conn(), id).await?.ok_or(Error::Internal("an invite vanished"))?;
    Ok(invite.at(now))
}

async fn tell(tx: &mut Tx, invite: &Invite, session: Option<&Session>) -> Result<()> {
    let conversation = conversations::shared_view(tx, invite.conversation_id, invite.target_user_id).await?;
    notices::give(tx, invite, &conversation).await?;
    for person in [invite.target_user_id, invite.requester_user_id] {
        let (invite, conversation) = (invite.clone(), Some(conversation.clone()));
        let event = Event::InstantInvite { event: invite.status, invite, conversation, session: session.cloned() };
        tx.emit(Channel::Notifications(person), event);
    }
    Ok(())
}
