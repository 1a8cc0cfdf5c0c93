//! What integration tests need of the domain: databases of their own, and looks and changes that no operation offers.

mod contents;
mod database;
mod input;
mod locks;
mod money;
mod people;
mod queue;
mod sam;
mod talk;
mod traces;

pub use contents::contents;
pub use database::{TestDatabase, connections, env, noon, redis_url, refusal_of};
pub use input::{Answer, cursor_of, position_of, read_access_token, read_answer, read_webhook, text_so_far};
pub use locks::{JobLock, TableLock};
pub use money::{booked, done_calls, heard, open_calls, owed, owed_to, set_capture_before};
pub use people::{
    Flags, SignedIn, age_socket_processes, lasting_token, people_here, set_flags, set_manager, sign_in_many,
};
pub use queue::{JobRow, age_leases, jobs, queue_in_words, remind_now};
pub use sam::{dropped_actions, kept_offers, propose, tokens_of, traces_of_sam};
pub use talk::{book, events_of, notifications_by_person, remove_participant};
pub use traces::{rows_that_say, tables_of_people};
