//! Deeds that were proposed: confirmed or declined, once, by the one they were proposed to.
//!
//! Confirming does what the deed's own route would do, as that user, with everything checked anew. A
//! deed whose terms changed since it was proposed doesn't happen.

use chrono::TimeDelta;
use garde::{Unvalidated, Valid, Validate};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    actions::{Deed, Proposal},
    queries,
};
use crate::{
    conversations::Message,
    error::{Error, Refusal, Result},
    id::{ActionId, RunId, UserId},
    invites::{self, Connect},
    money::Price,
    requests::{self, NewRequest},
    sessions::{self, Booking},
    text::{Lookup, Moment, Timestamp, text_enum},
    tx::Tx,
    users::{self, ProfileChange},
};

/// How long a proposal waits.
const LASTS: TimeDelta = TimeDelta::minutes(10);

text_enum! {
    /// What can be said to a proposal.
    Verdict {
        /// Do it.
        Confirm,
        /// Don't.
        Decline,
    }
    /// How a proposal stands. The last two are final.
    ActionStatus {
        /// It waits.
        Proposed,
        /// It was done.
        Confirmed,
        /// It won't be done.
        Declined,
    }
}

impl ActionStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Confirmed => "confirmed",
            Self::Declined => "declined",
        }
    }
}

impl From<Verdict> for ActionStatus {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Confirm => Self::Confirmed,
            Verdict::Decline => Self::Declined,
        }
    }
}

/// A word on a proposal.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActionDecision {
    /// The proposal's `actionId`.
    #[garde(skip)]
    #[schema(value_type = ActionId)]
    pub action_id: Lookup<ActionId>,
    /// `confirm` when absent.
    #[garde(skip)]
    pub decision: Option<Verdict>,
}

/// A proposal that was decided.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecidedAction {
    /// As it was proposed.
    #[serde(flatten)]
    pub proposal: Proposal,
    /// What was decided.
    pub status: ActionStatus,
}

/// A decision, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DecidedProposal)]
pub struct Decided {
    /// The proposal.
    pub action: DecidedAction,
    /// What the deed's own route would have answered; null where it was declined, or the other one has left since.
    #[schema(value_type = Option<Object>, required)]
    pub result: Option<Value>,
}

/// Confirms or declines a proposal of the caller's. The same word again answers the same.
///
/// # Errors
/// `NotFound`, `ActionResolved`, `ActionExpired`, `ActionStale`, and those of the deed's own operation.
pub async fn decide(tx: &mut Tx, caller: UserId, decision: &Valid<ActionDecision>) -> Result<Decided> {
    let id = decision.action_id.get("action")?;
    let verdict = decision.decision.unwrap_or(Verdict::Confirm);
    let stored = queries::lock_action(tx.conn(), id, caller).await?.ok_or(Refusal::NotFound("action"))?;
    let (deed, now) = (stored.deed.0, tx.now());
    let result = match (stored.status, verdict) {
        (ActionStatus::Proposed, _) if stored.expires_at <= now => return Err(Refusal::ActionExpired.into()),
        (ActionStatus::Proposed, Verdict::Confirm) => {
            check_terms(tx, caller, &deed, &stored.terms).await?;
            Some(perform(tx, caller, &deed).await?)
        }
        (ActionStatus::Proposed, Verdict::Decline) => None,
        (status, verdict) if status == verdict.into() => stored.result.map(|json| json.0),
        (status, _) => return Err(Refusal::ActionResolved(status.as_str()).into()),
    };
    if stored.status == ActionStatus::Proposed {
        if !queries::decide_action(tx.conn(), id, verdict.into(), result.as_ref(), now).await? {
            return Err(Error::Internal("a locked action was decided by somebody else"));
        }
        if deed.slot().is_some() {
            sessions::give_back(tx, id).await?;
        }
    }
    let proposal = Proposal { deed, action_id: id, expires_at: Timestamp(stored.expires_at) };
    Ok(Decided { action: DecidedAction { proposal, status: verdict.into() }, result })
}

/// Takes a message to Sam as a word on the one proposal it names.
pub(crate) async fn decide_in_chat(tx: &mut Tx, caller: UserId, message: &Message) -> Result<()> {
    let wrong = || Refusal::field("actions", "must be one object with an actionId and, if it is no yes, a decision");
    let [action] = &message.actions[..] else { return Err(wrong().into()) };
    let decision: ActionDecision = serde_json::from_value(action.clone()).map_err(|_| wrong())?;
    let decision = Unvalidated::new(decision).validate().map_err(|_| wrong())?;
    decide(tx, caller, &decision).await.map(drop)
}

/// Makes a deed a proposal, for a while; `None` where it can't be done. A time that it is about is kept
/// meanwhile.
pub(super) async fn propose(tx: &mut Tx, run_id: RunId, user: UserId, deed: Deed) -> Result<Option<Proposal>> {
    let offer = match deed.slot() {
        None => None,
        Some((host, slot)) => match sessions::offer(tx, user, host, slot).await? {
            None => return Ok(None),
            offer => offer,
        },
    };
    let Some(terms) = terms(tx, user, &deed).await? else { return Ok(None) };
    let (id, now) = (ActionId::new(), tx.now());
    let expires_at = now + LASTS;
    queries::insert_action(tx.conn(), (id, run_id, user), (&deed, &terms), (now, expires_at)).await?;
    if let Some(offer) = offer {
        sessions::keep(tx, id, &offer, expires_at).await?;
    }
    Ok(Some(Proposal { deed, action_id: id, expires_at: Timestamp(expires_at) }))
}

/// The facts under which a deed is proposed; `None` where it can't be.
async fn terms(tx: &mut Tx, user_id: UserId, deed: &Deed) -> Result<Option<Map<String, Value>>> {
    if let Deed::UpdateProfile { fields } = deed {
        let now = serde_json::to_value(users::own(tx, user_id).await?)?;
        return Ok(Some(fields.keys().map(|field| (field.clone(), now[field].clone())).collect()));
    }
    let Some(person) = deed.person() else { return Ok(Some(Map::new())) };
    let Some(user) = users::seen(tx, person).await? else { return Ok(None) };
    let terms = match deed {
        Deed::OfferCall { .. } => json!({
            "conversation_type": user.conversation_type,
            "rate_per_minute": user.instant_rate_per_minute,
            "currency": user.currency,
            "display_mode": user.display_mode,
            "managed": user.managed,
        }),
        Deed::CreateSession { .. } => json!({
            "conversation_type": user.conversation_type,
            "cancellation_policy": user.cancellation_policy,
        }),
        Deed::SendRequest { .. } | Deed::UpdateProfile { .. } => json!({}),
    };
    match terms {
        Value::Object(terms) => Ok(Some(terms)),
        _ => Err(Error::Internal("terms are not an object")),
    }
}

/// # Errors
/// `ActionStale` with each fact that changed.
async fn check_terms(tx: &mut Tx, user_id: UserId, deed: &Deed, proposed: &Map<String, Value>) -> Result<()> {
    let now = terms(tx, user_id, deed).await?.ok_or(Refusal::NotFound("user"))?;
    let differs = |(fact, now): (&String, Value)| {
        let before = proposed.get(fact).cloned().unwrap_or_default();
        (before != now).then(|| (fact.clone(), json!({"proposed": before, "now": now})))
    };
    let changes: Map<_, _> = now.iter().filter_map(|(fact, value)| differs((fact, value.clone()))).collect();
    if changes.is_empty() { Ok(()) } else { Err(Refusal::ActionStale(changes).into()) }
}

/// Does what the deed's own route would do, and answers what it would.
async fn perform(tx: &mut Tx, caller: UserId, deed: &Deed) -> Result<Value> {
    match deed {
        Deed::OfferCall { target_user_id, .. } => {
            let connect = valid(Connect { target_user_id: (*target_user_id).into(), minutes: None })?;
            let (connected, _) = invites::connect(tx, caller, &connect).await?;
            Ok(serde_json::to_value(connected)?)
        }
        Deed::SendRequest { target_user_id, message } => {
            let new = NewRequest {
                target_user_id: (*target_user_id).into(),
                message: message.clone(),
                preferred_time: None,
                budget_range: None,
            };
            let (request, _) = requests::ask(tx, caller, valid(new)?).await?;
            Ok(json!({"request": request}))
        }
        Deed::UpdateProfile { fields } => {
            let change: ProfileChange = serde_json::from_value(fields.clone().into())?;
            let user = users::change_profile(tx, caller, valid(change)?).await?;
            Ok(json!({"user": user}))
        }
        Deed::CreateSession { host_user_id, start_time, duration_minutes, price, currency } => {
            let booking = Booking {
                host_user_id: (*host_user_id).into(),
                start_time: Moment(start_time.0),
                duration_minutes: *duration_minutes,
                price: *price,
                conversation_id: None,
            };
            let booked = sessions::book(tx, caller, &valid(booking)?).await;
            let booked = booked.map_err(|error| as_staleness(error, *start_time, *price, currency))?;
            Ok(serde_json::to_value(booked)?)
        }
    }
}

/// A price and a slot are facts that were proposed.
fn as_staleness(error: Error, start: Timestamp, price: Price, currency: &str) -> Error {
    let changes = match error {
        Error::Refused(Refusal::PriceChanged { price_minor, currency: now }) => vec![
            ("price", json!({"proposed": price, "now": Price::from_minor(price_minor, &now)})),
            ("currency", json!({"proposed": currency, "now": now})),
        ],
        Error::Refused(Refusal::SlotUnavailable(_)) => vec![("start_time", json!({"proposed": start, "now": null}))],
        other => return other,
    };
    let differing = changes.into_iter().filter(|(_, change)| change["proposed"] != change["now"]);
    Refusal::ActionStale(differing.map(|(fact, change)| (fact.to_owned(), change)).collect()).into()
}

fn valid<T: Validate<Context = ()>>(body: T) -> Result<Valid<T>> {
    Unvalidated::new(body).validate().map_err(|_| Error::Internal("a proposal is not valid"))
}
