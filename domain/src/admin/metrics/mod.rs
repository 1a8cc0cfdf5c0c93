//! How the place is doing: numbers of one and the same moment.

mod queries;

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Store,
    error::Result,
    money::Price,
    payments,
    queue::{self, Backlog},
};

/// What revenue is counted in.
const CURRENCY: &str = "usd";

/// People.
#[derive(Debug, Serialize, ToSchema)]
pub struct Totals {
    /// Accounts, suspended ones too; not those that were closed.
    pub users: i64,
    /// Of these, those whom staff answer for.
    pub managed: i64,
    /// Of these, those with `is_online`.
    pub online: i64,
    /// Of these, admins who aren't suspended.
    pub admins: i64,
}

/// Sessions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionCounts {
    /// Those in progress.
    pub active: i64,
    /// Those agreed and not begun.
    pub pending: i64,
    /// Completed ones that ended since midnight UTC.
    pub completed_today: i64,
}

/// What was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestCounts {
    /// Requests between members that wait for an answer.
    pub pending: i64,
    /// People and skills that were asked for, aren't here, and about whom nothing was done yet.
    pub requested_people_pending: i64,
}

/// Money, in major units: what was captured, by the UTC day on which it was, less what was given back on that day, whenever it
/// had been captured. So a day can be below zero. It is all that payers paid, hosts' shares too.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevenueTotals {
    /// Of sessions and donations, since midnight UTC.
    #[schema(value_type = f64, example = 12.5)]
    pub today: Price,
    /// The same, of today and the six days before.
    #[schema(value_type = f64, example = 12.5)]
    pub last7_days: Price,
    /// The same, of today and the 29 days before.
    #[schema(value_type = f64, example = 12.5)]
    pub last30_days: Price,
    /// Of donations alone, of today and the 29 days before.
    #[serde(rename = "donations30d")]
    #[schema(value_type = f64, example = 12.5)]
    pub donations_30d: Price,
    /// What it is counted in; what was paid in others isn't in it.
    #[schema(example = "usd")]
    pub currency: String,
}

/// A UTC day.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Day {
    /// Which.
    #[schema(value_type = String, format = "date")]
    pub date: NaiveDate,
    /// Sessions in progress or complete that began on it.
    pub active_sessions: i64,
    /// What was captured on it, less what was given back on it; in the currency of `revenue`, in major units.
    #[schema(value_type = f64, example = 12.5)]
    pub revenue: Price,
    /// Requests that were sent on it.
    pub requests: i64,
}

/// The jobs of a queue.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueCounts {
    /// Those that are due.
    pub waiting: i64,
    /// Those that a worker is at.
    pub running: i64,
    /// Those that were given up and wait for an operator.
    pub parked: i64,
    /// How many seconds the one that is due the longest has waited; 0 when none is due.
    pub oldest_seconds: f64,
}

impl From<Backlog> for QueueCounts {
    fn from(backlog: Backlog) -> Self {
        let Backlog { waiting, running, parked, oldest_seconds, .. } = backlog;
        Self { waiting, running, parked, oldest_seconds }
    }
}

/// Numbers of one moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct Metrics {
    /// People.
    pub totals: Totals,
    /// Sessions.
    pub sessions: SessionCounts,
    /// What was asked for.
    pub requests: RequestCounts,
    /// Money.
    pub revenue: RevenueTotals,
    /// Jobs by queue.
    pub jobs: BTreeMap<String, QueueCounts>,
    /// A day each, oldest first; the last is today.
    pub sparkline: Vec<Day>,
}

/// How things stand, with a sparkline of so many days.
///
/// # Errors
/// The database's.
pub async fn metrics(store: &Store, days: u32) -> Result<Metrics> {
    let now = store.clock.now();
    let today = now.date_naive();
    let ago = |days: u32| today.checked_sub_days(Days::new(days.into())).unwrap_or(today);
    let mut snapshot = store.snapshot().await?;
    let totals = queries::totals(&mut snapshot, now).await?;
    let sessions = queries::sessions(&mut snapshot, today).await?;
    let requests = queries::requests(&mut snapshot).await?;
    let first = ago(days.saturating_sub(1));
    let began = queries::sessions_by_day(&mut snapshot, first).await?;
    let asked = queries::requests_by_day(&mut snapshot, first).await?;
    let jobs = queue::backlogs_at(&mut *snapshot, now).await?;
    let came_in = payments::takings(&mut snapshot, CURRENCY, ago(days.max(30) - 1)).await?;
    let price = |minor| Price::from_minor(minor, CURRENCY);
    let since = |amounts: &BTreeMap<_, i64>, day| price(amounts.range(day..).map(|(_, minor)| minor).sum());
    let day = |date: NaiveDate| Day {
        date,
        active_sessions: began.get(&date).copied().unwrap_or_default(),
        revenue: price(came_in.by_day.get(&date).copied().unwrap_or_default()),
        requests: asked.get(&date).copied().unwrap_or_default(),
    };
    Ok(Metrics {
        totals,
        sessions,
        requests,
        revenue: RevenueTotals {
            today: since(&came_in.by_day, today),
            last7_days: since(&came_in.by_day, ago(6)),
            last30_days: since(&came_in.by_day, ago(29)),
            donations_30d: since(&came_in.gifts_by_day, ago(29)),
            currency: CURRENCY.to_owned(),
        },
        jobs: jobs.into_iter().map(|backlog| (backlog.queue.clone(), backlog.into())).collect(),
        sparkline: (0..days).rev().map(|days| day(ago(days))).collect(),
    })
}
