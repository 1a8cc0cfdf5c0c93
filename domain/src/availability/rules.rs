//! When a host takes bookings: local wall time in a zone, with exceptions for single dates.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use chrono_tz::Tz;
use garde::Validate;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use utoipa::ToSchema;

use crate::text::rules as check;

/// The most overrides a host may have.
const MAX_OVERRIDES: usize = 400;
/// The most windows in a week.
const MAX_WEEKLY: usize = 7 * 12;

/// A minute of a local day, 0 (`00:00`) to 1440 (`24:00`, its end). On the wire `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayMinute(u16);

impl DayMinute {
    const END: u16 = 24 * 60;
    const WHOLE_DAY: (Self, Self) = (Self(0), Self(Self::END));

    /// The minute of this number, 0 to 1440.
    pub(crate) fn new(minute: u16) -> Option<Self> {
        (minute <= Self::END).then_some(Self(minute))
    }

    /// Its number, 0 to 1440.
    pub(crate) fn minute(self) -> u16 {
        self.0
    }

    /// This minute of a date, as its wall clocks show it.
    pub(crate) fn on(self, date: NaiveDate) -> NaiveDateTime {
        date.and_time(NaiveTime::MIN) + TimeDelta::minutes(self.0.into())
    }
}

impl std::str::FromStr for DayMinute {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "must be a time of day such as 09:30, up to 24:00";
        let two = |text: &str| match text.as_bytes() {
            [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(u16::from(a - b'0') * 10 + u16::from(b - b'0')),
            _ => None,
        };
        let (hours, minutes) = text.split_once(':').ok_or(WRONG)?;
        let (hours, minutes) = two(hours).zip(two(minutes)).ok_or(WRONG)?;
        let minute = hours * 60 + minutes;
        if minutes < 60 && minute <= Self::END { Ok(Self(minute)) } else { Err(WRONG) }
    }
}

impl Serialize for DayMinute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:02}:{:02}", self.0 / 60, self.0 % 60))
    }
}

impl<'de> Deserialize<'de> for DayMinute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A window that comes every week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Weekly {
    /// 0 is Sunday, 6 is Saturday.
    #[garde(range(max = 6))]
    #[schema(minimum = 0, maximum = 6)]
    pub weekday: u8,
    /// When it opens, in local wall time.
    #[garde(skip)]
    #[schema(value_type = String, example = "09:00")]
    pub start: DayMinute,
    /// When it closes; `24:00` is the end of the day.
    #[garde(custom(|end: &DayMinute, (): &()| after(self.start, *end)))]
    #[schema(value_type = String, example = "17:00")]
    pub end: DayMinute,
}

/// What a date has instead of its weekday's windows. Several of one date are several windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DateOverride {
    /// In the rules' zone.
    #[garde(skip)]
    #[schema(value_type = String, format = "date", example = "2026-12-24")]
    pub date: NaiveDate,
    /// When it opens; at midnight when only `end` is given. Without both the date is closed.
    #[garde(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "10:00")]
    pub start: Option<DayMinute>,
    /// When it closes; at the end of the day when only `start` is given.
    #[garde(custom(|_: &Option<DayMinute>, (): &()| self.window().map_or(Ok(()), |(start, end)| after(start, end))))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "14:00")]
    pub end: Option<DayMinute>,
}

impl DateOverride {
    /// When the date is open; `None` where it is closed.
    pub(super) fn window(&self) -> Option<(DayMinute, DayMinute)> {
        let (midnight, end_of_day) = DayMinute::WHOLE_DAY;
        let is_open = self.start.is_some() || self.end.is_some();
        is_open.then(|| (self.start.unwrap_or(midnight), self.end.unwrap_or(end_of_day)))
    }
}

/// When a host takes bookings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    /// IANA zone of all wall times here.
    #[garde(custom(check::timezone))]
    #[schema(example = "Europe/Berlin")]
    pub timezone: String,
    /// The windows of a week; those of a day must not overlap.
    #[garde(length(max = MAX_WEEKLY), dive, custom(|windows: &Vec<Weekly>, (): &()| weekly_apart(windows)))]
    #[serde(default)]
    #[schema(max_items = 84)]
    pub weekly: Vec<Weekly>,
    /// Exceptions for single dates; those of a date must not overlap.
    #[garde(length(max = MAX_OVERRIDES), dive, custom(|dates: &Vec<DateOverride>, (): &()| overrides_apart(dates)))]
    #[serde(default)]
    #[schema(max_items = 400)]
    pub overrides: Vec<DateOverride>,
    /// How long the host is left alone between two bookings, 0–240.
    #[garde(range(max = 240))]
    #[serde(default)]
    #[schema(maximum = 240, default = 0)]
    pub buffer_minutes: u16,
    /// How long before its start a slot can still be booked, up to 30 days.
    #[garde(range(max = 43_200))]
    #[serde(default)]
    #[schema(maximum = 43200, default = 0)]
    pub minimum_notice_minutes: u16,
    /// How far ahead slots can be booked, 1–365 days.
    #[garde(range(min = 1, max = 365))]
    #[serde(default = "Rules::horizon")]
    #[schema(minimum = 1, maximum = 365, default = 60)]
    pub horizon_days: u16,
    /// Slots begin every so many minutes from a window's opening, 5–480.
    #[garde(range(min = 5, max = 480))]
    #[serde(default = "Rules::slot")]
    #[schema(minimum = 5, maximum = 480, default = 30)]
    pub slot_minutes: u16,
    /// The most bookings that may begin on one local date, 1–100; without limit when absent.
    #[garde(inner(range(min = 1, max = 100)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub daily_cap: Option<u16>,
}

impl Rules {
    fn horizon() -> u16 {
        60
    }

    fn slot() -> u16 {
        30
    }

    /// What holds for a host who never said anything: no windows.
    pub(super) fn none(timezone: String) -> Self {
        Self {
            timezone,
            weekly: Vec::new(),
            overrides: Vec::new(),
            buffer_minutes: 0,
            minimum_notice_minutes: 0,
            horizon_days: Self::horizon(),
            slot_minutes: Self::slot(),
            daily_cap: None,
        }
    }

    /// The zone; UTC should the tz database ever lose a name that was checked.
    pub(super) fn zone(&self) -> Tz {
        self.timezone.parse().unwrap_or(Tz::UTC)
    }
}

fn after(start: DayMinute, end: DayMinute) -> garde::Result {
    if start < end { Ok(()) } else { Err(garde::Error::new("must be after start")) }
}

fn weekly_apart(windows: &[Weekly]) -> garde::Result {
    apart(windows.iter().map(|window| (window.weekday, window.start, window.end)))
}

fn overrides_apart(dates: &[DateOverride]) -> garde::Result {
    // A closed date says so alone: together with a window it would mean nothing.
    apart(dates.iter().map(|date| {
        let (start, end) = date.window().unwrap_or(DayMinute::WHOLE_DAY);
        (date.date, start, end)
    }))
}

fn apart<D: Ord + Copy>(windows: impl Iterator<Item = (D, DayMinute, DayMinute)>) -> garde::Result {
    let mut windows: Vec<_> = windows.collect();
    windows.sort_unstable();
    let clash = windows.windows(2).any(|pair| pair[0].0 == pair[1].0 && pair[1].1 < pair[0].2);
    if clash { Err(garde::Error::new("must not overlap")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_four_digits() {
        for (text, minute) in [("00:00", 0), ("09:30", 570), ("23:59", 1439), ("24:00", 1440)] {
            assert_eq!(text.parse(), Ok(DayMinute(minute)));
            assert_eq!(serde_json::to_string(&DayMinute(minute)).unwrap(), format!("\"{text}\""));
        }
        for bad in ["", "9:30", "24:01", "25:00", "12:60", "-1:00", "12:00:00", "１２:00", "+1:00"] {
            assert!(bad.parse::<DayMinute>().is_err(), "{bad}");
        }
    }

    #[test]
    fn windows_of_a_day_must_not_overlap() {
        let window = |weekday, start, end| Weekly { weekday, start: DayMinute(start), end: DayMinute(end) };
        assert!(weekly_apart(&[window(1, 600, 720), window(1, 720, 800), window(2, 650, 700)]).is_ok());
        assert!(weekly_apart(&[window(1, 600, 720), window(1, 719, 800)]).is_err());
    }
}
