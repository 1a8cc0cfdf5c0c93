//! The unit of work and housekeeping on a real Postgres, a fresh database each.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod asked;
mod directory;
mod growth;
mod housekeeping;
mod logins;
mod migrations;
mod pool;
mod unit_of_work;
mod unread;
mod walks;
