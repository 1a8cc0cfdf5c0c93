//! Local hours: when no mail may come, and when a digest is due. Pure, and right on both
//! daylight-saving nights.

use chrono::{DateTime, Days, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Digest, Preferences};
use crate::availability::DayMinute;

/// When no mail comes, in local wall time; over midnight where the end is before the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// From then on; before `24:00`.
    #[garde(custom(before_midnight))]
    #[schema(value_type = String, example = "22:00")]
    pub start: DayMinute,
    /// Until then; `24:00` is the end of the day. Not the same as `start`.
    #[garde(custom(|end: &DayMinute, (): &()| differs(self.start, *end)))]
    #[schema(value_type = String, example = "07:00")]
    pub end: DayMinute,
}

const DAY: u16 = 24 * 60;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the validator's signature")]
fn before_midnight<C>(start: &DayMinute, _: &C) -> garde::Result {
    if start.minute() < DAY { Ok(()) } else { Err(garde::Error::new("must be before 24:00")) }
}

fn differs(start: DayMinute, end: DayMinute) -> garde::Result {
    if start.minute() % DAY == end.minute() % DAY {
        return Err(garde::Error::new("must be another time than start"));
    }
    Ok(())
}

impl QuietHours {
    /// When the quiet that reigns now ends; `None` where there is none.
    pub(in crate::notifications) fn end_after(self, now: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let local = now.with_timezone(&zone).naive_local();
        let minute = local.hour() * 60 + local.minute();
        let (start, end) = (u32::from(self.start.minute()), u32::from(self.end.minute()));
        let is_quiet = if start < end { (start..end).contains(&minute) } else { minute >= start || minute < end };
        if !is_quiet {
            return None;
        }
        let date = if minute < end { local.date() } else { local.date().succ_opt()? };
        match times_of(zone, self.end.on(date))? {
            // Shown twice: the one that is still to come.
            (first, Some(second)) if first <= now => Some(second),
            (time, _) => Some(time),
        }
    }
}

impl Preferences {
    /// When the next digest is due, later than `after`; `None` where there is to be none. What
    /// falls into quiet hours is due at their end.
    pub(in crate::notifications) fn next_digest(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let due = match self.digest {
            Digest::Off => return None,
            Digest::Hourly => next_hour(after),
            Digest::Daily => next_day(after, zone, self.digest_hour)?,
        };
        let quiet_end = self.quiet_hours.and_then(|quiet| quiet.end_after(due, zone));
        Some(quiet_end.unwrap_or(due))
    }
}

fn next_hour(after: DateTime<Utc>) -> DateTime<Utc> {
    let into_the_hour = TimeDelta::milliseconds(after.timestamp_millis().rem_euclid(3_600_000));
    after - into_the_hour + TimeDelta::hours(1)
}

/// An hour that is shown twice counts the first time, one that is skipped when the clocks go on.
fn next_day(after: DateTime<Utc>, zone: Tz, hour: u8) -> Option<DateTime<Utc>> {
    let today = after.with_timezone(&zone).date_naive();
    (0..=2).find_map(|days| {
        let date = today.checked_add_days(Days::new(days))?;
        let (first, _) = times_of(zone, date.and_hms_opt(hour.into(), 0, 0)?)?;
        (first > after).then_some(first)
    })
}

/// When wall clocks show this: once, or twice. Where they skip it, when they go on.
fn times_of(zone: Tz, local: NaiveDateTime) -> Option<(DateTime<Utc>, Option<DateTime<Utc>>)> {
    // A zone's offsets are whole quarters of an hour, and no day that was ever skipped lasted longer.
    (0..=24 * 4).find_map(|quarters| match zone.from_local_datetime(&(local + TimeDelta::minutes(15 * quarters))) {
        LocalResult::None => None,
        LocalResult::Single(time) => Some((time.to_utc(), None)),
        LocalResult::Ambiguous(first, second) => Some((first.to_utc(), Some(second.to_utc()))),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn quiet(start: &str, end: &str) -> QuietHours {
        QuietHours { start: start.parse().unwrap(), end: end.parse().unwrap() }
    }

    #[test]
    fn quiet_hours_end_when_the_wall_clock_says_so() {
        let berlin = Tz::Europe__Berlin;
        let night = quiet("22:00", "07:00");
        for (now, end) in [
            ("2026-11-16T20:59:59Z", None),
            ("2026-11-16T21:00:00Z", Some("2026-11-17T06:00:00Z")),
            ("2026-11-17T05:59:00Z", Some("2026-11-17T06:00:00Z")),
            ("2026-11-17T06:00:00Z", None),
            // The clocks go forward and back in the night.
            ("2026-03-28T22:00:00Z", Some("2026-03-29T05:00:00Z")),
            ("2026-10-24T21:00:00Z", Some("2026-10-25T06:00:00Z")),
        ] {
            assert_eq!(night.end_after(at(now), berlin), end.map(at), "{now}");
        }
        let day = quiet("00:00", "23:59");
        assert_eq!(day.end_after(at("2026-11-16T12:00:00Z"), Tz::UTC), Some(at("2026-11-16T23:59:00Z")));
        let evening = quiet("20:00", "24:00");
        assert_eq!(evening.end_after(at("2026-11-16T21:00:00Z"), Tz::UTC), Some(at("2026-11-17T00:00:00Z")));
    }

    #[test]
    fn ends_that_clocks_skip_or_show_twice() {
        let berlin = Tz::Europe__Berlin;
        let early = quiet("22:00", "02:30");
        for (now, end) in [
            // 02:30 is skipped: clocks go from 02:00 to 03:00 at 01:00 UTC.
            ("2026-03-29T00:59:00Z", Some("2026-03-29T01:00:00Z")),
            ("2026-03-29T01:00:00Z", None),
            // 02:30 comes twice, at 00:30 and 01:30 UTC, and 02:15 after the first is quiet again.
            ("2026-10-25T00:15:00Z", Some("2026-10-25T00:30:00Z")),
            ("2026-10-25T00:30:00Z", None),
            ("2026-10-25T01:15:00Z", Some("2026-10-25T01:30:00Z")),
            ("2026-10-25T01:30:00Z", None),
        ] {
            assert_eq!(early.end_after(at(now), berlin), end.map(at), "{now}");
        }
    }

    #[test]
    fn a_daily_digest_comes_once_each_local_date() {
        let daily = |hour| Preferences { digest: Digest::Daily, digest_hour: hour, ..Preferences::default() };
        for (zone, hour, after, due) in [
            (Tz::UTC, 8, "2026-11-16T07:59:59Z", "2026-11-16T08:00:00Z"),
            (Tz::UTC, 8, "2026-11-16T08:00:00Z", "2026-11-17T08:00:00Z"),
            (Tz::Asia__Kolkata, 8, "2026-11-16T00:00:00Z", "2026-11-16T02:30:00Z"),
            (Tz::Pacific__Auckland, 8, "2026-11-16T12:00:00Z", "2026-11-16T19:00:00Z"),
            // Skipped: when the clocks go on. Shown twice: the first time only.
            (Tz::Europe__Berlin, 2, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
            (Tz::Europe__Berlin, 2, "2026-10-24T12:00:00Z", "2026-10-25T00:00:00Z"),
            (Tz::Europe__Berlin, 2, "2026-10-25T00:00:00Z", "2026-10-26T01:00:00Z"),
            // A date that was skipped whole.
            (Tz::Pacific__Apia, 8, "2011-12-29T19:00:00Z", "2011-12-30T10:00:00Z"),
        ] {
            assert_eq!(daily(hour).next_digest(at(after), zone), Some(at(due)), "{zone} {hour} {after}");
        }
    }

    #[test]
    fn a_digest_in_quiet_hours_waits_for_their_end() {
        let hourly = Preferences {
            digest: Digest::Hourly,
            quiet_hours: Some(quiet("22:00", "07:00")),
            ..Preferences::default()
        };
        for (after, due) in [
            ("2026-11-16T19:30:00Z", "2026-11-16T20:00:00Z"),
            ("2026-11-16T20:00:00Z", "2026-11-16T21:00:00Z"),
            ("2026-11-16T21:00:00Z", "2026-11-17T07:00:00Z"),
        ] {
            assert_eq!(hourly.next_digest(at(after), Tz::UTC), Some(at(due)), "{after}");
        }
        assert_eq!(Preferences::default().next_digest(at("2026-11-16T19:30:00Z"), Tz::UTC), None);
    }

    proptest! {
        /// Over three years, in any zone: mail waits less than a day, for a time that isn't quiet,
        /// and digests are due a day apart at most.
        #[test]
        fn whatever_the_zone_mail_comes(
            zone in 0..chrono_tz::TZ_VARIANTS.len(),
            seconds in 1_767_225_600_i64..1_861_920_000,
            start in 0_u16..1440,
            end in 0_u16..=1440,
            hour in 0_u8..24,
        ) {
            prop_assume!(start != end % 1440);
            let zone = chrono_tz::TZ_VARIANTS[zone];
            let now = DateTime::from_timestamp(seconds, 0).unwrap();
            let quiet = QuietHours { start: DayMinute::new(start).unwrap(), end: DayMinute::new(end).unwrap() };
            if let Some(until) = quiet.end_after(now, zone) {
                prop_assert!(until > now && until - now <= TimeDelta::hours(25), "{zone} {now} {until}");
            }
            let daily = Preferences { digest: Digest::Daily, digest_hour: hour, ..Preferences::default() };
            let due = daily.next_digest(now, zone).unwrap();
            prop_assert!(due > now && due - now <= TimeDelta::hours(26), "{zone} {now} {due}");
            let local = |time: DateTime<Utc>| time.with_timezone(&zone).date_naive();
            let second = daily.next_digest(due, zone).unwrap();
            prop_assert_eq!(local(second), local(due).succ_opt().unwrap(), "{} {} {}", zone, due, second);
        }
    }
}
