//! What calling off costs, and what a talk costs in the end.

use chrono::{DateTime, TimeDelta, Utc};
use garde::Validate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a guest who calls a booking off gets back. A host who calls it off always gives everything
/// back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CancellationPolicy {
    /// Everything, this many hours before the start or earlier.
    #[schema(minimum = 0, maximum = 720)]
    pub full_refund_hours: u16,
    /// Half, this many hours before the start or earlier; nothing after that.
    #[schema(minimum = 0, maximum = 720)]
    pub half_refund_hours: u16,
}

/// A cancellation policy as a host gives it.
#[derive(Debug, Clone, Copy, Deserialize, Validate, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCancellationPolicy {
    /// Everything back this many hours before the start or earlier, 0–720.
    #[garde(range(max = 720))]
    #[schema(minimum = 0, maximum = 720)]
    pub full_refund_hours: u16,
    /// Half back this many hours before the start or earlier, 0 to `fullRefundHours`.
    #[garde(range(max = self.full_refund_hours))]
    #[schema(minimum = 0, maximum = 720)]
    pub half_refund_hours: u16,
}

impl Default for CancellationPolicy {
    fn default() -> Self {
        Self { full_refund_hours: 24, half_refund_hours: 1 }
    }
}

impl From<NewCancellationPolicy> for CancellationPolicy {
    fn from(new: NewCancellationPolicy) -> Self {
        Self { full_refund_hours: new.full_refund_hours, half_refund_hours: new.half_refund_hours }
    }
}

impl CancellationPolicy {
    /// Everything back up to the start: what holds once the host has moved a booking.
    pub(super) const LENIENT: Self = Self { full_refund_hours: 0, half_refund_hours: 0 };

    /// What a guest owes who calls off at `now`, in minor units. Of an odd amount the guest keeps
    /// the odd unit.
    pub(super) fn fee(self, price_minor: i64, start: DateTime<Utc>, now: DateTime<Utc>) -> i64 {
        let left = start - now;
        if left >= TimeDelta::hours(self.full_refund_hours.into()) {
            0
        } else if left >= TimeDelta::hours(self.half_refund_hours.into()) {
            price_minor / 2
        } else {
            price_minor
        }
    }
}

/// What is owed for the minutes both were there, in minor units: of the price for `booked` minutes
/// the same part, rounded to the nearest unit, and never more than all of it.
pub(super) fn share(price_minor: i64, booked: i32, together: i32) -> i64 {
    let (booked, together) = (i64::from(booked), i64::from(together.clamp(0, booked)));
    if booked == 0 { 0 } else { (price_minor * together + booked / 2) / booked }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calling_off_costs_more_the_later_it_comes() {
        let start = DateTime::from_timestamp(1_794_830_400, 0).unwrap();
        let fee = |policy: CancellationPolicy, before: TimeDelta| policy.fee(2201, start, start - before);
        let millisecond = TimeDelta::milliseconds(1);
        for (before, owed) in [
            (TimeDelta::days(300), 0),
            (TimeDelta::hours(24), 0),
            (TimeDelta::hours(24) - millisecond, 1100),
            (TimeDelta::hours(1), 1100),
            (TimeDelta::hours(1) - millisecond, 2201),
            (TimeDelta::zero(), 2201),
            (-TimeDelta::minutes(5), 2201),
        ] {
            assert_eq!(fee(CancellationPolicy::default(), before), owed, "{before}");
        }
        assert_eq!(fee(CancellationPolicy::LENIENT, TimeDelta::zero()), 0);
        assert_eq!(fee(CancellationPolicy::LENIENT, -millisecond), 2201);
        let never_half = CancellationPolicy { full_refund_hours: 2, half_refund_hours: 2 };
        assert_eq!(fee(never_half, TimeDelta::minutes(119)), 2201);
    }

    #[test]
    fn minutes_are_paid_for_in_proportion() {
        for (price, booked, together, owed) in [
            (6000, 30, 30, 6000),
            (6000, 30, 31, 6000),
            (6000, 30, 1, 200),
            (6000, 30, 0, 0),
            (100, 30, 10, 33),
            (100, 30, 5, 17),
            (48_000_000_000, 480, 479, 47_900_000_000),
            (0, 30, 30, 0),
        ] {
            assert_eq!(share(price, booked, together), owed, "{price} {booked} {together}");
        }
    }
}
