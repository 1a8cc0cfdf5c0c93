//! Sockets: who is connected, what they listen to, and how they are told.
//!
//! [`hub`] keeps the topics and reads what a bell failed to tell; [`socket`] is one connection;
//! [`outbox`] bounds what may wait for it; [`presence`] tells the database who is here;
//! [`protocol`] is the language.

mod hub;
mod outbox;
mod presence;
mod protocol;
mod routes;
mod socket;
mod topic;

pub(crate) use hub::Hub;
pub(crate) use routes::routes;
