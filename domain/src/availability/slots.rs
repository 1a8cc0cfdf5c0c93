//! Which slots a host offers: the one computation that the api, booking and mail go by.
//!
//! An instant is *open* when the wall clocks of the rules' zone show a time inside a window of
//! their date. A slot begins where the wall clock is a whole number of `slot_minutes` past a
//! window's opening, lasts for its duration in real minutes, and is open throughout.
//!
//! On the night clocks go forward, wall times that don't exist have no slots, and the time before
//! and after the gap is one: a slot may reach over it. On the night they go back, wall times that
//! come twice have a slot each time.

use std::{
    collections::{HashMap, HashSet},
    ops::Bound,
};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use sqlx::postgres::types::PgRange;

use super::rules::{DayMinute, Rules};
use crate::text::text_enum;

/// A stretch of time, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// From then on.
    pub start: DateTime<Utc>,
    /// Until before then.
    pub end: DateTime<Utc>,
}

impl Span {
    /// What Postgres calls a range; `None` for one without ends.
    pub(crate) fn of_range(range: PgRange<DateTime<Utc>>) -> Option<Self> {
        match (range.start, range.end) {
            (Bound::Included(start), Bound::Excluded(end)) => Some(Self { start, end }),
            _ => None,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    /// Slots lie wholly in it.
    pub within: Span,
    pub duration: TimeDelta,
    pub now: DateTime<Utc>,
}

/// What the host has agreed to.
#[derive(Debug, Clone, Default)]
pub(super) struct Agenda {
    /// When they are taken, with the buffers behind bookings; apart from each other.
    pub busy: Vec<Span>,
    /// When bookings begin or began: they count against the daily cap.
    pub bookings: Vec<DateTime<Utc>>,
}

text_enum! {
    /// Why a slot that the windows have is not offered.
    Missing {
        /// It is over, or closer than the minimum notice.
        TooSoon,
        /// It is past the horizon.
        TooFar,
        /// The window closes before it ends.
        TooShort,
        /// A session, with the buffer between the two, is there, or somebody is offered the time.
        Busy,
        /// The date has as many bookings as it may.
        DailyCap,
    }
}

/// Every slot the windows have, in order, with the reason if it isn't offered.
pub(super) fn slots(rules: &Rules, wish: &Wish, agenda: &Agenda) -> Vec<(DateTime<Utc>, Option<Missing>)> {
    let zone = rules.zone();
    let windows = Windows::of(rules);
    let (starts, open) = windows.open(zone, wish.within, TimeDelta::minutes(rules.slot_minutes.into()));
    let buffer = TimeDelta::minutes(rules.buffer_minutes.into());
    let earliest = wish.now + TimeDelta::minutes(rules.minimum_notice_minutes.into());
    let latest = wish.now + TimeDelta::days(rules.horizon_days.into());
    let full = full_dates(zone, rules.daily_cap, &agenda.bookings);
    let mut busy = agenda.busy.clone();
    busy.sort_unstable();

    let (mut open, mut busy) = (open.iter().peekable(), busy.iter().peekable());
    starts
        .into_iter()
        .filter(|start| *start >= wish.within.start && *start + wish.duration <= wish.within.end)
        .map(|start| {
            let end = start + wish.duration;
            while open.next_if(|span| span.end <= start).is_some() {}
            while busy.next_if(|span| span.end <= start).is_some() {}
            let missing = if start < earliest {
                Some(Missing::TooSoon)
            } else if start > latest {
                Some(Missing::TooFar)
            } else if open.peek().is_none_or(|span| span.end < end) {
                Some(Missing::TooShort)
            } else if busy.peek().is_some_and(|span| span.start < end + buffer) {
                Some(Missing::Busy)
            } else if full.contains(&local_date(zone, start)) {
                Some(Missing::DailyCap)
            } else {
                None
            };
            (start, missing)
        })
        .collect()
}

/// Each date's windows, by opening.
struct Windows {
    weekly: [Vec<(DayMinute, DayMinute)>; 7],
    dates: HashMap<NaiveDate, Vec<(DayMinute, DayMinute)>>,
}

impl Windows {
    fn of(rules: &Rules) -> Self {
        let mut weekly: [Vec<_>; 7] = Default::default();
        for window in &rules.weekly {
            if let Some(day) = weekly.get_mut(usize::from(window.weekday)) {
                day.push((window.start, window.end));
            }
        }
        let mut dates: HashMap<_, Vec<_>> = HashMap::new();
        for exception in &rules.overrides {
            dates.entry(exception.date).or_default().extend(exception.window());
        }
        weekly.iter_mut().chain(dates.values_mut()).for_each(|windows| windows.sort_unstable());
        Self { weekly, dates }
    }

    fn on(&self, date: NaiveDate) -> &[(DayMinute, DayMinute)] {
        let weekday = date.weekday().num_days_from_sunday() as usize;
        self.dates.get(&date).unwrap_or(&self.weekly[weekday])
    }

    /// Where slots may begin, and the open time, both in order.
    fn open(&self, zone: Tz, within: Span, step: TimeDelta) -> (Vec<DateTime<Utc>>, Vec<Span>) {
        let (mut starts, mut open) = (Vec::new(), Vec::<Span>::new());
        for (span, offset) in offsets(zone, within) {
            let utc = |local: NaiveDateTime| (local - offset).and_utc();
            let (from, until) = (span.start.naive_utc() + offset, span.end.naive_utc() + offset);
            for date in from.date().iter_days().take_while(|date| *date <= until.date()) {
                for (opening, closing) in self.on(date) {
                    let opening = opening.on(date);
                    let (start, end) = (opening.max(from), closing.on(date).min(until));
                    if start >= end {
                        continue;
                    }
                    match open.last_mut() {
                        Some(last) if last.end == utc(start) => last.end = utc(end),
                        _ => open.push(Span { start: utc(start), end: utc(end) }),
                    }
                    let passed = (start - opening).num_seconds();
                    let steps = (passed + step.num_seconds() - 1) / step.num_seconds();
                    let mut slot = opening + TimeDelta::seconds(steps * step.num_seconds());
                    while slot < end {
                        starts.push(utc(slot));
                        slot += step;
                    }
                }
            }
        }
        (starts, open)
    }
}

/// The span cut where the zone's offset from UTC changes. A zone never changes it twice in half a
/// day.
fn offsets(zone: Tz, span: Span) -> Vec<(Span, TimeDelta)> {
    let at = |time: DateTime<Utc>| {
        let offset = zone.offset_from_utc_datetime(&time.naive_utc());
        TimeDelta::seconds(offset.fix().local_minus_utc().into())
    };
    let mut parts: Vec<(Span, TimeDelta)> = Vec::new();
    let mut time = span.start;
    while time < span.end {
        let next = (time + TimeDelta::hours(12)).min(span.end);
        let offset = at(time);
        // The first second with another offset, if there is one.
        let (mut same, mut changed) = (time, next);
        if at(next) != offset {
            while changed - same > TimeDelta::seconds(1) {
                let middle = same + (changed - same) / 2;
                if at(middle) == offset { same = middle } else { changed = middle }
            }
            changed = DateTime::from_timestamp(changed.timestamp(), 0).unwrap_or(changed);
        }
        match parts.last_mut() {
            Some((last, known)) if *known == offset => last.end = changed,
            _ => parts.push((Span { start: time, end: changed }, offset)),
        }
        time = changed;
    }
    parts
}

fn local_date(zone: Tz, time: DateTime<Utc>) -> NaiveDate {
    time.with_timezone(&zone).date_naive()
}

/// Dates with as many bookings as they may have.
fn full_dates(zone: Tz, cap: Option<u16>, bookings: &[DateTime<Utc>]) -> HashSet<NaiveDate> {
    let Some(cap) = cap else { return HashSet::new() };
    let mut counts: HashMap<NaiveDate, u16> = HashMap::new();
    for start in bookings {
        *counts.entry(local_date(zone, *start)).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count >= cap).map(|(date, _)| date).collect()
}

#[cfg(test)]
mod tests {
    use chrono::Timelike;
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::availability::rules::{DateOverride, Weekly};

    fn minute(minute: u16) -> DayMinute {
        format!("{:02}:{:02}", minute / 60, minute % 60).parse().unwrap()
    }

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn all_day(zone: &str, slot_minutes: u16) -> Rules {
        let weekly = (0..7).map(|weekday| Weekly { weekday, start: minute(0), end: minute(1440) }).collect();
        Rules { weekly, slot_minutes, ..Rules::none(zone.to_owned()) }
    }

    /// The definition at the top of this file, minute by minute.
    struct Definition<'a> {
        rules: &'a Rules,
        zone: Tz,
    }

    impl Definition<'_> {
        /// How far the wall clock is past the opening of the window it shows a time of.
        fn past_opening(&self, at: DateTime<Utc>) -> Option<u32> {
            let local = at.with_timezone(&self.zone);
            let date = local.date_naive();
            let now = local.hour() * 60 + local.minute();
            let exceptions: Vec<_> = self.rules.overrides.iter().filter(|other| other.date == date).collect();
            let windows: Vec<_> = if exceptions.is_empty() {
                let weekday = u8::try_from(date.weekday().num_days_from_sunday()).unwrap();
                let of_day = self.rules.weekly.iter().filter(|window| window.weekday == weekday);
                of_day.map(|window| (window.start, window.end)).collect()
            } else {
                exceptions.iter().filter_map(|other| other.start.zip(other.end)).collect()
            };
            let minutes = |of: DayMinute| {
                u32::try_from((of.on(date) - date.and_time(chrono::NaiveTime::MIN)).num_minutes()).unwrap()
            };
            let window = windows.into_iter().find(|(start, end)| minutes(*start) <= now && now < minutes(*end));
            window.map(|(start, _)| now - minutes(start))
        }

        fn slots(&self, wish: &Wish, agenda: &Agenda) -> Vec<(DateTime<Utc>, bool)> {
            let minute = TimeDelta::minutes(1);
            let mut slots = Vec::new();
            let mut at = wish.within.start;
            while at + wish.duration <= wish.within.end {
                if self.past_opening(at).is_some_and(|past| past % u32::from(self.rules.slot_minutes) == 0) {
                    let end = at + wish.duration;
                    let minutes = std::iter::successors(Some(at), |at| Some(*at + minute));
                    let is_open = minutes.take_while(|at| *at < end).all(|at| self.past_opening(at).is_some());
                    let with_buffer = end + TimeDelta::minutes(self.rules.buffer_minutes.into());
                    let is_free = agenda.busy.iter().all(|other| other.end <= at || with_buffer <= other.start);
                    let notice = TimeDelta::minutes(self.rules.minimum_notice_minutes.into());
                    let is_near =
                        at >= wish.now + notice && at <= wish.now + TimeDelta::days(self.rules.horizon_days.into());
                    let date = |at: DateTime<Utc>| at.with_timezone(&self.zone).date_naive();
                    let that_day = agenda.bookings.iter().filter(|start| date(**start) == date(at)).count();
                    let has_room = self.rules.daily_cap.is_none_or(|cap| that_day < usize::from(cap));
                    slots.push((at, is_open && is_free && is_near && has_room));
                }
                at += minute;
            }
            slots
        }
    }

    fn windows() -> impl Strategy<Value = Vec<(u16, u16)>> {
        // Up to three windows, in quarters of an hour, apart from each other.
        vec(0_u16..=96, 0..=6).prop_map(|mut cuts| {
            cuts.sort_unstable();
            cuts.dedup();
            cuts.chunks_exact(2).map(|pair| (pair[0] * 15, pair[1] * 15)).collect()
        })
    }

    prop_compose! {
        /// Rules in any zone, and a wish for two days around a moment when that zone's clocks change,
        /// or around any moment where they don't.
        fn cases()(
            zone in select(&chrono_tz::TZ_VARIANTS[..]),
            hours in 0_i64..24 * 365 * 12,
            week in vec(windows(), 7),
            exception in windows(),
            (slot_minutes, buffer_minutes) in (select(&[5_u16, 15, 20, 30, 45, 60, 90][..]), select(&[0_u16, 10, 30][..])),
            (minimum_notice_minutes, daily_cap) in (0_u16..600, prop::option::of(1_u16..4)),
            duration in select(&[5_i64, 15, 30, 60, 100, 240][..]),
            bookings in vec((0_i64..2880, 5_i64..180), 0..6),
        ) -> (Rules, Wish, Agenda) {
            let around = time("2024-01-01T00:00:00Z") + TimeDelta::hours(hours);
            let year = Span { start: around, end: around + TimeDelta::days(366) };
            let change = offsets(zone, year).get(1).map_or(around, |(part, _)| part.start);
            let start = change - TimeDelta::hours(24);
            let within = Span { start, end: start + TimeDelta::hours(48) };
            let weekly = week.iter().zip(0_u8..).flat_map(|(windows, weekday)| {
                windows.iter().map(move |(start, end)| Weekly { weekday, start: minute(*start), end: minute(*end) })
            });
            let date = local_date(zone, change + TimeDelta::hours(20));
            let exceptions = exception.iter().map(|(start, end)| {
                DateOverride { date, start: Some(minute(*start)), end: Some(minute(*end)) }
            });
            let rules = Rules {
                timezone: zone.name().to_owned(), weekly: weekly.collect(), overrides: exceptions.collect(),
                buffer_minutes, minimum_notice_minutes, horizon_days: 1, slot_minutes, daily_cap,
            };
            let mut free_from = start;
            let mut agenda = Agenda::default();
            let mut bookings = bookings;
            bookings.sort_unstable();
            for (at, minutes) in bookings {
                let span = Span { start: start + TimeDelta::minutes(at), end: start + TimeDelta::minutes(at + minutes) };
                if span.start >= free_from {
                    free_from = span.end;
                    agenda.busy.push(span);
                    agenda.bookings.push(span.start);
                }
            }
            (rules, Wish { within, duration: TimeDelta::minutes(duration), now: start - TimeDelta::minutes(100) }, agenda)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        #[test]
        fn slots_are_what_the_definition_says_whatever_the_clocks_do((rules, wish, agenda) in cases()) {
            let found: Vec<_> = slots(&rules, &wish, &agenda).into_iter().map(|(at, missing)| (at, missing.is_none())).collect();
            let defined = Definition { rules: &rules, zone: rules.zone() }.slots(&wish, &agenda);
            prop_assert_eq!(found, defined);
        }
    }

    /// Every zone, every change of its clocks for two years: hours that are open all day add up.
    #[test]
    fn open_days_have_no_seams_in_any_zone() {
        let within = Span { start: time("2026-01-01T00:00:00Z"), end: time("2028-01-01T00:00:00Z") };
        for zone in chrono_tz::TZ_VARIANTS {
            let rules = all_day(zone.name(), 60);
            let (_, open) = Windows::of(&rules).open(zone, within, TimeDelta::hours(1));
            assert_eq!(open, [within], "{zone}");
        }
    }

    fn offered(rules: &Rules, from: &str, to: &str, minutes: i64) -> Vec<String> {
        let within = Span { start: time(from), end: time(to) };
        let wish = Wish { within, duration: TimeDelta::minutes(minutes), now: within.start };
        let zone = rules.zone();
        let local = |at: DateTime<Utc>| at.with_timezone(&zone).format("%H:%M%:z").to_string();
        slots(rules, &wish, &Agenda::default())
            .into_iter()
            .filter(|(_, missing)| missing.is_none())
            .map(|(at, _)| local(at))
            .collect()
    }

    #[test]
    fn the_hour_that_clocks_skip_has_no_slots() {
        let mut rules = all_day("Europe/Berlin", 30);
        rules.overrides =
            vec![DateOverride { date: "2026-03-29".parse().unwrap(), start: Some(minute(60)), end: Some(minute(240)) }];
        let night = offered(&rules, "2026-03-29T00:00:00Z", "2026-03-29T02:00:00Z", 60);
        assert_eq!(night, ["01:00+01:00", "01:30+01:00", "03:00+02:00"]);
    }

    #[test]
    fn the_hour_that_comes_twice_has_slots_twice() {
        let mut rules = all_day("Europe/Berlin", 30);
        rules.overrides = vec![DateOverride {
            date: "2026-10-25".parse().unwrap(),
            start: Some(minute(120)),
            end: Some(minute(180)),
        }];
        let night = offered(&rules, "2026-10-24T22:00:00Z", "2026-10-25T04:00:00Z", 60);
        assert_eq!(night, ["02:00+02:00", "02:30+02:00", "02:00+01:00"]);
    }
}
