//! Sockets: who is connected, what they listen to, and how they are told.
//!
//! [`hub`] keeps sockets ([`members`]) and topics; [`bells`] tells topics what happened, and reads what a bell
//! failed to tell; [`statuses`] looks where people stand; [`review`] ends what may no longer be.
//! [`gate`] keeps sockets from taking the whole database. [`socket`] is one connection, [`session`]
//! what its client asks for, [`outbox`] what waits for it; [`presence`] tells the database who is
//! here; [`protocol`] is the language.

mod bells;
mod gate;
mod hub;
mod limits;
mod members;
mod outbox;
mod presence;
mod protocol;
mod review;
mod routes;
mod session;
mod socket;
mod statuses;
mod topic;

/// Whether this is a frame that a client may say: for fuzzing.
#[cfg(feature = "testing")]
pub fn is_client_frame(text: &str) -> bool {
    protocol::ClientFrame::read(text).is_ok()
}

pub(crate) use hub::Hub;
pub use limits::SocketLimits;
pub(crate) use protocol::{ClientFrame, EventFrame, ServerFrame};
pub(crate) use routes::routes;
