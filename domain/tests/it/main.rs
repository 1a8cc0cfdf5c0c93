//! The unit of work and housekeeping on a real Postgres, a fresh database each.

mod housekeeping;
mod unit_of_work;
