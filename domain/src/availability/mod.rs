//! When hosts can be booked: their rules, and the slots that follow from them.

mod rules;
mod slots;

pub use rules::{DateOverride, DayMinute, Rules, Weekly};
pub use slots::{Missing, Span};
