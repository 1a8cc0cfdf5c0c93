//! When hosts can be booked: their rules, and the slots that follow from them.

mod queries;
mod rules;
mod slots;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use garde::Valid;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub use rules::{DateOverride, DayMinute, Rules, Weekly};
pub use slots::{Missing, Span};

use crate::{
    Store,
    error::{Refusal, Result},
    id::{SessionId, UserId},
    text::{Timestamp, moment},
    tx::Tx,
};
use slots::Wish;

/// The longest span slots are listed for.
const LONGEST: TimeDelta = TimeDelta::days(62);
/// What is shown where no end is named.
const WEEK: TimeDelta = TimeDelta::days(7);

/// Which slots to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SlotQuery {
    /// From then on: RFC 3339, or a date in `timezone`. Now when absent.
    pub from: Option<String>,
    /// Until then, at most 62 days later: RFC 3339, or a date in `timezone`, which is included. Seven days after `from` when
    /// absent.
    pub to: Option<String>,
    /// How long a slot has to be, 5–480; the host's `slotMinutes` when absent.
    #[param(minimum = 5, maximum = 480)]
    pub duration_minutes: Option<i64>,
    /// IANA zone of the dates; the host's when absent.
    #[param(example = "Europe/Berlin")]
    pub timezone: Option<String>,
    /// `true`: say why times of the rules are not offered. For the host and staff.
    pub explain: Option<bool>,
}

/// A time that can be booked.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Slot {
    /// When it begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
}

/// A time of the rules that can't be booked.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MissingSlot {
    /// When it would begin.
    pub start: Timestamp,
    /// Why it isn't offered.
    pub reason: Missing,
}

/// A host's slots.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Availability {
    /// The host.
    pub user_id: UserId,
    /// The zone that was asked for, or the host's.
    pub timezone: String,
    /// What can be booked, in order.
    pub slots: Vec<Slot>,
    /// What can't, where an explanation was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<MissingSlot>>,
}

/// A host's slots, as `viewer` can book them. Free or busy is all that anybody learns.
///
/// # Errors
/// `NotFound`; `Invalid` by parameter.
pub async fn find(store: &Store, viewer: UserId, host: UserId, query: &SlotQuery) -> Result<Availability> {
    let mut connection = store.pool.acquire().await?;
    let found = queries::host(&mut connection, host).await?.ok_or(Refusal::NotFound("user"))?;
    let rules = found.rules.map_or_else(|| Rules::none(found.timezone), |rules| rules.0);
    let now = store.clock.now();
    let zone = query.zone()?.unwrap_or_else(|| rules.zone());
    let within = query.span(zone, now)?;
    let duration = query.duration(&rules)?;
    let sight = queries::Sight { viewer, except: None, now };
    let agenda = queries::agenda(&mut connection, host, within.widened(), &sight).await?;
    connection.give_back();
    let (mut offered, mut missing) = (Vec::new(), Vec::new());
    for (start, reason) in slots::slots(&rules, &Wish { within, duration, now }, &agenda) {
        match reason {
            None => offered.push(Slot { start: Timestamp(start), end: Timestamp(start + duration) }),
            Some(reason) => missing.push(MissingSlot { start: Timestamp(start), reason }),
        }
    }
    let missing = query.explain.unwrap_or_default().then_some(missing);
    Ok(Availability { user_id: host, timezone: zone.name().to_owned(), slots: offered, missing })
}

/// The caller's rules; without windows where they never gave any.
///
/// # Errors
/// The database's.
pub async fn rules(store: &Store, caller: UserId) -> Result<Rules> {
    let mut connection = store.pool.acquire().await?;
    let found = queries::host(&mut connection, caller).await?.ok_or(Refusal::NotFound("user"))?;
    connection.give_back();
    Ok(found.rules.map_or_else(|| Rules::none(found.timezone), |rules| rules.0))
}

/// Replaces the caller's rules. What is booked stays booked.
///
/// # Errors
/// The database's.
pub async fn set_rules(tx: &mut Tx, caller: UserId, rules: Valid<Rules>) -> Result<Rules> {
    let (rules, now) = (rules.into_inner(), tx.now());
    queries::save(tx.conn(), caller, &rules, now).await?;
    Ok(rules)
}

/// The buffer behind a slot, if a host offers `guest` just this one; as though one of their sessions were not.
/// Lock the host first.
pub(crate) async fn offered(
    tx: &mut Tx,
    host: UserId,
    guest: UserId,
    slot: Span,
    except: Option<SessionId>,
) -> Result<Option<TimeDelta>> {
    let now = tx.now();
    let Some(rules) = queries::host(tx.conn(), host).await?.and_then(|host| host.rules) else { return Ok(None) };
    let sight = queries::Sight { viewer: guest, except, now };
    let agenda = queries::agenda(tx.conn(), host, slot.widened(), &sight).await?;
    let wish = Wish { within: slot, duration: slot.end - slot.start, now };
    let is_offered = slots::slots(&rules, &wish, &agenda).contains(&(slot.start, None));
    Ok(is_offered.then(|| TimeDelta::minutes(rules.buffer_minutes.into())))
}

impl Span {
    /// With so much more behind it.
    pub(crate) fn stretched(self, by: TimeDelta) -> Self {
        Self { end: self.end + by, ..self }
    }

    /// With more than a day before and after: all of the local dates it touches, even those of 25 hours, and every buffer.
    fn widened(self) -> Self {
        let day = TimeDelta::hours(26);
        Self { start: self.start - day, end: self.end + day }
    }
}

impl SlotQuery {
    fn zone(&self) -> Result<Option<Tz>, Refusal> {
        let parse = |name: &String| {
            name.parse().map_err(|_| Refusal::field("timezone", "must be an IANA time zone such as Europe/Berlin"))
        };
        self.timezone.as_ref().map(parse).transpose()
    }

    fn duration(&self, rules: &Rules) -> Result<TimeDelta, Refusal> {
        match self.duration_minutes {
            None => Ok(TimeDelta::minutes(rules.slot_minutes.into())),
            Some(minutes) if (5..=480).contains(&minutes) => Ok(TimeDelta::minutes(minutes)),
            Some(_) => Err(Refusal::field("durationMinutes", "must be 5 to 480")),
        }
    }

    fn span(&self, zone: Tz, now: DateTime<Utc>) -> Result<Span, Refusal> {
        let start = self.from.as_ref().map_or(Ok(now), |text| time(text, zone, Edge::First, "from"))?;
        let end = self.to.as_ref().map_or(Ok(start + WEEK), |text| time(text, zone, Edge::Last, "to"))?;
        if end <= start {
            return Err(Refusal::field("to", "must be after from"));
        }
        // Where the clocks go back, so many dates take an hour more.
        let local = |time: DateTime<Utc>| time.with_timezone(&zone).naive_local();
        if (end - start).min(local(end) - local(start)) > LONGEST {
            return Err(Refusal::field("to", "must be at most 62 days after from"));
        }
        Ok(Span { start, end })
    }
}

/// Which end of a date is meant.
#[derive(Clone, Copy)]
enum Edge {
    First,
    Last,
}

fn time(text: &str, zone: Tz, edge: Edge, field: &str) -> Result<DateTime<Utc>, Refusal> {
    let wrong = || Refusal::field(field, "must be a time like 2026-11-22T18:00:00Z or a date like 2026-11-22");
    let Ok(date) = text.parse::<NaiveDate>() else { return moment(text).ok_or_else(wrong) };
    let date = match edge {
        Edge::First => Some(date),
        Edge::Last => date.succ_opt(),
    };
    let begins = date.and_then(|date| day_begins(zone, date)).ok_or_else(wrong)?;
    moment(&begins.to_rfc3339()).ok_or_else(wrong)
}

/// The first moment of a local date: midnight, or when the clocks that skipped it go on.
fn day_begins(zone: Tz, date: NaiveDate) -> Option<DateTime<Utc>> {
    let midnight = date.and_time(NaiveTime::MIN);
    (0..=24 * 4).find_map(|quarters| {
        let local = midnight + TimeDelta::minutes(15 * quarters);
        zone.from_local_datetime(&local).earliest().map(|time| time.to_utc())
    })
}
